/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package process starts the processes that are measured, and reads the
// kernel's accounts of them.
package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Command says what to start.
type Command struct {
	Path                   string
	Arguments, Environment []string
}

// Process is one that was started. Whoever started it ends it.
type Process struct {
	command *exec.Cmd
	said    *lastWords
	// ended is closed when the process is gone.
	ended chan struct{}
}

// Start starts a process that gets no signal of the terminal, and that the
// kernel ends where this one is killed. It is to be called on a thread that
// lives as long as this process: the kernel goes by the thread.
func Start(c Command) (*Process, error) {
	p := &Process{command: exec.Command(c.Path, c.Arguments...), said: new(lastWords), ended: make(chan struct{})}
	p.command.Env = c.Environment
	if p.command.Env == nil {
		p.command.Env = []string{}
	}
	p.command.Stdout, p.command.Stderr = p.said, p.said
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	go func() {
		_ = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Kill ends the process, and waits for its end. It may be called again, and on
// nil.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
}

// ErrEnded says that a process is gone.
var ErrEnded = errors.New("ended")

// Await repeats a check every interval until it succeeds. Its error is ErrEnded,
// that of ctx, or the check's last one after the limit.
func (p *Process) Await(ctx context.Context, check func() error, interval, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("%s %w: %s", p.command.Path, ErrEnded, p.said)
		case <-time.After(interval):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %w: %s", p.command.Path, limit, err, p.said)
		}
	}
}

// Err says whether the process is gone.
func (p *Process) Err() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s %w: %s", p.command.Path, ErrEnded, p.said)
	default:
		return nil
	}
}

// LastWords is the end of what the process wrote.
func (p *Process) LastWords() string { return p.said.String() }

// lastWords keeps the end of what a process writes.
type lastWords struct {
	mu  sync.Mutex
	end []byte
}

const maxLastWords = 400

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
