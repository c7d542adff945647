/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// agentBinary is the agent, built once for each run.
var agentBinary string

// buildAgent builds it as it ships: without C.
func buildAgent(directory string) error {
	agentBinary = filepath.Join(directory, "agent")
	build := exec.Command("go", "build", "-tags", "spoil", "-o", agentBinary, "github.com/sidenote-dev/sidenote/cmd/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the agent: %w\n%s", err, output)
	}
	return nil
}

// command runs the agent.
func (o options) command(line []string) *exec.Cmd {
	whole := slices.Concat(o.wrapper, []string{agentBinary}, line)
	command := exec.Command(whole[0], whole[1:]...)
	command.Env = append([]string{"K_REVISION=" + agenttest.Revision}, o.environment...)
	if o.mounts {
		command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	return command
}

func (r *rig) status() status.Status {
	r.t.Helper()
	var status status.Status
	if err := json.Unmarshal([]byte(r.Page("/status")), &status); err != nil {
		r.t.Fatal("reading the agent's status:", err)
	}
	return status
}

func (r *rig) ledger() ledger.Snapshot { return r.status().Sinks["default"].Snapshot }

// lastLedger is the one that the agent logs when it ends.
func (r *rig) lastLedger() ledger.Snapshot {
	r.t.Helper()
	for line := range strings.Lines(r.Logs.String()) {
		var entry struct {
			Message string                     `json:"message"`
			Ledger  map[string]ledger.Snapshot `json:"ledger"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == "agent ends" {
			return entry.Ledger["default"]
		}
	}
	r.t.Fatal("the agent logged no ledger at its end")
	return ledger.Snapshot{}
}

func (r *rig) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(r.PID), name)
}

// rssAnon is the memory that is the process's own, in bytes (proc(5), status).
func (r *rig) rssAnon() int64 {
	content, err := os.ReadFile(r.proc("status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if text, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func (r *rig) descriptors() int {
	entries, err := os.ReadDir(r.proc("fd"))
	if err != nil {
		r.t.Fatal("reading descriptors:", err)
	}
	return len(entries)
}

// watchMemory samples rssAnon until peak is called.
func (r *rig) watchMemory() (peak func() int64) {
	stopping, highest := make(chan struct{}), int64(0)
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			highest = max(highest, r.rssAnon())
			select {
			case <-ticker.C:
			case <-stopping:
				return
			}
		}
	})
	return func() int64 {
		close(stopping)
		group.Wait()
		return highest
	}
}

// goroutines ends the agent by SIGQUIT, on which the Go runtime writes the
// stack of each, and counts them.
func (r *rig) goroutines() int {
	r.t.Helper()
	r.Signal(syscall.SIGQUIT)
	r.Wait()
	return strings.Count(r.Logs.String(), "\ngoroutine ")
}
