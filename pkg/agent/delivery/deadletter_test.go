/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agentconfig"
)

// withDeadLetters gives a world whose sink has a dead letter sink.
func withDeadLetters(t *testing.T, changes ...func(*Config)) (*world, *Core) {
	w := newWorld(t, changes...)
	letters := NewDeadLetterCore(w.core.config, w.account)
	w.core.SendDeadLettersTo(letters)
	return w, letters
}

func TestWhatTheSinkNeverTakesGoesToItsDeadLetterSink(t *testing.T) {
	one := 1
	for name, test := range map[string]struct {
		lose   func(*world)
		reason ledger.Reason
		status int
		retry  *int
	}{
		"refused": {func(w *world) { w.done(w.next(), 400) }, ledger.ReasonRejected, 400, nil},
		"out of retries": {func(w *world) {
			w.done(w.next(), 503)
			w.now = w.now.Add(time.Second)
			w.done(w.next(), 500)
		}, ledger.ReasonRetries, 500, &one},
		"expired while it waits": {func(w *world) {
			w.done(w.next(), 503)
			w.now = w.now.Add(agentconfig.EventDeadline)
			w.nothing()
		}, ledger.ReasonExpired, 503, nil},
		"expired in an attempt": {func(w *world) {
			item := w.next()
			w.now = w.now.Add(agentconfig.EventDeadline)
			w.done(item, 0)
		}, ledger.ReasonExpired, 0, nil},
		"an address that is refused": {func(w *world) {
			w.core.Done(w.next(), Result{Refused: AddressMetadata}, w.now)
		}, ledger.ReasonAddress, 0, nil},
		"poison": {func(w *world) {
			for range 50 {
				item, again := w.core.Next(w.now)
				switch {
				case item == nil && again.IsZero():
					return
				case item == nil:
					w.now = again
				case item.Sequence == 1:
					w.observe()
					w.done(item, 500)
				default:
					w.done(item, 202)
				}
			}
		}, ledger.ReasonPoison, 500, nil},
	} {
		for _, taken := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, taken %v", name, taken), func(t *testing.T) {
				w, letters := withDeadLetters(t, withSchedule(agentconfig.Schedule{Retries: test.retry}))
				w.observe()
				test.lose(w)
				if s := w.account.Snapshot(); s.Pending != 1 || s.DroppedTotal() != 0 {
					t.Fatalf("before its dead letter sink has it, the ledger says %+v", s)
				}
				letter, _ := letters.Next(w.now)
				if letter == nil || letter.Sequence != 1 || letter.failure.Status != test.status {
					t.Fatalf("the dead letter is %+v", letter)
				}
				if taken {
					letters.Done(letter, Result{Status: 202}, w.now)
				} else {
					letters.Done(letter, Result{Status: 400}, w.now)
				}
				s := w.account.Snapshot()
				if taken && (s.DeadLettered != 1 || s.DroppedTotal() != 0) {
					t.Errorf("the ledger says %+v", s)
				}
				if !taken && (s.DeadLettered != 0 || s.Dropped[test.reason] != 1) {
					t.Errorf("the ledger says %+v", s)
				}
				if s.Pending != 0 || w.released[1] != 1 {
					t.Errorf("the ledger says %+v, it was released %d times", s, w.released[1])
				}
			})
		}
	}
}

func TestADeadLetterSinkIsAskedABoundedNumberOfTimes(t *testing.T) {
	w, letters := withDeadLetters(t)
	w.observe()
	w.done(w.next(), 400)
	attempts := 0
	for range 100 {
		item, again := letters.Next(w.now)
		if item == nil && again.IsZero() {
			break
		}
		if item == nil {
			w.now = again
			continue
		}
		attempts++
		letters.Done(item, Result{Status: 503}, w.now)
	}
	if s := w.account.Snapshot(); attempts != 5 || s.Dropped[ledger.ReasonRejected] != 1 || s.Pending != 0 {
		t.Errorf("%d attempts, the ledger says %+v", attempts, s)
	}
}

