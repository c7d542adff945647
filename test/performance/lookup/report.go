/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/report"
)

// quantiles are in microseconds.
type quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func quantilesOf(times []time.Duration) quantiles {
	values := make([]float64, 0, len(times))
	for _, t := range times {
		values = append(values, microseconds(t))
	}
	return quantiles{P50: report.Quantile(values, 0.5), P99: report.Quantile(values, 0.99)}
}

func microseconds(t time.Duration) float64 { return float64(t) / float64(time.Microsecond) }

// result is what a run gives.
type result struct {
	Rate   float64     `json:"rate"`
	Length string      `json:"length"`
	CPUs   int         `json:"cpus"`
	Go     string      `json:"go"`
	Load   string      `json:"loadAverage"`
	Arms   []armResult `json:"arms"`
}

type armResult struct {
	arm
	Rounds []figures `json:"rounds"`
}

// of returns a figure's spread over an arm's rounds.
func (a armResult) of(figure func(figures) float64) report.Estimate {
	values := make([]float64, 0, len(a.Rounds))
	for _, f := range a.Rounds {
		values = append(values, figure(f))
	}
	return report.Estimated(values)
}

// against returns the spread of a figure's comparison with that of the same round
// of another arm.
func (a armResult) against(other armResult, figure func(figures) float64, compare func(own, others float64) float64) report.Estimate {
	values := make([]float64, 0, len(a.Rounds))
	for i, f := range a.Rounds {
		values = append(values, compare(figure(f), figure(other.Rounds[i])))
	}
	return report.Estimated(values)
}

// share is what of all rounds' requests falls to one event.
func (a armResult) share(counted func(figures) requests) float64 {
	total, events := 0, 0
	for _, f := range a.Rounds {
		total += counted(f).total()
		events += f.Events
	}
	return float64(total) / float64(max(events, 1))
}

// outside counts the requests at the start and end of each round's process.
func (a armResult) outside() report.Estimate {
	return a.of(func(f figures) float64 { return float64(f.AtStart.total() + f.AtEnd.total()) })
}

func ratio(own, others float64) float64 { return own / others }

// saved is how much less the other takes, in percent.
func saved(own, others float64) float64 { return 100 * (1 - others/own) }

// markdown returns the tables of a result whose first arm is what the others are
// compared with.
func markdown(r result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%g exchanges a second for %s in each of %d rounds, two events each; %d CPUs, %s, load average %s.\n\n",
		r.Rate, r.Length, len(r.Arms[0].Rounds), r.CPUs, r.Go, r.Load)
	for _, a := range r.Arms {
		fmt.Fprintf(&b, "- %s: %s.\n", a.Name, a.What)
	}
	latencyTable(&b, r, "the response's event, from the model's sending its response to the arrival at the sink", func(f figures) quantiles { return f.Response })
	latencyTable(&b, r, "the request's event, from the client's sending its request to the arrival at the sink", func(f figures) quantiles { return f.Request })
	first := r.Arms[0]
	b.WriteString("\n| arm | requests to the API server for each event | requests at start and end of its process | API server's CPU, µs an event | etcd's | own | own anonymous memory, MiB | generator late at p99, µs |\n|---|---|---|---|---|---|---|---|\n")
	for _, a := range r.Arms {
		more := func(figure func(figures) float64) string {
			return format(a.against(first, figure, func(own, others float64) float64 { return own - others }), "%.0f")
		}
		fmt.Fprintf(&b, "| %s | %.3g | %.0f | %s | %s | %.0f | %.1f | %.0f |\n", a.Name,
			a.share(func(f figures) requests { return f.UnderLoad }), a.outside().Median,
			more(func(f figures) float64 { return f.APIServer }), more(func(f figures) float64 { return f.Etcd }),
			a.of(func(f figures) float64 { return f.Own }).Median,
			a.of(func(f figures) float64 { return float64(f.Memory) / (1 << 20) }).Median,
			a.of(func(f figures) float64 { return f.Lateness.P99 }).Median)
	}
	fmt.Fprintf(&b, "\nThe CPU of the API server and of etcd is what exceeds that beside %s in the same round.\n", first.Name)
	return b.String()
}

// latencyTable writes how long one side's events take.
func latencyTable(b *strings.Builder, r result, name string, of func(figures) quantiles) {
	first := r.Arms[0]
	p50 := func(f figures) float64 { return of(f).P50 }
	p99 := func(f figures) float64 { return of(f).P99 }
	fmt.Fprintf(b, "\nTime of %s:\n\n| arm | p50, µs | p99, µs | p50 to that of %s | p99 | %s takes less at p50 | at p99 |\n|---|---|---|---|---|---|---|\n",
		name, first.Name, first.Name)
	fmt.Fprintf(b, "| %s | %.0f | %.0f | 1 | 1 | | |\n", first.Name, first.of(p50).Median, first.of(p99).Median)
	for _, a := range r.Arms[1:] {
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %s | %s | %s | %s |\n", a.Name, a.of(p50).Median, a.of(p99).Median,
			format(a.against(first, p50, ratio), "%.2f"), format(a.against(first, p99, ratio), "%.2f"),
			format(a.against(first, p50, saved), "%.0f %%"), format(a.against(first, p99, saved), "%.0f %%"))
	}
}

// format returns the median, and what it lies between.
func format(s report.Estimate, verb string) string {
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", s.Median, s.Low, s.High)
}
