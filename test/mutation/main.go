/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Mutation breaks the agent's promises in its source, one at a time, and runs
// the test that is to notice. A test that passes all the same shows nothing.
//
//	go run ./test/mutation          # all of them, some minutes
//	go run ./test/mutation fsync    # those with fsync in their names
//
// No file of the tree is touched: what is broken is an overlay (go help build,
// -overlay), which the agent that test/faults builds gets, too.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	only := ""
	if len(os.Args) > 1 {
		only = os.Args[1]
	}
	if err := run(only); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(only string) error {
	var unnoticed []string
	tried := 0
	for _, m := range mutants {
		if !strings.Contains(m.name, only) {
			continue
		}
		tried++
		begun := time.Now()
		outcome := "noticed by " + m.test
		if err := m.try(); err != nil {
			outcome = err.Error()
			unnoticed = append(unnoticed, m.name)
		}
		fmt.Printf("%s: %s (%s)\n", m.name, outcome, time.Since(begun).Round(time.Second))
	}
	switch {
	case tried == 0:
		return fmt.Errorf("none has %q in its name", only)
	case len(unnoticed) > 0:
		return fmt.Errorf("%d of %d went unnoticed: %s", len(unnoticed), tried, strings.Join(unnoticed, "; "))
	}
	return nil
}

// mutant is one change to the source, and the test that fails for it.
type mutant struct {
	name string
	// file has old exactly once, and new in its place.
	file, old, new string
	// folder is the test's, and test its name.
	folder, test string
}

var errAmbiguous = errors.New("its file has the text not exactly once: write the mutant anew")

// try gives nil where the test notices.
func (m mutant) try() error {
	directory, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(directory)
	overlay, err := m.overlay(directory)
	if err != nil {
		return err
	}
	test := exec.Command("go", "test", "-count=1", "-timeout=10m", "-run=^"+m.test+"$", "./"+m.folder)
	test.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	output, err := test.CombinedOutput()
	switch {
	case strings.Contains(string(output), "no tests to run"):
		return fmt.Errorf("there is no %s in %s", m.test, m.folder)
	case err == nil:
		return fmt.Errorf("%s passes", m.test)
	case !strings.Contains(string(output), "--- FAIL: "+m.test):
		return fmt.Errorf("%s did not run: %w\n%s", m.test, err, output)
	}
	return nil
}

// overlay writes the broken file, and the overlay that puts it in place.
func (m mutant) overlay(directory string) (string, error) {
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", m.file, err)
	}
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("reading the source: %w", err)
	}
	if strings.Count(string(source), m.old) != 1 {
		return "", errAmbiguous
	}
	broken := filepath.Join(directory, filepath.Base(m.file))
	if err := os.WriteFile(broken, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
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
