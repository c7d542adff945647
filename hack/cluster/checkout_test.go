/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFindCheckout(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	checkout := filepath.Join(root, "checkout")
	module := filepath.Join(checkout, "hack", "cluster")
	if err := writeFile(filepath.Join(module, "go.mod"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink(checkout, link); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{checkout, module, link} {
		if found, err := findCheckout(from); err != nil || found != checkout {
			t.Errorf("from %s: %q, %v; want %s", from, found, err, checkout)
		}
	}
	if found, err := findCheckout(root); err == nil {
		t.Errorf("outside a checkout: found %s", found)
	}
}
