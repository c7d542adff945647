/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mutant is one change to the source, and the test that fails for it. Paths
// are relative to the repository.
type mutant struct {
	name string
	// file has old exactly once, and new in its place.
	file, old, new string
	// folder is the test's, and test its name.
	folder, test string
}

// applicable says why a mutant can't be made.
func (m mutant) applicable() error {
	if _, err := m.broken(); err != nil {
		return err
	}
	tests, err := filepath.Glob(filepath.Join(m.folder, "*_test.go"))
	if err != nil {
		return fmt.Errorf("looking for tests: %w", err)
	}
	for _, file := range tests {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading a test: %w", err)
		}
		if strings.Contains(string(content), "\nfunc "+m.test+"(") {
			return nil
		}
	}
	return fmt.Errorf("there is no %s in %s", m.test, m.folder)
}

// broken returns the source with the change.
func (m mutant) broken() (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", fmt.Errorf("reading the source: %w", err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("%s has its text %d times instead of once: write the mutant anew", m.file, n)
	}
	return strings.Replace(string(source), m.old, m.new, 1), nil
}

// try returns nil if the test notices.
func (m mutant) try() error {
	output, err := m.goWithOverlay("test", "-count=1", "-timeout=10m", "-run=^"+m.test+"$", "./"+m.folder)
	switch {
	case err == nil:
		return fmt.Errorf("%s passes", m.test)
	case !strings.Contains(output, "--- FAIL: "+m.test):
		return fmt.Errorf("%s did not run: %w\n%s", m.test, err, output)
	}
	return nil
}

// compile returns nil if the broken package compiles.
func (m mutant) compile() error {
	if output, err := m.goWithOverlay("build", "./"+filepath.Dir(m.file)); err != nil {
		return fmt.Errorf("it does not compile: %w\n%s", err, output)
	}
	return nil
}

// goWithOverlay runs go with the broken file in place of the source's.
func (m mutant) goWithOverlay(arguments ...string) (string, error) {
	directory, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(directory)
	overlay, err := m.overlay(directory)
	if err != nil {
		return "", err
	}
	command := exec.Command("go", arguments...)
	command.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	output, err := command.CombinedOutput()
	return string(output), err
}

// overlay writes the broken file, and the overlay that puts it in place.
func (m mutant) overlay(directory string) (string, error) {
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", m.file, err)
	}
	source, err := m.broken()
	if err != nil {
		return "", err
	}
	broken := filepath.Join(directory, filepath.Base(m.file))
	if err := os.WriteFile(broken, []byte(source), 0o600); err != nil {
		return "", fmt.Errorf("writing the mutant: %w", err)
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	overlay := filepath.Join(directory, "overlay.json")
	if err := os.WriteFile(overlay, content, 0o600); err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	return overlay, nil
}
