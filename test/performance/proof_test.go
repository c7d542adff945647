/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import "testing"

func TestTheAgentsCountsAreCompared(t *testing.T) {
	var before, now status
	before.Sinks.Default.Observed, before.Skipped.Path = 10, 5
	now.Sinks.Default.Observed, now.Skipped.Path = 30, 5
	if err := account(before, now, 20, 10); err != nil {
		t.Error(err)
	}
	if account(before, now, 21, 10) == nil {
		t.Error("an event is missing, and nothing is said")
	}
	now.Sinks.Default.Observed, now.Skipped.Path = 10, 14
	if account(before, now, 0, 10) == nil {
		t.Error("an exchange was not skipped, and nothing is said")
	}
	now.Skipped.Path = 15
	if err := account(before, now, 0, 10); err != nil {
		t.Error(err)
	}
}

func TestATunnelGivesOneEvent(t *testing.T) {
	for _, c := range []struct {
		tunnel bool
		events int
		want   int64
	}{{false, 2, 20}, {true, 2, 10}, {true, 0, 0}} {
		p := proof{arm: &running{arm: arm{events: c.events}, cell: &cell{tunnel: c.tunnel}}}
		if got := p.want(10); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
