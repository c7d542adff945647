/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Markdown writes a whole run: goals first, then what each cell cost.
func Markdown(result *Result, judgements []Judgement) string {
	var text strings.Builder
	text.WriteString(GoalTable(judgements) + "\n")
	for i := range result.Cells {
		text.WriteString(CellTable(&result.Cells[i]) + "\n")
	}
	text.WriteString(MachineLine(result))
	return text.String()
}

// MachineLine says where the run was, and what else the machine did.
func MachineLine(result *Result) string {
	m := result.Machine
	return fmt.Sprintf("%d processors, Linux %s, %s. Load average before the run: %s; after it: %s.\n", m.Processors, m.Kernel, m.Go, m.LoadBefore, m.LoadAfter)
}

// GoalTable has a goal in each row.
func GoalTable(judgements []Judgement) string {
	if len(judgements) == 0 {
		return "No goal is about what was measured.\n"
	}
	rows := [][]string{{"goal", "limit", "measured", "lowest to highest", "bare proxy again", "verdict"}}
	for _, j := range judgements {
		verdict := string(j.Verdict)
		if j.Verdict != Pass && j.Milestone != 0 {
			verdict = fmt.Sprintf("%s (milestone %s)", Miss, figure(j.Milestone, j.Unit))
			if j.Verdict == Milestone {
				verdict += " reached"
			}
		}
		again := ""
		if j.Again != nil {
			again = figure(j.Again.Median, "")
		}
		rows = append(rows, []string{j.What, j.Goal, figure(j.Measured.Median, j.Unit), span(j.Measured, j.Unit), again, verdict})
	}
	return table(rows)
}

// CellTable has an arm in each row.
func CellTable(cell *Cell) string {
	rate := fmt.Sprintf("%.4g/s, %d connections", cell.Rate, cell.Connections)
	if cell.Rate == 0 {
		rate = fmt.Sprintf("closed loop, %d connections", cell.Connections)
	}
	title := fmt.Sprintf("**%s**: %s, %s; costs are for %s\n\n", cell.Name, cell.What, rate, cell.Unit)
	rows := [][]string{{
		"arm", "CPU, µs", "user + system", "CPU ratio", "p50, ms", "ratio", "p99, ms", "ratio", "exchanges/s", "ratio", "events lost",
		"switches", "reads, writes", "syscalls", "allocations", "RssAnon, MiB", "VmHWM, MiB",
	}}
	for i := range cell.Arms {
		rows = append(rows, armRow(cell, &cell.Arms[i]))
	}
	return title + table(rows) + remarks(cell)
}

func armRow(cell *Cell, arm *Arm) []string {
	bare := cell.Arm(Bare)
	row := []string{arm.Name}
	if arm.Failure != "" {
		return append(row, "failed")
	}
	median := func(of Metric) float64 { return Median(arm.Of(of)) }
	ratio := func(of Metric) string {
		estimate := Estimated(Ratios(arm, bare, of))
		switch {
		case math.IsNaN(estimate.Median) || estimate.Median == 0:
			return ""
		case estimate.Low == estimate.High:
			return figure(estimate.Median, "")
		default:
			return fmt.Sprintf("%s (%s)", figure(estimate.Median, ""), span(estimate, ""))
		}
	}
	row = append(row,
		positive("%.1f", median(CPU)),
		userAndSystem(arm),
		ratio(CPU),
		positive("%.2f", median(P50)/1e3), ratio(P50),
		positive("%.2f", median(P99)/1e3), ratio(P99),
		positive("%.0f", median(PerSecond)), closedOnly(cell, ratio(Logged)), positive("%.1f %%", 100*median(func(r Round) float64 { return r.Lost })),
		both("%.2f + %.2f", median(func(r Round) float64 { return r.Voluntary }), median(func(r Round) float64 { return r.Involuntary })),
		positive("%.1f", median(func(r Round) float64 { return r.ReadWrites })),
		positive("%.1f", arm.Syscalls),
		positive("%.0f", arm.Allocations),
		positive("%.1f", slices.Max(append(arm.Of(func(r Round) float64 { return float64(r.AnonymousPeak) / mebibyte }), 0))),
		positive("%.1f", float64(arm.PeakBytes)/mebibyte),
	)
	return row
}

// userAndSystem shares the median out as all rounds together were: a round may
// have only a few ticks.
func userAndSystem(arm *Arm) string {
	user, system := 0.0, 0.0
	for _, round := range arm.Rounds {
		user, system = user+round.User, system+round.System
	}
	cpu := Median(arm.Of(CPU))
	return both("%.1f + %.1f", cpu*user/(user+system), cpu*system/(user+system))
}

// remarks tells what is wrong with figures.
func remarks(cell *Cell) string {
	var text strings.Builder
	latest := 0.0
	for _, arm := range cell.Arms {
		if arm.Failure != "" {
			fmt.Fprintf(&text, "\n%s failed: %s\n", arm.Name, strings.Join(strings.Fields(arm.Failure), " "))
		}
		late := 0
		for _, round := range arm.Rounds {
			latest = max(latest, round.LatenessP99)
			if round.Late {
				late++
			}
		}
		if late > 0 {
			fmt.Fprintf(&text, "\n%s: the generator was late in %d of %d rounds, and no repeat was left: latencies have its lateness in them.\n", arm.Name, late, len(arm.Rounds))
		}
	}
	if latest > 0 {
		fmt.Fprintf(&text, "\nThe generator was late by at most %.2f ms at p99 of a round.\n", latest/1e3)
	}
	return text.String()
}

// closedOnly leaves a figure out where the rate is given.
func closedOnly(cell *Cell, figure string) string {
	if cell.Rate > 0 {
		return ""
	}
	return figure
}

// positive writes a figure that is only there where it is positive.
func positive(format string, value float64) string {
	if !(value > 0) {
		return ""
	}
	return fmt.Sprintf(format, value)
}

func both(format string, a, b float64) string {
	if !(a+b > 0) {
		return ""
	}
	return fmt.Sprintf(format, a, b)
}

func span(e Estimate, unit string) string {
	if e.Low == e.High {
		return ""
	}
	return figure(e.Low, unit) + " to " + figure(e.High, unit)
}

// table writes rows in Markdown, the first as heads, in columns that line up.
// Columns that are empty in every row are left out.
func table(rows [][]string) string {
	var text strings.Builder
	heads := rows[0]
	var columns, widths []int
	for column := range heads {
		width := 0
		for _, row := range rows[1:] {
			if column < len(row) {
				width = max(width, len([]rune(row[column])))
			}
		}
		if width > 0 {
			columns, widths = append(columns, column), append(widths, max(width, len([]rune(heads[column]))))
		}
	}
	write := func(cell func(column int) string) {
		for i, column := range columns {
			content := cell(column)
			text.WriteString("| " + content + strings.Repeat(" ", widths[i]-len([]rune(content))+1))
		}
		text.WriteString("|\n")
	}
	write(func(column int) string { return heads[column] })
	for _, width := range widths {
		text.WriteString("|" + strings.Repeat("-", width+2))
	}
	text.WriteString("|\n")
	for _, row := range rows[1:] {
		write(func(column int) string {
			if column >= len(row) {
				return ""
			}
			return row[column]
		})
	}
	return text.String()
}
