/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{7}, 7},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("of %v: %v", c.values, got)
		}
	}
	if !math.IsNaN(Median(nil)) || !math.IsNaN(Estimated(nil).High) {
		t.Error("nothing has a median")
	}
}

func TestQuantilesAreOfTheNearestRank(t *testing.T) {
	var values []float64
	for i := range 200 {
		values = append(values, float64(200-i))
	}
	for share, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := Quantile(values, share); got != want {
			t.Errorf("%v: %v, want %v", share, got, want)
		}
	}
}

func rounds(cpu ...float64) []Round {
	var all []Round
	for _, c := range cpu {
		all = append(all, Round{CPU: c})
	}
	return all
}

// TestRatiosAreOfOneRound: the median of ratios isn't the ratio of medians.
func TestRatiosAreOfOneRound(t *testing.T) {
	bare, all := &Arm{Rounds: rounds(100, 200, 400)}, &Arm{Rounds: rounds(110, 180, 800, 5)}
	if got := Ratios(all, bare, CPU); !slices.Equal(got, []float64{1.1, 0.9, 2}) {
		t.Errorf("got %v", got)
	}
	if got := Estimated(Ratios(all, bare, CPU)); got != (Estimate{1.1, 0.9, 2}) {
		t.Errorf("got %v", got)
	}
}

func TestAnArmThatFailedHasNoRatio(t *testing.T) {
	sound, failed := &Arm{Rounds: rounds(1)}, &Arm{Rounds: rounds(1), Failure: "no events"}
	if Ratios(failed, sound, CPU) != nil || Ratios(sound, failed, CPU) != nil || Ratios(nil, sound, CPU) != nil {
		t.Error("there is a ratio")
	}
}
