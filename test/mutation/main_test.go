/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryMutantCanBeMade: a mutant that the source has outgrown shows
// nothing any more.
func TestEveryMutantCanBeMade(t *testing.T) {
	t.Chdir("../..")
	if err := applicable(mutants); err != nil {
		t.Error(err)
	}
	var names []string
	for _, m := range mutants {
		if slices.Contains(names, m.name) {
			t.Errorf("two mutants are named %q", m.name)
		}
		names = append(names, m.name)
	}
}

// TestAMutantThatCannotBeMadeFailsTheRun, and the run says which and why.
func TestAMutantThatCannotBeMadeFailsTheRun(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"a.go": "package a\n\nvar x, y = 1, 1\n", "a_test.go": "package a\n\nfunc TestA(t *testing.T) {}\n"} {
		if err := os.WriteFile(filepath.Clean(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sound := mutant{"sound", "a.go", "var x", "var z", ".", "TestA"}
	if err := applicable([]mutant{sound}); err != nil {
		t.Errorf("a sound mutant: %v", err)
	}
	for want, change := range map[string]func(*mutant){
		"0 times instead of once": func(m *mutant) { m.old = "var q" },
		"4 times instead of once": func(m *mutant) { m.old = "a" },
		"no such file":            func(m *mutant) { m.file = "b.go" },
		"no TestB in .":           func(m *mutant) { m.test = "TestB" },
	} {
		rotten := sound
		rotten.name = "rotten"
		change(&rotten)
		err := applicable([]mutant{sound, rotten})
		if err == nil || !strings.Contains(err.Error(), `"rotten"`) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), `"sound"`) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
