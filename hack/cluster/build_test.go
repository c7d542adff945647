/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestBinaries(t *testing.T) {
	b := build{module: "coredns", packages: []string{".", "./etcd", "example.com/cmd/kubelet"}}
	if got := b.binaries(); !slices.Equal(got, []string{"coredns", "etcd", "kubelet"}) {
		t.Errorf("got %v", got)
	}
}

func TestBuildIsRepeatedForOtherPinsOrAMissingProgram(t *testing.T) {
	l := newLayout(t.TempDir())
	b := build{module: "ko", packages: []string{"example.com/ko"}}
	write := func(path, text string) {
		t.Helper()
		if err := writeFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	gomod := filepath.Join(l.Checkout, "third_party", "ko", "go.mod")
	if _, err := b.stamp(l); err == nil {
		t.Error("a checkout without third_party went unnoticed")
	}
	write(gomod, "module a")
	stamp, err := b.stamp(l)
	if err != nil {
		t.Fatal(err)
	}
	if b.upToDate(l, stamp) {
		t.Error("up to date before the first build")
	}
	write(filepath.Join(l.stamps(), "ko"), stamp+"\n")
	if b.upToDate(l, stamp) {
		t.Error("up to date without the program")
	}
	write(l.bin("ko"), "")
	if !b.upToDate(l, stamp) {
		t.Error("not up to date after the build")
	}
	write(gomod, "module b")
	if other, err := b.stamp(l); err != nil || b.upToDate(l, other) {
		t.Errorf("up to date with other pins: %v", err)
	}
	if err := os.Remove(l.bin("ko")); err != nil {
		t.Fatal(err)
	}
}

func TestPinsAreThere(t *testing.T) {
	for _, b := range builds {
		if _, err := os.Stat(filepath.Join("..", "..", "third_party", b.module, "go.mod")); err != nil {
			t.Error(err)
		}
	}
}
