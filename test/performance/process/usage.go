/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used since its start.
type Usage struct {
	// CPU is the time that its threads have run, those that ended included,
	// with a resolution of nanoseconds.
	CPU time.Duration
	// User and System are CPU, shared out by the kernel's ticks.
	User, System time.Duration
	// Voluntary and Involuntary count context switches of the threads that
	// live.
	Voluntary, Involuntary int64
	// ReadWrites counts system calls that read or write, sockets included.
	ReadWrites int64
}

// Since returns what was used after an earlier Usage.
func (u Usage) Since(earlier Usage) Usage {
	return Usage{
		CPU:         u.CPU - earlier.CPU,
		User:        u.User - earlier.User,
		System:      u.System - earlier.System,
		Voluntary:   u.Voluntary - earlier.Voluntary,
		Involuntary: u.Involuntary - earlier.Involuntary,
		ReadWrites:  u.ReadWrites - earlier.ReadWrites,
	}
}

// Clocks of another process (linux/posix-timers.h): CPU time by the ticks, the
// part of it in user mode, and the exact time by the scheduler.
const (
	clockProf  = 0
	clockVirt  = 1
	clockExact = 2
)

// Usage reads what the process has used.
func (p *Process) Usage() (Usage, error) {
	if err := p.Err(); err != nil {
		return Usage{}, err
	}
	exact, err := p.clock(clockExact)
	if err != nil {
		return Usage{}, err
	}
	all, err := p.clock(clockProf)
	if err != nil {
		return Usage{}, err
	}
	user, err := p.clock(clockVirt)
	if err != nil {
		return Usage{}, err
	}
	u := Usage{CPU: exact, User: user, System: all - user}
	if err := p.addSwitches(&u); err != nil {
		return Usage{}, err
	}
	io, err := p.table("io")
	if err != nil {
		return Usage{}, err
	}
	u.ReadWrites = io["syscr"] + io["syscw"]
	return u, nil
}

// clock reads a CPU clock of the process (clock_getcpuclockid(3)).
func (p *Process) clock(which int32) (time.Duration, error) {
	var at unix.Timespec
	if err := unix.ClockGettime(^int32(p.PID())<<3|which, &at); err != nil {
		return 0, fmt.Errorf("reading a process's CPU clock: %w", err)
	}
	return time.Duration(at.Nano()), nil
}

func (p *Process) addSwitches(u *Usage) error {
	threads, err := os.ReadDir(p.path("task"))
	if err != nil {
		return fmt.Errorf("listing threads: %w", err)
	}
	for _, thread := range threads {
		status, err := p.table(filepath.Join("task", thread.Name(), "status"))
		if err != nil {
			continue // It has ended.
		}
		u.Voluntary += status["voluntary_ctxt_switches"]
		u.Involuntary += status["nonvoluntary_ctxt_switches"]
	}
	return nil
}

// Memory is a process's, in bytes.
type Memory struct {
	// Anonymous is what isn't mapped from a file (RssAnon).
	Anonymous int64
	// Peak is the most that was resident, files included (VmHWM).
	Peak int64
}

// Memory reads the process's memory.
func (p *Process) Memory() (Memory, error) {
	status, err := p.table("status")
	if err != nil {
		return Memory{}, err
	}
	return Memory{Anonymous: status["RssAnon"] << 10, Peak: status["VmHWM"] << 10}, nil
}

func (p *Process) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.PID()), name)
}

// table reads a file of /proc with a name and a number in each line.
func (p *Process) table(name string) (map[string]int64, error) {
	content, err := os.ReadFile(p.path(name))
	if err != nil {
		return nil, fmt.Errorf("reading a process's accounts: %w", err)
	}
	return parseTable(string(content)), nil
}

// parseTable returns the numbers of lines like "name: number unit" by name, and
// leaves out other lines.
func parseTable(content string) map[string]int64 {
	numbers := make(map[string]int64)
	for line := range strings.Lines(content) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		if number, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			numbers[name] = number
		}
	}
	return numbers
}
