/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import "slices"

// window is the set of sequences that have ended: everything up to low, and the
// spans above it. The number of spans is at most the number of open records
// between low and the highest span, plus one.
type window struct {
	low   uint64
	spans []span
}

// span is the sequences from first to last, both included.
type span struct{ first, last uint64 }

// end notes that the sequences from first to last have ended.
func (w *window) end(first, last uint64) {
	first = max(first, w.low+1)
	if first > last {
		return
	}
	// Spans that overlap or touch become one.
	begin, _ := slices.BinarySearchFunc(w.spans, first, func(s span, first uint64) int {
		if s.last+1 < first {
			return -1
		}
		return 1
	})
	end := begin
	for ; end < len(w.spans) && w.spans[end].first <= last+1; end++ {
		first = min(first, w.spans[end].first)
		last = max(last, w.spans[end].last)
	}
	w.spans = slices.Replace(w.spans, begin, end, span{first, last})
	if w.spans[0].first == w.low+1 {
		w.low = w.spans[0].last
		w.spans = slices.Delete(w.spans, 0, 1)
	}
}

// ended reports whether a sequence has ended.
func (w *window) ended(sequence uint64) bool { return w.open(sequence, sequence) == 0 }

// open counts the sequences from first to last that have not ended.
func (w *window) open(first, last uint64) uint64 {
	first = max(first, w.low+1)
	if first > last {
		return 0
	}
	open := last - first + 1
	begin, _ := slices.BinarySearchFunc(w.spans, first, func(s span, first uint64) int {
		if s.last < first {
			return -1
		}
		return 1
	})
	for _, s := range w.spans[begin:] {
		if s.first > last {
			break
		}
		open -= min(s.last, last) - max(s.first, first) + 1
	}
	return open
}
