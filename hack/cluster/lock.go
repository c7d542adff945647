/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"os"
	"syscall"
)

// lockCluster keeps a second up or down of the same checkout waiting until
// this one is over, however it ends.
func lockCluster(l layout, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(l.Root, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(l.lock(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		waiting()
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("locking %s: %w", l.lock(), err)
		}
	}
	return func() { _ = file.Close() }, nil
}
