/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import "testing"

func TestGoalsAreJudgedByTheMedian(t *testing.T) {
	for _, c := range []struct {
		goal     Goal
		measured float64
		want     Verdict
	}{
		{Goal{Limit: 1, Milestone: 1.2}, 1, Pass},
		{Goal{Limit: 1, Milestone: 1.2}, 1.01, Milestone},
		{Goal{Limit: 1}, 1.004, Pass},
		{Goal{Limit: 1, Milestone: 1.2}, 1.21, Miss},
		{Goal{Limit: 1}, 1.006, Miss},
		{Goal{Limit: 1, AtLeast: true}, 1, Pass},
		{Goal{Limit: 1, AtLeast: true}, 0.99, Miss},
	} {
		if got := c.goal.judge(c.measured); got != c.want {
			t.Errorf("%s: %v is %s, want %s", c.goal, c.measured, got, c.want)
		}
	}
}

func goalResult() *Result {
	return &Result{
		Starts: []float64{40, 20, 30}, BinaryBytes: 19e6,
		Cells: []Cell{{Name: "http1-1KB", Arms: []Arm{
			{Name: Bare, Rounds: []Round{{CPU: 100, P50: 10, P99: 20}, {CPU: 100, P50: 10, P99: 20}}},
			{Name: All, Rounds: []Round{{CPU: 110, P50: 10, P99: 30, AnonymousPeak: 8 << 20}, {CPU: 120, P50: 10, P99: 40, AnonymousPeak: 17 << 20}}},
			{Name: Again, Rounds: []Round{{CPU: 98}, {CPU: 96}}},
			{Name: Nothing, Rounds: rounds(90, 90)},
			{Name: Peer, Rounds: rounds(200, 210)},
		}}},
	}
}

func TestARunIsJudgedByWhatItMeasured(t *testing.T) {
	result := goalResult()
	verdicts := make(map[string]Verdict)
	for _, j := range Judge(result, append(Goals(), PeerGoals(result)...)) {
		verdicts[j.What] = j.Verdict
	}
	want := map[string]Verdict{
		"CPU, 1 KB, both events":          Milestone,
		"CPU, 1 KB, nothing logged":       Pass,
		"p50, 1 KB, both events":          Pass,
		"p99, 1 KB, both events":          Miss,
		"peak RssAnon, 1 KB, both events": Miss,
		"size of the binary":              Pass,
		"start to serving":                Pass,
		"CPU, http1-1KB, peer to all":     Pass,
	}
	for what, verdict := range want {
		if verdicts[what] != verdict {
			t.Errorf("%s: %q, want %q", what, verdicts[what], verdict)
		}
	}
	if len(verdicts) != len(want) {
		t.Errorf("got %v", verdicts)
	}
}
