/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	state, parent, startTime, err := parseStat("42 (a (odd) name) S 7 42 42 0 -1 4194560 1 0 0 0 3 1 0 0 20 0 9 0 123456 1000 200")
	if err != nil || state != 'S' || parent != 7 || startTime != 123456 {
		t.Errorf("state %c, parent %d, start %d, %v", state, parent, startTime, err)
	}
	for _, line := range []string{"", "42 (short) S 7", "42 no command"} {
		if _, _, _, err := parseStat(line); err == nil {
			t.Errorf("%q was read", line)
		}
	}
}

func TestDescendants(t *testing.T) {
	parents := map[int]int{2: 1, 3: 1, 4: 3, 5: 4, 9: 8}
	if got, want := descendants([]int{3, 9}, parents), []int{3, 9, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestShimsAreThoseOfOneSocket(t *testing.T) {
	arguments := map[int][]string{
		1: {"/x/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "a", "-address", "/mine.sock"},
		2: {"/usr/bin/containerd-shim-runc-v2", "-id", "b", "-address", "/run/containerd/containerd.sock"},
		3: {"grep", "-address", "/mine.sock"},
		4: {"/usr/bin/containerd-shim-runc-v2", "-address"},
		5: {""},
	}
	if got := shimsOf("/mine.sock", arguments); !slices.Equal(got, []int{1}) {
		t.Errorf("got %v", got)
	}
}

func startSleep(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(arguments[0], arguments[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() { _ = cmd.Wait() }()
	return cmd
}

func TestAnotherProcessOfTheSameIDIsSpared(t *testing.T) {
	cmd := startSleep(t, "sleep", "60")
	process := identify([]int{cmd.Process.Pid})[0]
	older, otherBoot := process, process
	older.StartTime--
	otherBoot.Boot = "another"
	if err := end([]processID{older, otherBoot}, time.Second); err != nil {
		t.Fatal(err)
	}
	if !process.alive() {
		t.Fatal("a process was ended that isn't the one noted")
	}
	if err := end([]processID{process}, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if process.alive() {
		t.Error("the process noted lives on")
	}
}

func TestStubbornProcessIsKilled(t *testing.T) {
	cmd := startSleep(t, "sh", "-c", `trap "" TERM; while :; do sleep 0.1; done`)
	process := identify([]int{cmd.Process.Pid})[0]
	if err := end([]processID{process}, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if process.alive() {
		t.Error("it lives on")
	}
}
