/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestStartedProgramsInheritNoDescriptors(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	// Unlike Go's own files, a duplicate stays open in programs that are started.
	inherited, err := syscall.Dup(int(null.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(inherited)
	child := []string{"-e", fmt.Sprintf("/proc/self/fd/%d", inherited)}
	if err := exec.Command("test", child...).Run(); err != nil {
		t.Fatalf("a started program has no descriptor %d before: %v", inherited, err)
	}
	if err := keepDescriptors(); err != nil {
		t.Fatal(err)
	}
	if exec.Command("test", child...).Run() == nil {
		t.Errorf("a started program inherits descriptor %d", inherited)
	}
}
