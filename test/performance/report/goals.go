/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import (
	"fmt"
	"math"
	"slices"
)

// Goal is what a run is judged by.
type Goal struct {
	// What is measured, for people.
	What string
	// Limit is the most that is good, or with AtLeast the least.
	Limit   float64
	AtLeast bool
	// Milestone is a limit on the way to Limit; 0 is none.
	Milestone float64
	// Unit follows the figure; a ratio has none.
	Unit string
	// measure gives a median of NaN where the run has nothing for it.
	measure func(*Result) Estimate
	// again is the same of the bare proxy, twice: what the run can't tell apart.
	// It is nil where the goal is no ratio.
	again func(*Result) Estimate
}

// Judgement is a goal beside what was measured.
type Judgement struct {
	What      string   `json:"what"`
	Goal      string   `json:"goal"`
	Measured  Estimate `json:"measured"`
	Unit      string   `json:"unit,omitempty"`
	Verdict   Verdict  `json:"verdict"`
	Milestone float64  `json:"milestone,omitempty"`
	// Again is nil if there is none.
	Again *Estimate `json:"again,omitempty"`
}

// Verdict says whether a goal was reached.
type Verdict string

// The verdicts.
const (
	Pass      Verdict = "pass"
	Milestone Verdict = "milestone"
	Miss      Verdict = "miss"
)

// Judge returns the judgement of each goal that the run measured.
func Judge(result *Result, goals []Goal) []Judgement {
	var judgements []Judgement
	for _, goal := range goals {
		measured := goal.measure(result)
		if math.IsNaN(measured.Median) {
			continue
		}
		judgement := Judgement{
			What:      goal.What,
			Goal:      goal.String(),
			Measured:  measured,
			Unit:      goal.Unit,
			Verdict:   goal.judge(measured.Median),
			Milestone: goal.Milestone,
		}
		if goal.again != nil {
			if again := goal.again(result); !math.IsNaN(again.Median) {
				judgement.Again = &again
			}
		}
		judgements = append(judgements, judgement)
	}
	return judgements
}

// judge goes by a ratio as it is shown, with two places.
func (g Goal) judge(measured float64) Verdict {
	if g.Unit == "" {
		measured = math.Round(measured*100) / 100
	}
	reaches := func(limit float64) bool {
		if g.AtLeast {
			return measured >= limit
		}
		return measured <= limit
	}
	switch {
	case reaches(g.Limit):
		return Pass
	case g.Milestone != 0 && reaches(g.Milestone):
		return Milestone
	default:
		return Miss
	}
}

// String says what is to be reached.
func (g Goal) String() string {
	sign := "≤"
	if g.AtLeast {
		sign = "≥"
	}
	return fmt.Sprintf("%s %s", sign, figure(g.Limit, g.Unit))
}

// figure writes a ratio with two places, and anything else with a unit.
func figure(value float64, unit string) string {
	if unit == "" {
		return fmt.Sprintf("%.2f", value)
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}

const (
	mebibyte = 1 << 20
	megabyte = 1e6
)

// Goals are those of the agent.
func Goals() []Goal {
	goals := []Goal{
		ratioGoal("CPU, 1 KB, both events", "http1-1KB", All, Bare, CPU, 1.00, 1.2),
		ratioGoal("CPU, 64 KB, both events", "http1-64KB", All, Bare, CPU, 1.15, 1.4),
		ratioGoal("CPU, 1 KB, nothing logged", "http1-1KB", Nothing, Bare, CPU, 1.00, 0),
		ratioGoal("CPU, 64 KB, nothing logged", "http1-64KB", Nothing, Bare, CPU, 1.00, 0),
		ratioGoal("p50, 1 KB, both events", "http1-1KB", All, Bare, P50, 1.10, 0),
		ratioGoal("p99, 1 KB, both events", "http1-1KB", All, Bare, P99, 1.10, 0),
		ratioGoal("p50, 64 KB, both events", "http1-64KB", All, Bare, P50, 1.10, 0),
		ratioGoal("p99, 64 KB, both events", "http1-64KB", All, Bare, P99, 1.10, 0),
		ratioGoal("CPU of an SSE chunk", "sse-200", All, Bare, CPU, 1.10, 0),
		atLeast(ratioGoal("exchanges a second, saturated, both cores", "saturation-1KB", All, Bare, Logged, 1.00, 0)),
		atLeast(ratioGoal("exchanges a second, saturated, GOMAXPROCS=1", "saturation-1KB-1p", All, Bare, Logged, 1.00, 0)),
	}
	for _, size := range []string{"1 KB", "64 KB"} {
		cell := "http1-" + size[:len(size)-3] + "KB"
		for _, arm := range []string{SlowSink, DeadSink, HangingSink} {
			goals = append(goals, ratioGoal(fmt.Sprintf("CPU, %s, %s, to %s", size, arm, All), cell, arm, All, CPU, 1.00, 0))
		}
	}
	return append(goals,
		Goal{What: "peak RssAnon, 1 KB, both events", Limit: 16, Unit: "MiB", measure: peakAnonymous},
		Goal{What: "size of the binary", Limit: 20, Unit: "MB", measure: func(r *Result) Estimate {
			if r.BinaryBytes == 0 {
				return Estimated(nil)
			}
			return Estimated([]float64{float64(r.BinaryBytes) / megabyte})
		}},
		Goal{What: "start to serving", Limit: 30, Unit: "ms", measure: func(r *Result) Estimate { return Estimated(r.Starts) }},
	)
}

// PeerGoals compare a peer's CPU with the agent's, in each cell that has both.
func PeerGoals(result *Result) []Goal {
	var goals []Goal
	for _, cell := range result.Cells {
		for _, arm := range []string{All} {
			if cell.Arm(Peer) != nil && cell.Arm(arm) != nil {
				goals = append(goals, atLeast(ratioGoal("CPU, "+cell.Name+", peer to "+arm, cell.Name, Peer, arm, CPU, 1.50, 0)))
			}
		}
	}
	return goals
}

func ratioGoal(what, cell, arm, base string, metric Metric, limit, milestone float64) Goal {
	ratio := func(of, to string) func(*Result) Estimate {
		return func(r *Result) Estimate {
			c := r.Cell(cell)
			if c == nil {
				return Estimated(nil)
			}
			return Estimated(Ratios(c.Arm(of), c.Arm(to), metric))
		}
	}
	return Goal{What: what, Limit: limit, Milestone: milestone, measure: ratio(arm, base), again: ratio(Again, Bare)}
}

func atLeast(goal Goal) Goal {
	goal.AtLeast = true
	return goal
}

// peakAnonymous is the highest of all rounds: a peak has no median.
func peakAnonymous(r *Result) Estimate {
	cell := r.Cell("http1-1KB")
	if cell == nil || cell.Arm(All) == nil || len(cell.Arm(All).Rounds) == 0 {
		return Estimated(nil)
	}
	peaks := cell.Arm(All).Of(func(r Round) float64 { return float64(r.AnonymousPeak) / mebibyte })
	return Estimated([]float64{slices.Max(peaks)})
}
