/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEverySentenceHasAStep tests that each statement of the contract is named by a
// step, by a test elsewhere or as an explanation, and that nothing else is named.
func TestEverySentenceHasAStep(t *testing.T) {
	named := make(map[string]bool)
	for _, step := range steps(t) {
		if (step.Run == nil) == (step.Alone == nil) || len(step.Statements) == 0 {
			t.Errorf("the step %q has no check or no statement", step.Name)
		}
		for _, statement := range step.Statements {
			named[statement] = true
		}
	}
	for _, statement := range explanations {
		if named[statement] {
			t.Errorf("an explanation has a step: %s", statement)
		}
		named[statement] = true
	}
	for statement := range elsewhere {
		if named[statement] {
			t.Errorf("a step here and a test elsewhere, or an explanation: %s", statement)
		}
		named[statement] = true
	}
	for _, statement := range Statements(contract(t)) {
		if !named[statement] {
			t.Errorf("nothing checks this: %s", statement)
		}
		delete(named, statement)
	}
	for statement := range named {
		t.Errorf("the contract doesn't say this any more: %s", statement)
	}
}

// TestEveryTestElsewhereExists tests that the tests which hold the rest are there.
func TestEveryTestElsewhereExists(t *testing.T) {
	declared := make(map[string]bool)
	declaration := regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
	if err := filepath.WalkDir("../../internal", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		for _, found := range declaration.FindAllStringSubmatch(string(content), -1) {
			declared[found[1]] = true
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for statement, tests := range elsewhere {
		for _, test := range tests {
			if !declared[test] {
				t.Errorf("%s is no test, and should hold: %s", test, statement)
			}
		}
	}
}

// TestOneName tests that no two steps, and no two loggers, have one name.
func TestOneName(t *testing.T) {
	seen := make(map[string]bool)
	for _, step := range steps(t) {
		if seen[step.Name] {
			t.Errorf("two steps are named %q", step.Name)
		}
		seen[step.Name] = true
	}
	for _, logger := range Loggers {
		if seen[logger.Name] {
			t.Errorf("two loggers are named %q", logger.Name)
		}
		seen[logger.Name] = true
	}
}
