/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
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

// process is one agent.
type process struct {
	t       *testing.T
	command *exec.Cmd
	logs    *agenttest.Buffer
	url     string
	admin   string
	// ended is closed when the process is gone and its log is complete.
	ended chan struct{}
}

const serving = `"message":"agent serves"`

// startAgent starts one on ports of its own. Another process may take a port
// between its choice and the agent's start: then the agent says so and ends,
// and others are tried.
func startAgent(t *testing.T, o options, line []string) *process {
	t.Helper()
	for range 5 {
		port, adminPort := freePort(t), freePort(t)
		p := &process{
			t:     t,
			logs:  new(agenttest.Buffer),
			url:   "http://127.0.0.1:" + port,
			admin: "http://127.0.0.1:" + adminPort,
			ended: make(chan struct{}),
		}
		command := slices.Concat(o.wrapper, []string{agentBinary, "--port=" + port, "--admin-port=" + adminPort}, line)
		p.command = exec.Command(command[0], command[1:]...)
		p.command.Env = append([]string{"K_REVISION=m-predictor-default-00001"}, o.environment...)
		if o.mounts {
			p.command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		}
		p.command.Stderr = p.logs
		p.command.Stdout = p.logs
		if err := p.command.Start(); err != nil {
			t.Fatal("starting the agent:", err)
		}
		go func() {
			_ = p.command.Wait()
			close(p.ended)
		}()
		agenttest.Eventually(t, "the agent serves or ends", func() bool { return strings.Contains(p.logs.String(), serving) || p.gone() })
		if strings.Contains(p.logs.String(), serving) {
			t.Cleanup(func() {
				if t.Failed() && !p.gone() {
					t.Logf("the agent's status: %s", p.page("/status"))
				}
				p.kill()
				if t.Failed() {
					t.Logf("the end of the agent's log:\n%s", p.logs.End(4<<10))
				}
			})
			return p
		}
		t.Logf("the agent did not start: %s", p.logs)
	}
	t.Fatal("no agent starts")
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal ends the agent, or asks it to.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Error("signalling the agent:", err)
	}
}

// kill is SIGKILL, and waits. It may be called again.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// exit waits for the agent's end, and gives its exit code.
func (p *process) exit() int {
	p.t.Helper()
	agenttest.Eventually(p.t, "the agent ends", p.gone)
	return p.command.ProcessState.ExitCode()
}

// page gives what the agent answers on its admin port.
func (p *process) page(path string) string {
	p.t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answered, err := client.Get(p.admin + path)
	if err != nil {
		p.t.Fatal("asking the agent:", err)
	}
	defer answered.Body.Close()
	content, err := io.ReadAll(answered.Body)
	if err != nil {
		p.t.Fatal("asking the agent:", err)
	}
	return string(content)
}

func (p *process) status() status.Status {
	p.t.Helper()
	var status status.Status
	if err := json.Unmarshal([]byte(p.page("/status")), &status); err != nil {
		p.t.Fatal("reading the agent's status:", err)
	}
	return status
}

func (p *process) ledger() ledger.Snapshot { return p.status().Sinks["default"].Snapshot }

// lastLedger is the one that the agent logs when it ends.
func (p *process) lastLedger() ledger.Snapshot {
	p.t.Helper()
	for line := range strings.Lines(p.logs.String()) {
		var entry struct {
			Message string                     `json:"message"`
			Ledger  map[string]ledger.Snapshot `json:"ledger"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == "agent ends" {
			return entry.Ledger["default"]
		}
	}
	p.t.Fatal("the agent logged no ledger at its end")
	return ledger.Snapshot{}
}

func (p *process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), name)
}

// rssAnon is the memory that is the process's own, in bytes (proc(5), status).
func (p *process) rssAnon() int64 {
	content, err := os.ReadFile(p.proc("status"))
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

func (p *process) descriptors() int {
	entries, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		p.t.Fatal("reading descriptors:", err)
	}
	return len(entries)
}

// watchMemory samples rssAnon until peak is called.
func (p *process) watchMemory() (peak func() int64) {
	stopping, highest := make(chan struct{}), int64(0)
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			highest = max(highest, p.rssAnon())
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
func (p *process) goroutines() int {
	p.t.Helper()
	p.signal(syscall.SIGQUIT)
	p.exit()
	return strings.Count(p.logs.String(), "\ngoroutine ")
}
