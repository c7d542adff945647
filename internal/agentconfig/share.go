/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

// SpoolsPart is the part of the byte budget that all spools together take at
// most: one of so many.
const SpoolsPart = 4

// SinkShare is the most that one of several sinks may hold of a byte budget. What
// the others may hold at the same time leaves each sink at least an equal part
// of half the budget, so that a dead sink can't take what another needs.
func SinkShare(budget int64, sinks int) int64 {
	if sinks < 2 {
		return budget
	}
	guaranteed := budget / int64(2*sinks)
	return (budget - guaranteed) / int64(sinks-1)
}
