/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import (
	"strings"
	"testing"
)

func TestTableLinesUpAndLeavesEmptyColumnsOut(t *testing.T) {
	got := table([][]string{{"a", "empty", "b"}, {"1", "", "µ"}, {"22"}})
	want := "| a  | b |\n|----|---|\n| 1  | µ |\n| 22 |   |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestGoalTableShowsReachedGoals(t *testing.T) {
	got := GoalTable(Judge(goalResult(), Goals()))
	for _, want := range []string{
		"| CPU, 1 KB, both events          | ≤ 1.00   | 1.15     | 1.10 to 1.20      | 0.97             | miss (milestone 1.20) reached |",
		"| CPU, 1 KB, nothing logged       | ≤ 1.00   | 0.90     |                   | 0.97             | pass                          |",
		"| peak RssAnon, 1 KB, both events | ≤ 16 MiB | 17 MiB   |                   |                  | miss                          |",
		"| start to serving                | ≤ 30 ms  | 30 ms    | 20 ms to 40 ms    |                  | pass                          |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swithout\n%s", got, want)
		}
	}
}

func TestCellTableTellsOfFailuresAndLateness(t *testing.T) {
	cell := &Cell{Name: "http1-1KB", What: "HTTP/1.1", Unit: "an exchange", Rate: 1000, Connections: 4, Arms: []Arm{
		{Name: Bare, Rounds: []Round{{CPU: 100, P50: 500, Late: true, LatenessP99: 3000}}},
		{Name: All, Rounds: []Round{{CPU: 150, P50: 1000}}},
		{Name: Nothing, Failure: "the sink got 3 events, want 0"},
	}}
	got := CellTable(cell)
	for _, want := range []string{
		"**http1-1KB**: HTTP/1.1, 1000/s, 4 connections; costs are for an exchange",
		"| all            | 150.0   | 1.50 ",
		"nothing logged failed: the sink got 3 events, want 0",
		"bare proxy: the generator was late in 1 of 1 rounds",
		"late by at most 3.00 ms",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swithout %q", got, want)
		}
	}
}