func TestADeadLetterSinkThatHangsHoldsUpNothing(t *testing.T) {
	w, letters := withDeadLetters(t, func(config *Config) { config.MaxBytes = 40 })
	letters.config.MaxBytes = 20
	for n := range 100 {
		w.observe() // 10 bytes
		w.done(w.next(), map[bool]int{true: 400, false: 202}[n%2 == 0])
		for letters.gate.allows(w.now) && letters.Waiting() > 0 {
			letters.Next(w.now)
		}
	}
	s := w.account.Snapshot()
	if s.Delivered != 50 || s.Pending != 2 || s.Dropped[ledger.ReasonRejected] != 48 {
		t.Errorf("the ledger says %+v", s)
	}
}

// A sink that takes nothing is probed by one event at a time. With a bounded
// number of retries, the others don't wait for their turn until they expire.
func TestWhatWaitsForADeadSinkBecomesADeadLetterInTime(t *testing.T) {
	retries := 2
	w, letters := withDeadLetters(t, withSchedule(agentconfig.Schedule{Retries: &retries}))
	for range 50 {
		w.observe()
	}
	begun, attempts := w.now, 0
	for w.core.Waiting() > 0 {
		item, again := w.core.Next(w.now)
		switch {
		case item != nil:
			attempts++
			w.done(item, 503)
		case again.IsZero():
		default:
			w.now = again
		}
	}
	if took := w.now.Sub(begun); took > 40*time.Second || attempts < 3 || attempts > 20 {
		t.Errorf("%d attempts, the last event became a dead letter after %s", attempts, took)
	}
	for range 50 {
		letter, _ := letters.Next(w.now)
		if letter == nil || letter.failure.Status != 503 || letter.lostFor != ledger.ReasonRetries {
			t.Fatalf("the dead letter is %+v", letter)
		}
		letters.Done(letter, Result{Status: 202}, w.now)
	}
	if s := w.account.Snapshot(); s.DeadLettered != 50 || s.Pending != 0 {
		t.Errorf("the ledger says %+v", s)
	}
}

// A probe that hangs is not waited for.
func TestWhatWaitsBehindAHangingProbeBecomesADeadLetterInTime(t *testing.T) {
	retries := 2
	w, letters := withDeadLetters(t, withSchedule(agentconfig.Schedule{Retries: &retries}))
	w.observe()
	w.done(w.next(), 503)
	w.observe()
	w.now = w.now.Add(time.Second)
	w.next()
	w.now = w.now.Add(w.nothing())
	w.core.Next(w.now)
	if wait := w.now.Sub(w.core.gate.since); wait != 20*time.Second || letters.Waiting() != 1 {
		t.Errorf("after %s, %d dead letters wait", wait, letters.Waiting())
	}
}

// Where there is no dead letter sink, or no bound, an event waits as long as
// it lives: the sink may come back.
func TestWhatWaitsForADeadSinkOtherwiseWaits(t *testing.T) {
	retries := 2
	for name, w := range map[string]*world{
		"no dead letter sink": newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries})),
		"no bound":            func() *world { w, _ := withDeadLetters(t); return w }(),
	} {
		w.observe()
		w.done(w.next(), 503)
		for range 10 {
			w.observe()
		}
		w.now = w.now.Add(time.Minute)
		w.core.Next(w.now)
		if s := w.account.Snapshot(); s.Pending != 11 || w.core.Waiting() != 10 {
			t.Errorf("%s: %d wait, the ledger says %+v", name, w.core.Waiting(), s)
		}
	}
}

// An event that is old because the agent is slow is no dead letter of a sink
// that takes events.
func TestWhatWaitsForASinkThatTakesEventsWaits(t *testing.T) {
	none := 0
	w, letters := withDeadLetters(t, withSchedule(agentconfig.Schedule{Retries: &none}))
	for range 10 {
		w.observe()
	}
	w.now = w.now.Add(time.Minute)
	w.done(w.next(), 500)
	w.now = w.now.Add(time.Second)
	for range 9 {
		w.done(w.next(), 202)
	}
	if s := w.account.Snapshot(); s.Delivered != 9 || letters.Waiting() != 1 {
		t.Errorf("%d dead letters, the ledger says %+v", letters.Waiting(), s)
	}
}

