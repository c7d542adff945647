/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSyncsReachTheKernel: nothing that a process can read shows whether a file
// was synced, but the kernel refuses to sync a pipe (fsync(2), EINVAL). So the
// real filesystem is given pipes in place of its file and of its directory. A
// sync that isn't made refuses nothing.
func TestSyncsReachTheKernel(t *testing.T) {
	directory, err := OpenDirectory(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	file, err := directory.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, sync := range map[string]func() error{"a file": file.Sync, "the directory": directory.SyncDirectory} {
		if err := sync(); err != nil {
			t.Errorf("%s isn't synced: %v", name, err)
		}
	}

	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	defer reader.Close()
	// The descriptors stay the same, and so whatever syncs them meets the pipe.
	for name, replaced := range map[string]*os.File{"a file": file.(osFile).File, "the directory": directory.handle} {
		if err := syscall.Dup3(int(writer.Fd()), int(replaced.Fd()), syscall.O_CLOEXEC); err != nil {
			t.Fatalf("replacing %s: %v", name, err)
		}
	}
	for name, sync := range map[string]func() error{"a file": file.Sync, "the directory": directory.SyncDirectory} {
		if err := sync(); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("the sync of %s comes to %v, and the kernel refuses to sync a pipe", name, err)
		}
	}
}
