/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package receiver

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestGapsAreTheNumbersThatDidNotCome, in whatever order the others came, and
// however often.
func TestGapsAreTheNumbersThatDidNotCome(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		highest := 1 + random.IntN(60)
		var g gaps
		came := make(map[uint64]bool)
		last, duplicates := uint64(0), uint64(0)
		for range random.IntN(120) {
			n := 1 + random.Uint64N(uint64(highest))
			g.add(n, 1000)
			if came[n] {
				duplicates++
			}
			came[n] = true
			last = max(last, n)
			if g.seen != uint64(len(came)) || g.duplicates != duplicates || g.last != last {
				t.Fatalf("seed %d: %+v after %v", seed, g, came)
			}
			missing := uint64(0)
			for n := uint64(1); n <= last; n++ {
				inRange := slices.ContainsFunc(g.ranges, func(r Range) bool { return r.First <= n && n <= r.Last })
				if inRange == came[n] {
					t.Fatalf("seed %d: %d came: %t, the gaps are %v", seed, n, came[n], g.ranges)
				}
				if !came[n] {
					missing++
				}
				if g.upTo(n) != missing {
					t.Fatalf("seed %d: %d missing up to %d, want %d", seed, g.upTo(n), n, missing)
				}
			}
			for i := 1; i < len(g.ranges); i++ {
				if g.ranges[i-1].Last+1 >= g.ranges[i].First {
					t.Fatalf("seed %d: %v could be fewer ranges", seed, g.ranges)
				}
			}
		}
	}
}

// TestTooManyGapsAreCountedButNoLongerKnown: no number of gaps takes more than
// a bounded memory, and none is lost from the count.
func TestTooManyGapsAreCountedButNoLongerKnown(t *testing.T) {
	const maxRanges = 4
	var g gaps
	for n := uint64(2); n <= 2000; n += 2 {
		g.add(n, maxRanges)
	}
	if len(g.ranges) != maxRanges || cap(g.ranges) > 2*maxRanges+2 {
		t.Fatalf("%d ranges of %d bytes are remembered", len(g.ranges), 16*cap(g.ranges))
	}
	if g.upTo(g.last) != 1000 || g.forgotten != 996 || g.floor != 1991 || g.seen != 1000 {
		t.Errorf("%+v", g)
	}
	g.add(1993, maxRanges)
	g.add(3, maxRanges)
	if g.upTo(g.last) != 999 || g.late != 1 || g.seen != 1001 || g.duplicates != 0 {
		t.Errorf("%+v", g)
	}
	// A number that splits a range makes one more.
	g.add(3000, maxRanges)
	g.add(2500, maxRanges)
	if len(g.ranges) != maxRanges || g.upTo(g.last) != 999+998 {
		t.Errorf("%d missing of %+v", g.upTo(g.last), g)
	}
}
