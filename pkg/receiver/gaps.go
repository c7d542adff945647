/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package receiver

import "slices"

// Range is all numbers from First to Last, both included.
type Range struct{ First, Last uint64 }

// Size is how many numbers are in the range.
func (r Range) Size() uint64 { return r.Last - r.First + 1 }

// gaps is the set of numbers from 1 to the highest seen that were not seen. It
// uses memory only for its ranges, and keeps at most a given number of them. If
// there are more, it forgets the lowest range.
type gaps struct {
	// ranges are in order, and neither overlap nor touch.
	ranges []Range
	// first and last are the lowest and highest number seen.
	first, last uint64
	seen        uint64
	duplicates  uint64
	// floor is the end of the highest range that was given up; forgotten is how
	// many numbers were in those, and late how many came at or below it since.
	floor, forgotten, late uint64
}

// add takes a number, of any order and any number of times.
func (g *gaps) add(n uint64, maxRanges int) {
	switch {
	case n > g.last:
		if n > g.last+1 {
			g.ranges = append(g.ranges, Range{g.last + 1, n - 1})
		}
		g.last = n
	case n <= g.floor:
		g.late++
		return
	default:
		at, found := slices.BinarySearchFunc(g.ranges, n, func(r Range, n uint64) int {
			switch {
			case r.Last < n:
				return -1
			case r.First > n:
				return 1
			default:
				return 0
			}
		})
		if !found {
			g.duplicates++
			return
		}
		g.fill(at, n)
	}
	if g.seen == 0 || n < g.first {
		g.first = n
	}
	g.seen++
	if len(g.ranges) > maxRanges {
		g.floor = g.ranges[0].Last
		g.forgotten += g.ranges[0].Size()
		g.ranges = slices.Delete(g.ranges, 0, 1)
	}
}

// fill takes a number out of a range, which it may split.
func (g *gaps) fill(at int, n uint64) {
	r := g.ranges[at]
	switch {
	case r.First == r.Last:
		g.ranges = slices.Delete(g.ranges, at, at+1)
	case n == r.First:
		g.ranges[at].First++
	case n == r.Last:
		g.ranges[at].Last--
	default:
		g.ranges[at].Last = n - 1
		g.ranges = slices.Insert(g.ranges, at+1, Range{n + 1, r.Last})
	}
}

// upTo is how many numbers up to n were not seen, n being at most last.
func (g *gaps) upTo(n uint64) uint64 {
	missing := g.forgotten
	for _, r := range g.ranges {
		if r.First > n {
			break
		}
		missing += Range{r.First, min(r.Last, n)}.Size()
	}
	return missing
}
