/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

func TestAlarm(t *testing.T) {
	now := time.Unix(100, 0)
	early, late := alarmAt(now), alarmAt(now.Add(time.Second))
	for name, test := range map[string]struct{ got, want alarm }{
		"two alarms":         {late.earliest(early), early},
		"never, then one":    {never.earliest(late), late},
		"one, then never":    {late.earliest(never), late},
		"a later time":       {early.latest(late.at), late},
		"an earlier time":    {late.latest(early.at), late},
		"a time after never": {never.latest(early.at), early},
		"later by a wait":    {early.after(time.Second), late},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %v, want %v", name, test.got, test.want)
		}
	}
	if never.after(time.Second).due(now) || late.due(now) || !early.due(now) {
		t.Error("an alarm is due at its time and later, and never isn't")
	}
}

func TestBudget(t *testing.T) {
	b := budget{limit: 100}
	one, two := &Item{Bytes: 60}, &Item{Bytes: 50}
	if !b.add(one) || b.excess() != 10 {
		t.Errorf("one item is within the limit, and 10 bytes over half of it: %+v", b)
	}
	if b.add(two) {
		t.Error("two items are within the limit")
	}
	b.remove(two)
	b.inFlight = 60
	if b.excess() != -50 {
		t.Errorf("an item in flight is in excess: %d", b.excess())
	}
	back := &Item{Bytes: 40}
	b.toWindow(back)
	if b.held != 60 || b.window != 40 || back.Bytes != 0 {
		t.Errorf("an item that was read back holds the window alone: %+v", b)
	}
	b.remove(back)
	b.remove(one)
	if b.held != 0 || b.window != 0 {
		t.Errorf("something is held at the end: %+v", b)
	}
	if unbounded := (budget{}); !unbounded.add(one) || unbounded.excess() != 0 {
		t.Error("0 is a bound")
	}
}

func TestRetryState(t *testing.T) {
	now := time.Unix(100, 0)
	deadline := now.Add(time.Minute)
	two, second := 2, time.Second
	for name, test := range map[string]struct {
		state    retryState
		schedule agentconfig.Schedule
		now      time.Time
		want     ledger.Reason
	}{
		"at the deadline":        {retryState{attempts: 1}, agentconfig.Schedule{}, deadline, ledger.ReasonExpired},
		"after its retries":      {retryState{attempts: 3}, agentconfig.Schedule{Retries: &two}, now, ledger.ReasonRetries},
		"before its last retry":  {retryState{attempts: 2}, agentconfig.Schedule{Retries: &two}, now, ""},
		"poison":                 {retryState{attempts: 3, failuresAmongSuccesses: 3}, agentconfig.Schedule{}, now, ledger.ReasonPoison},
		"poison with a schedule": {retryState{attempts: 2, failuresAmongSuccesses: 3}, agentconfig.Schedule{Retries: &two}, now, ""},
	} {
		if reason, again := test.state.schedule(test.schedule, test.now, deadline); reason != test.want || again != (test.want == "") {
			t.Errorf("%s: got %q, again %v", name, reason, again)
		}
	}
	waits := retryState{attempts: 1}
	if waits.schedule(agentconfig.Schedule{Delay: &second}, now, deadline); !waits.notBefore.Equal(now.Add(second)) {
		t.Errorf("the next attempt may begin at %s", waits.notBefore)
	}
}

func TestFailuresAmongSuccessesAreCounted(t *testing.T) {
	r := retryState{attempts: 1}
	for i, test := range []struct{ successes, want int }{{5, 1}, {6, 2}, {7, 3}, {7, 1}} {
		r.attempts = i + 1
		if r.failed(uint64(test.successes)); r.failuresAmongSuccesses != test.want {
			t.Errorf("failure %d: got %d, want %d", i, r.failuresAmongSuccesses, test.want)
		}
	}
}

func TestSpoolState(t *testing.T) {
	s := newSpoolState(spoolBounds{WindowBytes: diskWindow, MaxRecordBytes: diskMaxRecord})
	if !s.empty() || s.mayRead() {
		t.Error("a spool that was never opened has something")
	}
	s.open, s.readable = true, true
	if s.wrote(); s.empty() || !s.mayRead() {
		t.Error("what was written can't be read")
	}
	if got := s.startRead(0, 16, true); got.From != spool.Newest || got.Records != 8 || s.mayRead() {
		t.Errorf("the read is %+v", got)
	}
	s.readEnded(0, true, time.Unix(100, 0))
	if s.empty() || !s.readNotBefore.Equal(time.Unix(100, 0).Add(overflowPause)) {
		t.Error("a read that fails is not made again")
	}
	if got := s.startRead(diskWindow, 16, true); got.Records != 0 {
		t.Errorf("the window is full, and %+v is read", got)
	}
	s.startRead(0, 16, false)
	if s.readEnded(0, false, time.Unix(200, 0)); !s.empty() {
		t.Error("a spool that gives nothing isn't empty")
	}
	s.bounds.WindowBytes *= 100
	if got := s.startRead(0, fewRecordsRead, false); got.Records != fewRecordsRead {
		t.Errorf("%d records are read where %d are wanted", got.Records, fewRecordsRead)
	}
}
