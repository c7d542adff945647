/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package procs

import (
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the CPU time of the process so far, and whether it is known.
func processTime() (time.Duration, bool) {
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used); err != nil {
		return 0, false
	}
	return time.Duration(used.Nano()), true
}
