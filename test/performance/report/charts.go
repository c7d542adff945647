/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import (
	"math"
	"slices"
)

// Chart is a picture to be drawn, with bars in rows.
type Chart struct {
	// Name is that of its file.
	Name  string `json:"name"`
	Title string `json:"title"`
	// Axis is what the bars' lengths are.
	Axis   string   `json:"axis"`
	Series []string `json:"series"`
	Rows   []Row    `json:"rows"`
	// Reference is a line through all rows.
	Reference float64 `json:"reference"`
}

// Row has a bar of each series that has a figure.
type Row struct {
	Label string `json:"label"`
	Bars  []Bar  `json:"bars"`
}

// Bar is a median with its spread, and a goal where there is one.
type Bar struct {
	Series int `json:"series"`
	Estimate
	Goal float64 `json:"goal,omitempty"`
}

// Charts are those of a run that have anything to show.
func Charts(result *Result) []Chart {
	charts := []Chart{
		armChart(result, "performance-cpu", "CPU time of an exchange, as a ratio to a bare ReverseProxy's", CPU, map[string][]float64{
			Nothing: {1, 1}, All: {1, 1.15},
		}),
		armChart(result, "performance-p50", "Median latency, as a ratio to a bare ReverseProxy's", P50, map[string][]float64{All: {1.1, 1.1}}),
		armChart(result, "performance-p99", "p99 latency, as a ratio to a bare ReverseProxy's", P99, map[string][]float64{All: {1.1, 1.1}}),
		cellChart(result),
	}
	return slices.DeleteFunc(charts, func(c Chart) bool { return len(c.Rows) == 0 })
}

const axis = "median of the rounds' ratios, and their range"

// goalCells are those that have every arm.
var goalCells = []string{"http1-1KB", "http1-64KB"}

// armChart compares arms, with a series for each of the cells that have all.
func armChart(result *Result, name, title string, metric Metric, goals map[string][]float64) Chart {
	chart := Chart{Name: name, Title: title, Axis: axis, Series: []string{"1 KB both ways", "64 KB both ways"}, Reference: 1}
	for _, arm := range []string{Again, Nothing, Requests, All, SlowSink, DeadSink, HangingSink, Spooling, Peer} {
		row := Row{Label: arm}
		for i, name := range goalCells {
			bar, ok := ratioBar(result.Cell(name), arm, metric)
			if !ok {
				continue
			}
			bar.Series = i
			if goal := goals[arm]; goal != nil {
				bar.Goal = goal[i]
			}
			row.Bars = append(row.Bars, bar)
		}
		if len(row.Bars) > 0 {
			chart.Rows = append(chart.Rows, row)
		}
	}
	return chart
}

// cellChart compares kinds of load, with a series for each main arm.
func cellChart(result *Result) Chart {
	arms := []string{Nothing, All, Peer}
	chart := Chart{Name: "performance-loads", Title: "CPU time, as a ratio to a bare ReverseProxy's, by the kind of load", Axis: axis, Series: arms, Reference: 1}
	for i := range result.Cells {
		row := Row{Label: result.Cells[i].Name}
		for series, arm := range arms {
			if bar, ok := ratioBar(&result.Cells[i], arm, CPU); ok {
				bar.Series = series
				row.Bars = append(row.Bars, bar)
			}
		}
		if len(row.Bars) > 0 {
			chart.Rows = append(chart.Rows, row)
		}
	}
	return chart
}

func ratioBar(cell *Cell, arm string, metric Metric) (Bar, bool) {
	if cell == nil {
		return Bar{}, false
	}
	estimate := Estimated(Ratios(cell.Arm(arm), cell.Arm(Bare), metric))
	return Bar{Estimate: estimate}, !math.IsNaN(estimate.Median)
}
