/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
)

func TestSchedule(t *testing.T) {
	three, none := 3, 0
	second, hour, nothing := time.Second, time.Hour, time.Duration(0)
	for name, test := range map[string]struct {
		schedule Schedule
		// waits after each failed attempt, up to the last that is followed by one.
		waits []time.Duration
		ends  bool
	}{
		"nothing asked for":          {Schedule{}, []time.Duration{0, 0, 0, 0, 0, 0}, false},
		"no retries":                 {Schedule{Retries: &none}, nil, true},
		"retries alone":              {Schedule{Retries: &three}, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}, true},
		"exponential":                {Schedule{Retries: &three, Policy: BackoffExponential, Delay: &second}, []time.Duration{1 * second, 2 * second, 4 * second}, true},
		"linear":                     {Schedule{Retries: &three, Policy: BackoffLinear, Delay: &second}, []time.Duration{1 * second, 2 * second, 3 * second}, true},
		"no delay":                   {Schedule{Retries: &three, Delay: &nothing}, []time.Duration{0, 0, 0}, true},
		"longer than an event lives": {Schedule{Retries: &three, Policy: BackoffLinear, Delay: &hour}, []time.Duration{EventDeadline, EventDeadline, EventDeadline}, true},
		"a delay alone":              {Schedule{Delay: &second}, []time.Duration{1 * second, 2 * second, 4 * second, 8 * second, 16 * second, 20 * second, 20 * second}, false},
		"a policy alone":             {Schedule{Policy: BackoffLinear}, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond}, false},
	} {
		for i, want := range test.waits {
			if test.schedule.exhausted(i + 1) {
				t.Errorf("%s: exhausted after %d attempts", name, i+1)
			}
			if got := test.schedule.wait(i + 1); got != want {
				t.Errorf("%s: the wait before retry %d is %s, want %s", name, i+1, got, want)
			}
		}
		if got := test.schedule.exhausted(len(test.waits) + 1); got != test.ends {
			t.Errorf("%s: exhausted after %d attempts: %v", name, len(test.waits)+1, got)
		}
		if got := test.schedule.wait(1 << 40); got < 0 || got > EventDeadline {
			t.Errorf("%s: in the end the wait is %s", name, got)
		}
	}
}

func withSchedule(schedule Schedule) func(*Config) {
	return func(config *Config) { config.Schedule = schedule }
}

func TestAnEventIsTriedAsOftenAsItsScheduleSays(t *testing.T) {
	retries, delay := 2, time.Minute
	w := newWorld(t, withSchedule(Schedule{Retries: &retries, Policy: BackoffLinear, Delay: &delay}))
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
	w := newWorld(t, withSchedule(Schedule{Retries: &retries, Delay: &delay}))
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
	w := newWorld(t, withSchedule(Schedule{Retries: &retries, Delay: &delay}))
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
	w := newWorld(t, withSchedule(Schedule{Retries: &retries, Delay: &delay}))
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
