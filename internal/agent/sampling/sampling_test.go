/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package sampling

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

var key = Key{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// ids are correlation ids, the same in each run.
func ids(count int) []string {
	random := rand.NewChaCha8([32]byte{7})
	all := make([]string, count)
	for i := range all {
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			panic(err)
		}
		all[i] = id.String()
	}
	return all
}

// TestTheHashIsUniform, by Pearson's chi-square over its first and its last bits, also
// for ids that differ in one character only.
func TestTheHashIsUniform(t *testing.T) {
	const count, buckets = 64 << 10, 256
	similar := make([]string, count)
	for i := range similar {
		similar[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
	}
	for what, all := range map[string][]string{"random": ids(count), "similar": similar} {
		s := New(key, agentconfig.Sampling{OneIn: 2})
		var first, last [buckets]int
		for _, id := range all {
			hash := s.hash(id)
			first[hash>>56]++
			last[hash&0xff]++
		}
		for part, counts := range map[string][buckets]int{"first": first, "last": last} {
			chiSquare, expected := 0.0, float64(count)/buckets
			for _, n := range counts {
				chiSquare += math.Pow(float64(n)-expected, 2) / expected
			}
			// With 255 degrees of freedom, it is outside of these bounds once in 10 000.
			if chiSquare < 177 || chiSquare > 347 {
				t.Errorf("of %s ids, chi-square of the %s bits is %.0f", what, part, chiSquare)
			}
		}
	}
}

// shares are the samples of tests, and how many exchanges come on a selected one.
var shares = map[string]struct {
	given agentconfig.Sampling
	on    float64
}{
	"all":               {agentconfig.Sampling{Percent: 100}, 1},
	"99.9999 percent":   {agentconfig.Sampling{Percent: 99.9999}, 1 / .999999},
	"60 percent":        {agentconfig.Sampling{Percent: 60}, 1 / .6},
	"50 percent":        {agentconfig.Sampling{Percent: 50}, 2},
	"3 percent":         {agentconfig.Sampling{Percent: 3}, 1 / .03},
	"1 percent":         {agentconfig.Sampling{Percent: 1}, 100},
	"0.7 percent":       {agentconfig.Sampling{Percent: .7}, 1 / .007},
	"one in 1":          {agentconfig.Sampling{OneIn: 1}, 1},
	"one in 7":          {agentconfig.Sampling{OneIn: 7}, 7},
	"one in 250":        {agentconfig.Sampling{OneIn: 250}, 250},
	"the least percent": {agentconfig.Sampling{Percent: .0001}, 1_000_000},
}

// TestRatesEstimateTheTotal: their sum is the number of exchanges, within four
// standard deviations.
func TestRatesEstimateTheTotal(t *testing.T) {
	const count = 20_000
	all := ids(count)
	for what, share := range shares {
		s := New(key, share.given)
		total, selected := 0.0, 0
		for _, id := range all {
			rate := float64(s.Rate(id))
			if rate != 0 && rate != math.Floor(share.on) && rate != math.Ceil(share.on) {
				t.Fatalf("%s: a rate is %.0f", what, rate)
			}
			if rate > 0 {
				selected++
			}
			total += rate
		}
		// The rate of one exchange has the mean 1. Its square has a mean of at most on
		// and a quarter, where chance decides between two rates.
		bound := 4 * math.Sqrt(count*(share.on-1+.25/share.on))
		t.Logf("%s: %d are selected, and stand for %.0f, within %.0f", what, selected, total, bound)
		if math.Abs(total-count) > bound {
			t.Errorf("%s: %d exchanges are estimated to be %.0f, which is not within %.0f", what, count, total, bound)
		}
	}
}

// TestTheMeanRateIsExact, over all values that may be drawn.
func TestTheMeanRateIsExact(t *testing.T) {
	for _, units := range []uint64{1, 7, 10_000, 30_000, 333_333, 600_000, 999_999, 1_000_000} {
		s := New(key, agentconfig.Sampling{Percent: float64(units) / 10_000})
		if s.selected != units || s.of != agentconfig.PercentUnits {
			t.Fatalf("%d units select %d of %d", units, s.selected, s.of)
		}
		total := uint64(0)
		for drawn := range s.of {
			total += uint64(s.rateOf(drawn))
		}
		if total != s.of {
			t.Errorf("with %d units, %d exchanges have rates of %d in all", units, s.of, total)
		}
	}
}

func TestAnIDHasOneRateByItsKey(t *testing.T) {
	given := agentconfig.Sampling{OneIn: 4}
	s, same, other := New(key, given), New(key, given), New(Key{1}, given)
	both := 0
	const count = 20_000
	for _, id := range ids(count) {
		if s.Rate(id) != same.Rate(id) {
			t.Fatalf("%s has two rates", id)
		}
		if s.Rate(id) > 0 && other.Rate(id) > 0 {
			both++
		}
	}
	// A sixteenth, within four standard deviations.
	const mean = count / 16
	if bound := 4 * math.Sqrt(mean); math.Abs(float64(both-mean)) > bound {
		t.Errorf("two keys select %d of %d exchanges both, want %d within %.0f", both, count, mean, bound)
	}
	if first, second := NewKey(), NewKey(); first == second {
		t.Error("two agents have the same key")
	}
}

func TestOutcomesThatAreKept(t *testing.T) {
	const slow = 2 * time.Second
	for _, test := range []struct {
		given        agentconfig.Sampling
		failed       bool
		took         time.Duration
		waits, keeps bool
	}{
		{agentconfig.Sampling{OneIn: 2}, true, time.Hour, false, false},
		{agentconfig.Sampling{OneIn: 2, KeepFailures: true}, true, 0, true, true},
		{agentconfig.Sampling{OneIn: 2, KeepFailures: true}, false, time.Hour, true, false},
		{agentconfig.Sampling{OneIn: 2, KeepSlowerThan: slow}, true, slow, true, false},
		{agentconfig.Sampling{OneIn: 2, KeepSlowerThan: slow}, false, slow + 1, true, true},
		{agentconfig.Sampling{OneIn: 2, KeepSlowerThan: slow, KeepFailures: true}, true, 0, true, true},
		{agentconfig.Sampling{OneIn: 2, KeepSlowerThan: slow, KeepFailures: true}, false, slow + 1, true, true},
		{agentconfig.Sampling{OneIn: 2, KeepSlowerThan: slow, KeepFailures: true}, false, 0, true, false},
	} {
		s := New(key, test.given)
		if waits, keeps := s.Waits(), s.Keeps(test.failed, test.took); waits != test.waits || keeps != test.keeps {
			t.Errorf("%+v: waits %t, and keeps failed %t after %s %t", test.given, waits, test.failed, test.took, keeps)
		}
	}
	if s := New(key, agentconfig.Sampling{}); s != nil {
		t.Errorf("without a sample there is %+v", s)
	}
}

func TestADecisionTakesNoMemory(t *testing.T) {
	s, id := New(key, agentconfig.Sampling{OneIn: 100}), ids(1)[0]
	if taken := testing.AllocsPerRun(100, func() { s.Rate(id) }); taken > 0 {
		t.Errorf("%.0f allocations", taken)
	}
}

func BenchmarkRate(b *testing.B) {
	s, id := New(key, agentconfig.Sampling{OneIn: 100}), ids(1)[0]
	for b.Loop() {
		s.Rate(id)
	}
}
