/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Mutation breaks promises in the source, one at a time, and runs
// the test that is to notice. A test that passes nevertheless shows nothing.
//
//	go run ./test/mutation          # all of them, some minutes
//	go run ./test/mutation fsync    # those with fsync in their names
//	go run ./test/mutation -quick   # those that unit tests notice
//	go run ./test/mutation -check   # whether each can still be made
//
// No file of the tree is touched: what is broken is an overlay (go help build,
// -overlay), which the agent that test/faults builds gets, too.
//
// Before anything runs, every mutant is checked: its file has its text exactly
// once, and its test exists. So a mutant that the source has outgrown fails the
// whole run at once. -check also compiles each.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	check := flag.Bool("check", false, "only see whether each mutant can be made and compiles")
	quick := flag.Bool("quick", false, "leave out those that only the battery notices")
	flag.Parse()
	if err := run(os.Stdout, flag.Arg(0), *check, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, only string, check, quick bool) error {
	chosen := choose(mutants, only, quick)
	if len(chosen) == 0 {
		return fmt.Errorf("no mutant has %q in its name", only)
	}
	if err := applicable(chosen); err != nil {
		return err
	}
	do := mutant.try
	if check {
		do = mutant.compile
	}
	var failed []string
	for i, m := range chosen {
		begun := time.Now()
		outcome := "noticed by " + m.test
		if check {
			outcome = "compiles"
		}
		if err := do(m); err != nil {
			outcome = err.Error()
			failed = append(failed, m.name)
		}
		fmt.Fprintf(out, "%d/%d %s: %s (%s)\n", i+1, len(chosen), m.name, outcome, time.Since(begun).Round(time.Second))
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d failed: %s", len(failed), len(chosen), strings.Join(failed, "; "))
	}
	return nil
}

func choose(from []mutant, only string, quick bool) []mutant {
	var chosen []mutant
	for _, m := range from {
		if strings.Contains(m.name, only) && (!quick || m.folder != faultsTests) {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

// applicable names every mutant that can't be made.
func applicable(chosen []mutant) error {
	var errs []error
	for _, m := range chosen {
		if err := m.applicable(); err != nil {
			errs = append(errs, fmt.Errorf("the mutant %q can't be made: %w", m.name, err))
		}
	}
	return errors.Join(errs...)
}
