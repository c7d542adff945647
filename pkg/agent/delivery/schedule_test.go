/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agentconfig"
)

func withSchedule(schedule agentconfig.Schedule) func(*Config) {
	return func(config *Config) { config.Schedule = schedule }
}

func TestAnEventIsTriedAsOftenAsItsScheduleSays(t *testing.T) {
	retries, delay := 2, time.Minute
	w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries, Policy: agentconfig.BackoffLinear, Delay: &delay}))
	w.observe()
	w.done(w.next(), 503)
	if wait := w.nothing(); wait != 100*time.Millisecond {
		t.Errorf("the gate opens after %s", wait)
	}
	w.now = w.now.Add(time.Second)
	if wait := w.nothing(); wait != 59*time.Second {
		t.Errorf("the first retry is due after %s", wait)
	}
	w.now = w.now.Add(59 * time.Second)
	w.done(w.next(), 503)
	w.now = w.now.Add(119 * time.Second)
	if wait := w.nothing(); wait != time.Second {
		t.Errorf("the second retry is due after %s", wait)
	}
	w.now = w.now.Add(time.Second)
	w.done(w.next(), 503)
	if s := w.account.Snapshot(); s.Dropped[ledger.ReasonRetries] != 1 || s.Retried != 2 || s.Pending != 0 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestAnEventThatItsScheduleHoldsBackHoldsUpNoOther(t *testing.T) {
	retries, delay := 5, time.Minute
	w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries, Delay: &delay}))
	w.observe()
	w.done(w.next(), 500)
	for want := uint64(2); want < 20; want++ {
		w.observe()
		w.now = w.now.Add(time.Second)
		item := w.next()
		if item.Sequence != want {
			t.Fatalf("item %d is attempted, want %d", item.Sequence, want)
		}
		w.done(item, 202)
	}
	w.now = w.now.Add(time.Minute)
	if item := w.next(); item.Sequence != 1 {
		t.Errorf("item %d is attempted, want the first", item.Sequence)
	}
}

func TestNoEventIsPoisonBeforeTheRetriesThatWereAskedFor(t *testing.T) {
	retries, delay := 5, time.Duration(0)
	w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries, Delay: &delay}))
	w.observe()
	for range 50 {
		item, again := w.core.Next(w.now)
		switch {
		case item == nil && again.IsZero():
		case item == nil:
			w.now = again
		case item.Sequence == 1:
			w.observe()
			w.done(item, 500)
		default:
			w.done(item, 202)
		}
	}
	if s := w.account.Snapshot(); s.Dropped[ledger.ReasonPoison] != 0 || s.Dropped[ledger.ReasonRetries] != 1 || s.Delivered != 6 {
		t.Errorf("the ledger says %+v", s)
	}
}

// The retry that is due first goes first, whichever event failed first.
func TestRetriesGoInTheOrderInWhichTheyAreDue(t *testing.T) {
	retries, delay := 5, time.Second
	w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries, Delay: &delay}))
	w.observe()
	w.done(w.next(), 500)
	w.now = w.now.Add(time.Second)
	w.done(w.next(), 500) // due in 2 s
	w.now = w.now.Add(500 * time.Millisecond)
	w.observe()
	w.done(w.next(), 500) // due in 1 s
	w.now = w.now.Add(500 * time.Millisecond)
	w.observe()
	w.done(w.next(), 202)
	w.now = w.now.Add(time.Minute)
	if first, second := w.next(), w.next(); first.Sequence != 2 || second.Sequence != 1 {
		t.Errorf("%d, then %d", first.Sequence, second.Sequence)
	}
}
