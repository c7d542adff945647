/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData writes a file's bytes and its size, but not its times, to the disk.
func syncData(file *os.File) error {
	for {
		err := unix.Fdatasync(int(file.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// lock holds a directory until the file is closed, by whatever end of the
// process.
func lock(directory *os.File) error {
	return os.NewSyscallError("flock", unix.Flock(int(directory.Fd()), unix.LOCK_EX|unix.LOCK_NB))
}
