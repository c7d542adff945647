/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package procs

import "time"

const (
	// busy is the part of one processor that is in use when the others are added.
	busy = 0.6
	// idle is the part that is in use, for calmAfter, when they are taken away. It
	// is lower, because the same work takes more CPU time with all of them.
	idle      = 0.4
	calmAfter = 2 * time.Second
)

// load decides how many processors the agent needs. It has no clock.
type load struct {
	limit, procs int
	// calm is how long the load has been low.
	calm time.Duration
}

// next returns the number of processors after a period in which the process used
// some CPU time. longWork says that work begins which takes long.
func (l *load) next(used, period time.Duration, longWork bool) int {
	share := 0.0
	if period > 0 {
		share = float64(used) / float64(period)
	}
	switch {
	case longWork, share >= busy:
		l.calm = 0
		return l.limit
	case share >= idle:
		l.calm = 0
	default:
		l.calm += period
	}
	if l.calm >= calmAfter {
		return 1
	}
	return l.procs
}
