/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"slices"
	"testing"

	"github.com/sidenote-dev/sidenote/test/performance/report"
)

func TestEachArmBeginsOnceAndComesOnceAfterEveryOther(t *testing.T) {
	const count = 6
	first, after := make(map[int]int), make(map[[2]int]int)
	for round := range count {
		arms := order(count, round)
		first[arms[0]]++
		for i := range count - 1 {
			after[[2]int{arms[i], arms[i+1]}]++
		}
		if slices.Sort(arms); !slices.Equal(arms, []int{0, 1, 2, 3, 4, 5}) {
			t.Errorf("round %d: %v", round, arms)
		}
	}
	if len(first) != count || len(after) != count*(count-1) {
		t.Errorf("%d arms begin, and %d pairs follow each other, of %d and %d", len(first), len(after), count, count*(count-1))
	}
}

func names(cells []cell) []string {
	var all []string
	for _, c := range cells {
		all = append(all, c.name)
	}
	return all
}

func TestCellsAreChosenByName(t *testing.T) {
	short, err := choose(cells(false), options{})
	if err != nil {
		t.Fatal(err)
	}
	full, err := choose(cells(true), options{full: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(full) <= len(short) || slices.Contains(names(short), "h2c-64KB") || !slices.Contains(names(full), "h2c-64KB") {
		t.Errorf("short %v, full %v", names(short), names(full))
	}
	one, err := choose(cells(false), options{cells: "^h2c-64KB$", rate: 7, environment: "A=b"})
	if err != nil || len(one) != 1 || one[0].rate != 7 || !slices.Equal(one[0].environment, []string{"A=b"}) {
		t.Errorf("got %v, %v", one, err)
	}
	if _, err := choose(cells(true), options{cells: "nothing like it"}); err == nil {
		t.Error("nothing is chosen, and nothing is said")
	}
}

// TestACellHasOneName: results are found by it.
func TestACellHasOneName(t *testing.T) {
	all := names(cells(true))
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("got %v", all)
	}
}

// TestGoalsAreAboutWhatIsMeasured: a name that is misspelt would never be
// judged.
func TestGoalsAreAboutWhatIsMeasured(t *testing.T) {
	result := &report.Result{Starts: []float64{1}, BinaryBytes: 1}
	for _, c := range cells(false) {
		measured := report.Cell{Name: c.name}
		for _, arm := range c.arms {
			measured.Arms = append(measured.Arms, report.Arm{Name: arm, Rounds: []report.Round{{CPU: 1, P50: 1, P99: 1, PerSecond: 1, AnonymousPeak: 1}}})
		}
		if !c.full {
			result.Cells = append(result.Cells, measured)
		}
	}
	if got, want := len(report.Judge(result, report.Goals())), len(report.Goals()); got != want {
		t.Errorf("%d of %d goals are judged", got, want)
	}
}

func TestEveryArmOfACellCanBeStarted(t *testing.T) {
	started := make(map[string]bool)
	for _, a := range arms(binaries{peer: &peer{}}) {
		started[a.name] = true
	}
	for _, c := range cells(true) {
		for _, arm := range c.arms {
			if !started[arm] {
				t.Errorf("cell %s: there is no arm %q", c.name, arm)
			}
		}
	}
}

func TestAnAgentThatFailsFailsTheRun(t *testing.T) {
	result := &report.Result{Cells: []report.Cell{{Name: "c", Arms: []report.Arm{{Name: report.All}, {Name: report.Peer, Failure: "broken"}}}}}
	if err := failures(result); err != nil {
		t.Errorf("a peer that fails: %v", err)
	}
	result.Cells[0].Arms[0].Failure = "no events"
	if failures(result) == nil {
		t.Error("nothing is said")
	}
}
