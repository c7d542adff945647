/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one that was started, and that is to be ended.
type process struct {
	command *exec.Cmd
	said    *lastWords
	// ended is closed when the process is gone.
	ended chan struct{}
}

// start starts a process. The kernel ends it together with the thread that calls
// this, which is to be the main thread.
func start(environment []string, line ...string) (*process, error) {
	p := &process{command: exec.Command(line[0], line[1:]...), said: new(lastWords), ended: make(chan struct{})}
	p.command.Env = append([]string{}, environment...)
	p.command.Stdout, p.command.Stderr = p.said, p.said
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name(), err)
	}
	go func() {
		_ = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) name() string { return filepath.Base(p.command.Path) }

// kill ends the process, and waits for its end. It may be called again, and on
// nil.
func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
}

// await repeats a check until it succeeds. An error says that the process or ctx
// ended, or that the limit has passed.
func (p *process) await(ctx context.Context, check func() error, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", p.name(), p.said)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %w: %s", p.name(), limit, err, p.said)
		}
	}
}

// cpu is the time that the process's threads have run since its start, those
// that ended included, in nanoseconds (clock_getcpuclockid(3)).
func (p *process) cpu() (time.Duration, error) {
	const byScheduler = 2
	var at unix.Timespec
	if err := unix.ClockGettime(^int32(p.command.Process.Pid)<<3|byScheduler, &at); err != nil {
		return 0, fmt.Errorf("reading the CPU time of %s: %w", p.name(), err)
	}
	return time.Duration(at.Nano()), nil
}

// memory is what the process has resident and not mapped from a file (RssAnon),
// in bytes.
func (p *process) memory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %w", p.name(), err)
	}
	return anonymous(string(status))
}

var errNoMemory = errors.New("the process's status has no RssAnon")

func anonymous(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errNoMemory
}

// lastWords keeps the end of what a process writes.
type lastWords struct {
	mu  sync.Mutex
	end []byte
}

const maxLastWords = 4 << 10

func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = append(w.end, p...)
	w.end = w.end[max(0, len(w.end)-maxLastWords):]
	return len(p), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.end)
}
