/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agentconfig"
)

// TestTheContractsTable quotes knative/specs, eventing/data-plane.md.
func TestTheContractsTable(t *testing.T) {
	want := func(status int) Verdict {
		switch {
		case status >= 200 && status <= 299:
			return Delivered
		case status == 404, status == 408, status == 409, status == 429, status >= 500:
			return Retry
		default:
			return Rejected
		}
	}
	for status := 100; status <= 599; status++ {
		if got := Judge(Result{Status: status}); got != want(status) {
			t.Errorf("%d: got %d, want %d", status, got, want(status))
		}
	}
	for name, test := range map[string]struct {
		result Result
		want   Verdict
	}{
		"no answer":        {NoAnswer, Retry},
		"an unlisted code": {Result{Status: 700}, Retry},
		"no wire form":     {Result{Unsendable: true}, Rejected},
	} {
		if got := Judge(test.result); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		status int
		value  string
		want   time.Duration
	}{
		{503, "3", 3 * time.Second},
		{429, " 3 ", 3 * time.Second},
		{500, "3", 0},
		{200, "3", 0},
		{503, "3600", agentconfig.DefaultRetryAfterMax},
		{503, "99999999999999999999", 0},
		{503, "-1", 0},
		{503, "soon", 0},
		{503, "", 0},
		{503, "1e3", 0},
		{503, now.Add(5 * time.Second).Format(http.TimeFormat), 5 * time.Second},
		{503, now.Add(-5 * time.Second).Format(http.TimeFormat), 0},
		{503, now.Add(time.Hour).Format(http.TimeFormat), agentconfig.DefaultRetryAfterMax},
	} {
		if got := ParseRetryAfter(test.status, test.value, now, agentconfig.DefaultRetryAfterMax); got != test.want {
			t.Errorf("%d %q: got %s, want %s", test.status, test.value, got, test.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	for failures, ceiling := range map[int]time.Duration{
		1: 200 * time.Millisecond, 2: 400 * time.Millisecond, 5: 3200 * time.Millisecond,
		7: 12800 * time.Millisecond, 8: 20 * time.Second, 1000: 20 * time.Second,
	} {
		if got := Backoff(failures, 0); got != 0 {
			t.Errorf("%d failures: at least %s", failures, got)
		}
		if got := Backoff(failures, 0.999999); got > ceiling || got < ceiling*99/100 {
			t.Errorf("%d failures: at most %s, want %s", failures, got, ceiling)
		}
	}
}

// world is a core with a clock, and what became of its items.
type world struct {
	t        *testing.T
	core     *Core
	account  *ledger.Account
	now      time.Time
	released map[uint64]int
}

func newWorld(t *testing.T, changes ...func(*Config)) *world {
	account := new(ledger.Account)
	config := Config{FirstInFlight: 4, MaxInFlight: 8, Random: func() float64 { return 0.5 }}
	for _, change := range changes {
		change(&config)
	}
	return &world{
		t:        t,
		account:  account,
		core:     NewCore(config, account),
		now:      time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		released: make(map[uint64]int),
	}
}

// observe adds an event and gives its sequence.
func (w *world) observe() uint64 {
	sequence := w.account.Observe()
	w.core.Add(&Item{
		Sequence: sequence,
		Observed: w.now,
		Deadline: w.now.Add(10 * time.Minute),
		Bytes:    10,
		Release:  func() { w.released[sequence]++ },
	})
	return sequence
}

// next gives the item to attempt, and fails the test where there is none.
func (w *world) next() *Item {
	w.t.Helper()
	item, again := w.core.Next(w.now)
	if item == nil {
		w.t.Fatalf("nothing to attempt before %s", again.Sub(w.now))
	}
	return item
}

// nothing fails the test where something may be attempted, and gives how long
// to wait.
func (w *world) nothing() time.Duration {
	w.t.Helper()
	item, again := w.core.Next(w.now)
	if item != nil {
		w.t.Fatalf("item %d may be attempted", item.Sequence)
	}
	if again.IsZero() {
		return 0
	}
	return again.Sub(w.now)
}

func (w *world) done(item *Item, status int) { w.core.Done(item, Result{Status: status}, w.now) }

func TestAHealthySinkGetsEventsInOrder(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.observe()
	}
	for want := uint64(1); want <= 3; want++ {
		item := w.next()
		if item.Sequence != want {
			t.Errorf("got %d, want %d", item.Sequence, want)
		}
		w.done(item, 202)
	}
	w.nothing()
	if s := w.account.Snapshot(); s.Delivered != 3 || s.Pending != 0 || w.released[1] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestAttemptsInFlightAreBoundedAndGrow(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		w.observe()
	}
	var flying []*Item
	for range 4 {
		flying = append(flying, w.next())
	}
	w.nothing()
	w.done(flying[0], 202)
	for range 5 {
		flying = append(flying, w.next())
	}
	w.nothing()
	if w.core.InFlight() != 8 {
		t.Errorf("%d in flight", w.core.InFlight())
	}
}

func TestAFailingSinkIsProbedOneAtATime(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		w.observe()
	}
	first, second := w.next(), w.next()
	w.done(first, 503)
	// 200 ms with half of the jitter; the second attempt began before.
	w.done(second, 503)
	if wait := w.nothing(); wait != 100*time.Millisecond {
		t.Errorf("the gate opens after %s", wait)
	}
	w.now = w.now.Add(100 * time.Millisecond)
	probe := w.next()
	if wait := w.nothing(); wait != 10*time.Minute-100*time.Millisecond {
		t.Errorf("while the probe is under way, next is asked for after %s", wait)
	}
	w.done(probe, 503)
	if wait := w.nothing(); wait != 200*time.Millisecond {
		t.Errorf("the gate opens after %s", wait)
	}
	w.now = w.now.Add(200 * time.Millisecond)
	w.done(w.next(), 202)
	// Open again, slowly.
	w.next()
	w.next()
	w.nothing()
}

// TestASinkThatHungIsFoundToBeBack, though what it was given still hangs.
func TestASinkThatHungIsFoundToBeBack(t *testing.T) {
	hanging := func(config *Config) { config.HangsAfter = 10 * time.Second }
	t.Run("before anything has failed", func(t *testing.T) {
		w := newWorld(t, hanging)
		for range 20 {
			w.observe()
		}
		for range 4 {
			w.next()
		}
		if wait := w.nothing(); wait != 10*time.Second {
			t.Errorf("the gate allows one more after %s", wait)
		}
		w.now = w.now.Add(10 * time.Second)
		late := w.next()
		if wait := w.nothing(); wait != 10*time.Second {
			t.Errorf("the gate allows one more after %s", wait)
		}
		w.done(late, 202)
		for range 4 {
			w.next()
		}
	})
	t.Run("after it failed", func(t *testing.T) {
		w := newWorld(t, hanging)
		for range 20 {
			w.observe()
		}
		w.done(w.next(), 503)
		w.now = w.now.Add(100 * time.Millisecond)
		hangs := w.next()
		w.now = w.now.Add(10 * time.Second)
		probe := w.next()
		w.nothing()
		w.done(probe, 202)
		w.next()
		// What becomes of the one from before says nothing any more.
		w.core.Done(hangs, NoAnswer, w.now)
		w.next()
	})
	t.Run("but no sooner than it asks", func(t *testing.T) {
		w := newWorld(t, hanging)
		for range 20 {
			w.observe()
		}
		w.next()
		w.core.Done(w.next(), Result{Status: 503, RetryAfter: 15 * time.Second}, w.now)
		if wait := w.nothing(); wait != 15*time.Second {
			t.Errorf("the gate opens after %s", wait)
		}
	})
}

func TestASinkIsLeftAloneAsLongAsItAsks(t *testing.T) {
	w := newWorld(t)
	w.observe()
	w.observe()
	item := w.next()
	other := w.next()
	w.core.Done(item, Result{Status: 503, RetryAfter: 7 * time.Second}, w.now)
	// A success of an attempt from before doesn't open the gate.
	w.done(other, 202)
	if wait := w.nothing(); wait != 7*time.Second {
		t.Errorf("the gate opens after %s", wait)
	}
}

func TestARejectedEventIsDroppedAndTheSinkStaysOpen(t *testing.T) {
	w := newWorld(t)
	w.observe()
	w.observe()
	w.done(w.next(), 400)
	w.done(w.next(), 202)
	if s := w.account.Snapshot(); s.Dropped[ledger.ReasonRejected] != 1 || s.Delivered != 1 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestAPoisonEventHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	poison := w.observe()
	for range 20 {
		w.observe()
	}
	for range 100 {
		item, again := w.core.Next(w.now)
		switch {
		case item == nil && again.IsZero():
		case item == nil:
			w.now = again
		case item.Sequence == poison:
			w.done(item, 500)
		default:
			w.done(item, 202)
		}
	}
	if s := w.account.Snapshot(); s.Dropped[ledger.ReasonPoison] != 1 || s.Delivered != 20 || s.Pending != 0 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestAnEventIsGivenUpAtItsDeadline(t *testing.T) {
	w := newWorld(t)
	w.observe()
	w.done(w.next(), 503)
	w.now = w.now.Add(5 * time.Minute)
	w.observe()
	w.now = w.now.Add(5 * time.Minute)
	item := w.next()
	if item.Sequence != 2 {
		t.Errorf("item %d is attempted", item.Sequence)
	}
	if s := w.account.Snapshot(); s.Dropped[ledger.ReasonExpired] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestDrainingSendsTheOldestFirst(t *testing.T) {
	w := newWorld(t)
	w.observe()
	w.observe()
	failed := []*Item{w.next(), w.next()}
	w.now = w.now.Add(time.Second)
	w.observe()
	for _, item := range failed {
		w.done(item, 503)
	}
	w.core.OldestFirst()
	w.now = w.now.Add(time.Minute)
	for want := range uint64(3) {
		item := w.next()
		if item.Sequence != want+1 {
			t.Errorf("item %d goes when it is the turn of %d", item.Sequence, want+1)
		}
		w.done(item, 202)
	}
}

// TestTheLawHoldsForAnySink: at every instant observed = delivered + dropped +
// pending, each event is released once, and every run ends.
func TestTheLawHoldsForAnySink(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t)
			random := rand.New(rand.NewPCG(seed, 0))
			var flying []*Item
			check := func() {
				s := w.account.Snapshot()
				if s.Observed != s.Delivered+s.DroppedTotal()+s.Pending {
					t.Fatalf("the law is broken: %+v", s)
				}
				if held := w.core.Waiting() + len(flying); uint64(held) != s.Pending {
					t.Fatalf("%d held, %d pending", held, s.Pending)
				}
			}
			for range 300 {
				switch random.IntN(5) {
				case 0, 1:
					w.observe()
				case 2, 3:
					if item, _ := w.core.Next(w.now); item != nil {
						flying = append(flying, item)
					}
				case 4:
					w.now = w.now.Add(time.Duration(random.IntN(20)) * time.Second)
				}
				if len(flying) > 0 && random.IntN(2) == 0 {
					n := random.IntN(len(flying))
					item := flying[n]
					flying = append(flying[:n], flying[n+1:]...)
					if random.IntN(10) == 0 {
						w.core.Abandoned(item)
					} else {
						w.done(item, []int{202, 202, 503, 400, 0}[random.IntN(5)])
					}
				}
				check()
			}
			for _, item := range flying {
				w.core.Abandoned(item)
			}
			flying = nil
			w.core.DropAll(ledger.ReasonShutdown)
			check()
			s := w.account.Snapshot()
			if s.Pending != 0 || uint64(len(w.released)) != s.Observed {
				t.Errorf("%d released, the ledger says %+v", len(w.released), s)
			}
			for sequence, times := range w.released {
				if times != 1 {
					t.Errorf("event %d was released %d times", sequence, times)
				}
			}
		})
	}
}
