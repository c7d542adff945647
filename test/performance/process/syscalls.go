/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attachTime is given to perf until it counts: it doesn't tell.
const attachTime = 300 * time.Millisecond

// CountSyscalls counts the system calls of the process while work is done. It
// needs perf, and root or the right to trace: an error says that nothing was
// counted, or is the work's.
func (p *Process) CountSyscalls(work func() error) (int64, error) {
	perf, err := exec.LookPath("perf")
	if err != nil {
		return 0, fmt.Errorf("counting system calls: %w", err)
	}
	var said bytes.Buffer
	counting := exec.Command(perf, "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", strconv.Itoa(p.PID()))
	counting.Stderr = &said
	counting.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := counting.Start(); err != nil {
		return 0, fmt.Errorf("counting system calls: %w", err)
	}
	time.Sleep(attachTime)
	err = work()
	// perf writes its count when it is interrupted.
	_ = counting.Process.Signal(os.Interrupt)
	_ = counting.Wait()
	if err != nil {
		return 0, err
	}
	return parseCount(said.String())
}

// parseCount reads what perf stat -x, says of one event.
func parseCount(said string) (int64, error) {
	for line := range strings.Lines(said) {
		count, rest, _ := strings.Cut(line, ",")
		if !strings.Contains(rest, "raw_syscalls:sys_enter") {
			continue
		}
		number, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("perf counted nothing: %q", line)
		}
		return number, nil
	}
	return 0, errors.New("perf counted nothing: " + strings.TrimSpace(said))
}
