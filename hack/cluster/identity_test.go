/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"os"
	"testing"
)

func anyPort(int) bool { return true }

func TestTwoCheckoutsShareNothing(t *testing.T) {
	one, err := chooseIdentity("/home/a/sidenote", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	other, err := chooseIdentity("/home/b/sidenote", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	if one.Name == other.Name {
		t.Errorf("both are named %s", one.Name)
	}
	taken := map[int]bool{one.RegistryPort: true, one.APIPort: true, one.IngressPort: true}
	if len(taken) != 3 {
		t.Errorf("ports are not three: %v", taken)
	}
	for _, port := range []int{other.RegistryPort, other.APIPort, other.IngressPort} {
		if taken[port] {
			t.Errorf("both have port %d", port)
		}
	}
}

func TestTakenPortsAreSkipped(t *testing.T) {
	first, err := chooseIdentity("/checkout", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	next, err := chooseIdentity("/checkout", func(port int) bool { return port != first.APIPort })
	if err != nil {
		t.Fatal(err)
	}
	if next.RegistryPort != first.RegistryPort || next.APIPort != first.IngressPort || next.IngressPort == first.APIPort {
		t.Errorf("with port %d taken: %+v", first.APIPort, next)
	}
	if _, err := chooseIdentity("/checkout", func(int) bool { return false }); err == nil {
		t.Error("ports were found where none is free")
	}
}

func TestIdentityIsKept(t *testing.T) {
	l := newLayout(t.TempDir())
	if _, err := readIdentity(l); !errors.Is(err, errNoCluster) {
		t.Fatalf("before: %v", err)
	}
	first, err := ensureIdentity(l)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ensureIdentity(l)
	if err != nil || again != first {
		t.Errorf("then %+v, %v; first %+v", again, err, first)
	}
}

func TestCopiedFolderIsNoCluster(t *testing.T) {
	original, copied := newLayout(t.TempDir()), newLayout(t.TempDir())
	first, err := ensureIdentity(original)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(original.record())
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		copied.record():           data,
		copied.certificate("ca"):  []byte("the other's"),
		copied.bin("etcd"):        []byte("a program"),
		copied.process("kubelet"): []byte("{}"),
	} {
		if err := writeFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	second, err := ensureIdentity(copied)
	if err != nil {
		t.Fatal(err)
	}
	if second.Name == first.Name {
		t.Errorf("the copy is named %s too", first.Name)
	}
	if _, err := os.Stat(copied.state()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other's state is still there: %v", err)
	}
	if _, err := os.Stat(copied.bin("etcd")); err != nil {
		t.Errorf("what was built is gone: %v", err)
	}
}
