/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package load makes exchanges: at a fixed rate whatever becomes of them (open
// loop), or as fast as they end (closed loop). It keeps account of how late it
// is itself.
package load

import "time"

// Schedule says when exchanges are begun.
type Schedule struct {
	// Rate is how many are begun a second.
	Rate float64
	// Length is the time for which they are.
	Length time.Duration
}

// Count is how many exchanges the schedule has.
func (s Schedule) Count() int { return int(s.Rate * s.Length.Seconds()) }

// At is when exchange i is to begin, from the schedule's beginning. It is
// computed from i, so that no error adds up.
func (s Schedule) At(i int) time.Duration {
	return time.Duration(float64(i) / s.Rate * float64(time.Second))
}
