/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// memoryGroup is a memory cgroup of one agent's own, as a container has one.
type memoryGroup struct {
	t    *testing.T
	path string
	// peakFile and eventsFile are named otherwise by each version of cgroups.
	peakFile, eventsFile string
}

var memoryGroups atomic.Int64

// newMemoryGroup returns a group with a limit in bytes and without swap. Where
// there can be none, the test is skipped and says why.
func newMemoryGroup(t *testing.T, limit int64) *memoryGroup {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a memory cgroup needs root")
	}
	parent, version, err := memoryParent()
	if err != nil {
		t.Skip("no memory cgroup can be made here:", err)
	}
	g := &memoryGroup{t: t, path: filepath.Join(parent, fmt.Sprintf("sidenote-faults-%d-%d", os.Getpid(), memoryGroups.Add(1)))}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		t.Skip("no memory cgroup can be made here:", err)
	}
	t.Cleanup(func() {
		agenttest.Eventually(t, "the memory cgroup is empty", func() bool { return os.Remove(g.path) == nil })
	})
	text := strconv.FormatInt(limit, 10)
	settings := []struct{ name, value string }{{"memory.limit_in_bytes", text}, {"memory.memsw.limit_in_bytes", text}}
	g.peakFile, g.eventsFile = "memory.max_usage_in_bytes", "memory.oom_control"
	if version == 2 {
		settings = []struct{ name, value string }{{"memory.max", text}, {"memory.swap.max", "0"}}
		g.peakFile, g.eventsFile = "memory.peak", "memory.events"
	}
	if err := os.WriteFile(filepath.Join(g.path, settings[0].name), []byte(settings[0].value), 0o600); err != nil {
		t.Skip("the memory cgroup takes no limit:", err)
	}
	// A kernel may count no swap; then there is none to keep from.
	_ = os.WriteFile(filepath.Join(g.path, settings[1].name), []byte(settings[1].value), 0o600)
	if _, err := os.Stat(filepath.Join(g.path, g.peakFile)); err != nil {
		t.Skip("the kernel tells no peak of a memory cgroup:", err)
	}
	return g
}

// memoryParent finds where this process may make memory cgroups: beside its
// own under version 1, under version 2 (cgroups(7)) at the top, for only there
// may processes and groups be in one group.
func memoryParent() (path string, version int, err error) {
	controllers, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err == nil {
		if !strings.Contains(string(controllers), "memory") {
			return "", 0, fmt.Errorf("cgroups here have the controllers %s", strings.TrimSpace(string(controllers)))
		}
		if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory"), 0o600); err != nil {
			return "", 0, fmt.Errorf("giving the memory controller on: %w", err)
		}
		return "/sys/fs/cgroup", 2, nil
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", 0, fmt.Errorf("reading this process's cgroups: %w", err)
	}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && fields[1] == "memory" {
			for _, path := range []string{filepath.Join("/sys/fs/cgroup/memory", fields[2]), "/sys/fs/cgroup/memory"} {
				if _, err := os.Stat(filepath.Join(path, "cgroup.procs")); err == nil {
					return path, 1, nil
				}
			}
		}
	}
	return "", 0, fmt.Errorf("no memory cgroup is mounted")
}

// enter is what a command is put behind to run in the group.
func (g *memoryGroup) enter() []string {
	return []string{"/bin/sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(g.path, "cgroup.procs")}
}

// peak is the most that the group ever held, in bytes.
func (g *memoryGroup) peak() int64 {
	g.t.Helper()
	peak, err := strconv.ParseInt(strings.TrimSpace(g.read(g.peakFile)), 10, 64)
	if err != nil {
		g.t.Fatal("reading the memory cgroup's peak:", err)
	}
	return peak
}

// kills is how often a process of the group was killed for want of memory.
func (g *memoryGroup) kills() string {
	g.t.Helper()
	for line := range strings.Lines(g.read(g.eventsFile)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strings.TrimSpace(count)
		}
	}
	g.t.Fatal("the memory cgroup doesn't count kills")
	return ""
}

func (g *memoryGroup) read(name string) string {
	g.t.Helper()
	content, err := os.ReadFile(filepath.Join(g.path, name))
	if err != nil {
		g.t.Fatal("reading the memory cgroup:", err)
	}
	return string(content)
}
