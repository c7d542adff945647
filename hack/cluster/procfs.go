/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// parseStat reads a line of /proc/PID/stat: the state, the parent and the
// start time in clock ticks since boot (fields 3, 4 and 22 of proc_pid_stat(5)).
func parseStat(line string) (state byte, parent int, startTime uint64, err error) {
	// The command, in parentheses, may itself hold spaces and parentheses.
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return 0, 0, 0, fmt.Errorf("no command in %q", line)
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) < 20 {
		return 0, 0, 0, fmt.Errorf("only %d fields after the command in %q", len(fields), line)
	}
	if parent, err = strconv.Atoi(fields[1]); err != nil {
		return 0, 0, 0, err
	}
	startTime, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], parent, startTime, err
}

// startTimeOf returns when a living process started; false where there is
// none of that id or only its remains. A process whose first thread has ended
// lives on in its others, which still hold its files and ports.
func startTimeOf(pid int) (uint64, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	state, _, startTime, err := parseStat(string(data))
	if err != nil {
		return 0, false
	}
	if state == 'Z' || state == 'X' {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		return startTime, err == nil && len(threads) > 1
	}
	return startTime, true
}

// bootID tells one run of the machine from the next, in which process ids and
// start times begin anew.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// processTable lists each process's parent and arguments.
func processTable() (parents map[int]int, arguments map[int][]string) {
	parents, arguments = map[int]int{}, map[int][]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return parents, arguments
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue
		}
		if _, parent, _, err := parseStat(string(stat)); err == nil {
			parents[pid] = parent
		}
		if line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline")); err == nil {
			arguments[pid] = strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
		}
	}
	return parents, arguments
}

// descendants returns the given processes and all below them, parents first.
func descendants(roots []int, parents map[int]int) []int {
	children := map[int][]int{}
	for pid, parent := range parents {
		children[parent] = append(children[parent], pid)
	}
	var all []int
	queue := slices.Clone(roots)
	for len(queue) > 0 {
		pid := queue[0]
		queue = queue[1:]
		if slices.Contains(all, pid) {
			continue
		}
		all = append(all, pid)
		slices.Sort(children[pid])
		queue = append(queue, children[pid]...)
	}
	return all
}

// shimsOf picks the processes that are shims of the containerd at a socket.
func shimsOf(socket string, arguments map[int][]string) []int {
	var shims []int
	for pid, line := range arguments {
		if !strings.HasPrefix(filepath.Base(line[0]), "containerd-shim") {
			continue
		}
		if i := slices.Index(line, "-address"); i >= 0 && i+1 < len(line) && line[i+1] == socket {
			shims = append(shims, pid)
		}
	}
	slices.Sort(shims)
	return shims
}

// processID is a process for certain: the id alone may be given to another
// one after its end.
type processID struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime"`
	Boot      string `json:"boot"`
}

func (p processID) alive() bool {
	startTime, ok := startTimeOf(p.PID)
	return ok && startTime == p.StartTime && p.Boot == bootID()
}

// identify notes living processes by id and start time.
func identify(pids []int) []processID {
	boot := bootID()
	var processes []processID
	for _, pid := range pids {
		if startTime, ok := startTimeOf(pid); ok {
			processes = append(processes, processID{PID: pid, StartTime: startTime, Boot: boot})
		}
	}
	return processes
}

// end asks processes to end, and kills those that are still there after the
// grace period.
func end(processes []processID, grace time.Duration) error {
	signalAll := func(signal syscall.Signal) {
		for _, process := range processes {
			if process.alive() {
				// One that ended in between is what is wanted.
				_ = syscall.Kill(process.PID, signal)
			}
		}
	}
	alive := func() (left []int) {
		for _, process := range processes {
			if process.alive() {
				left = append(left, process.PID)
			}
		}
		return left
	}
	gone := func(limit time.Duration) bool {
		for deadline := time.Now().Add(limit); len(alive()) > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				return false
			}
		}
		return true
	}
	if grace > 0 {
		signalAll(syscall.SIGTERM)
		if gone(grace) {
			return nil
		}
	}
	signalAll(syscall.SIGKILL)
	if !gone(10 * time.Second) {
		return errors.New("processes don't end even when killed: " + fmt.Sprint(alive()))
	}
	return nil
}
