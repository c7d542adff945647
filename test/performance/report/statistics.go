/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import (
	"math"
	"slices"
)

// Estimate is a median with the lowest and the highest value beside it.
type Estimate struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Estimated returns the estimate of values; all of it is NaN if there are none.
func Estimated(values []float64) Estimate {
	if len(values) == 0 {
		return Estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	return Estimate{Median: Median(values), Low: slices.Min(values), High: slices.Max(values)}
}

// Median of an even number of values is the mean of the two in the middle.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	switch {
	case len(sorted) == 0:
		return math.NaN()
	case len(sorted)%2 == 1:
		return sorted[middle]
	default:
		return (sorted[middle-1] + sorted[middle]) / 2
	}
}

// Quantile returns the smallest value that a share of the values doesn't exceed
// (the nearest rank). A share of 0.99 is p99.
func Quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Metric picks a figure of a round.
type Metric func(Round) float64

// CPU is the metric of the CPU time of an exchange.
func CPU(r Round) float64 { return r.CPU }

// P50 is the metric of the median latency.
func P50(r Round) float64 { return r.P50 }

// P99 is the metric of the 99th percentile of the latency.
func P99(r Round) float64 { return r.P99 }

// PerSecond is the metric of the exchanges in a second.
func PerSecond(r Round) float64 { return r.PerSecond }

// Logged is how many exchanges a second ended with all of their events
// delivered.
func Logged(r Round) float64 { return r.PerSecond * (1 - r.Lost) }

// Of returns a figure of each round.
func (a *Arm) Of(metric Metric) []float64 {
	values := make([]float64, 0, len(a.Rounds))
	for _, round := range a.Rounds {
		values = append(values, metric(round))
	}
	return values
}

// Ratios divides an arm's figures by those of the arm it is compared with, round
// by round: whatever the machine did meanwhile, it did to both. Rounds that only
// one of them has are left out.
func Ratios(of, to *Arm, metric Metric) []float64 {
	if of == nil || to == nil || of.Failure != "" || to.Failure != "" {
		return nil
	}
	var ratios []float64
	for i := range min(len(of.Rounds), len(to.Rounds)) {
		if denominator := metric(to.Rounds[i]); denominator > 0 {
			ratios = append(ratios, metric(of.Rounds[i])/denominator)
		}
	}
	return ratios
}