func TestWhatIsNoDeadLetter(t *testing.T) {
	w, letters := withDeadLetters(t)
	w.observe()
	w.core.Done(w.next(), Result{Unsendable: true}, w.now)
	w.observe()
	w.core.DropAll(ledger.ReasonShutdown)
	if s := w.account.Snapshot(); letters.Waiting() != 0 || s.Dropped[ledger.ReasonInvalid] != 1 || s.Dropped[ledger.ReasonShutdown] != 1 {
		t.Errorf("%d dead letters, the ledger says %+v", letters.Waiting(), s)
	}
}

// TestTheLawHoldsWithDeadLetters, whatever the two sinks answer.
func TestTheLawHoldsWithDeadLetters(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			retries, delay := random.IntN(3), time.Duration(random.IntN(3))*time.Second
			w, letters := withDeadLetters(t, withSchedule(agentconfig.Schedule{Retries: &retries, Delay: &delay}), func(c *Config) { c.MaxBytes = 200 })
			type flight struct {
				core *Core
				item *Item
			}
			var flying []flight
			check := func() {
				s := w.account.Snapshot()
				if s.Observed != s.Delivered+s.DroppedTotal()+s.DeadLettered+s.Pending {
					t.Fatalf("the law is broken: %+v", s)
				}
				held := w.core.Waiting() + letters.Waiting() + len(flying)
				if uint64(held) != s.Pending || w.core.held+letters.held != int64(10*held) {
					t.Fatalf("%d held, %d pending, %d and %d bytes", held, s.Pending, w.core.held, letters.held)
				}
			}
			for range 400 {
				if random.IntN(3) == 0 {
					w.observe()
				}
				core := []*Core{w.core, letters}[random.IntN(2)]
				if item, _ := core.Next(w.now); item != nil {
					flying = append(flying, flight{core, item})
				}
				w.now = w.now.Add(time.Duration(random.IntN(4)) * time.Second)
				if len(flying) > 0 && random.IntN(2) == 0 {
					n := random.IntN(len(flying))
					f := flying[n]
					flying = append(flying[:n], flying[n+1:]...)
					if random.IntN(10) == 0 {
						f.core.Abandoned(f.item)
					} else {
						f.core.Done(f.item, Result{Status: []int{202, 503, 400, 0}[random.IntN(4)]}, w.now)
					}
				}
				check()
			}
			for _, f := range flying {
				f.core.Abandoned(f.item)
			}
			flying = nil
			w.core.DropAll(ledger.ReasonShutdown)
			letters.DropAll(ledger.ReasonShutdown)
			check()
			s := w.account.Snapshot()
			if s.Pending != 0 || s.DeadLettered == 0 || uint64(len(w.released)) != s.Observed {
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

// TestShare: whatever the others hold, each sink has its guaranteed part.
func TestShare(t *testing.T) {
	const budget = 1 << 20
	if got := Share(budget, 1); got != budget {
		t.Errorf("a sole sink may hold %d", got)
	}
	for sinks := 2; sinks <= 20; sinks++ {
		left := int64(budget) - int64(sinks-1)*Share(budget, sinks)
		if left < budget/int64(2*sinks) {
			t.Errorf("of %d sinks, the others leave one %d bytes", sinks, left)
		}
	}
}

func TestASinkHoldsNoMoreThanItsShare(t *testing.T) {
	w := newWorld(t, func(config *Config) { config.MaxBytes = 30 })
	for range 5 {
		w.observe() // 10 bytes
	}
	if s := w.account.Snapshot(); s.Pending != 3 || s.Dropped[ledger.ReasonBudget] != 2 || w.released[4] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
	// One that is under way counts until it is over.
	item := w.next()
	w.observe()
	if s := w.account.Snapshot(); s.Pending != 3 {
		t.Errorf("the ledger says %+v", s)
	}
	w.done(item, 202)
	w.observe()
	if s := w.account.Snapshot(); s.Pending != 3 || s.Delivered != 1 || s.Dropped[ledger.ReasonBudget] != 3 {
		t.Errorf("the ledger says %+v", s)
	}
}
