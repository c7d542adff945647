/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/load"
	"github.com/sidenote-dev/sidenote/test/performance/process"
)

func TestCostsAreForEachUnit(t *testing.T) {
	o := load.Outcome{
		Exchanges: 4,
		Latencies: []time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 4 * time.Millisecond},
		Lateness:  make([]time.Duration, 4),
	}
	usage := process.Usage{CPU: 800 * time.Microsecond, User: 4 * time.Millisecond, System: 12 * time.Millisecond, Voluntary: 8, ReadWrites: 16}
	got := newRound(o, 2*time.Second, usage, 5, 2)
	if got.Units != 8 || got.CPU != 100 || got.User != 25 || got.System != 75 || got.Voluntary != 1 || got.ReadWrites != 2 {
		t.Errorf("costs: %+v", got)
	}
	if got.P50 != 2000 || got.P99 != 4000 || got.PerSecond != 2 || got.AnonymousPeak != 5 {
		t.Errorf("got %+v", got)
	}
}
