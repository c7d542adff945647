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

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TestUndeliveredEventsGoToTheDeadLetterSink with what the sink's last attempt
// came to, and are dropped for the first reason where that doesn't take them.
// The reasons are those of testdata/scenarios/dead_letters.
func TestUndeliveredEventsGoToTheDeadLetterSink(t *testing.T) {
	one := 1
	for name, test := range map[string]struct {
		retries *int
		results []Result
		reason  ledger.Reason
		status  int
	}{
		"refused":                    {nil, []Result{{Status: 400}}, ledger.ReasonRejected, 400},
		"out of retries":             {&one, []Result{{Status: 503}, {Status: 500}}, ledger.ReasonRetries, 500},
		"expired":                    {nil, []Result{{Status: 503}, {}}, ledger.ReasonExpired, 503},
		"an address that is refused": {nil, []Result{{Refused: AddressMetadata}}, ledger.ReasonAddress, 0},
	} {
		for _, taken := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, taken %v", name, taken), func(t *testing.T) {
				w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: test.retries}), withDeadLetters)
				w.observe()
				for _, result := range test.results {
					w.begin()
					if result.Status == 0 && result.Refused == AddressNone {
						w.now = w.now.Add(agentconfig.EventDeadline)
						w.abandon(w.core, 0)
						continue
					}
					w.end(w.core, 0, result)
					w.now = w.now.Add(time.Second)
				}
				w.begin()
				if s := w.account.Snapshot(); s.Pending != 1 || s.DroppedTotal() != 0 {
					t.Fatalf("before its dead letter sink has it, the ledger says %+v", s)
				}
				letters := w.begun[w.letters]
				if len(letters) != 1 || letters[0].Sequence != 1 || letters[0].retry.failure.Status != test.status || letters[0].retry.attempts != 1 {
					t.Fatalf("the dead letters are %+v", letters)
				}
				if taken {
					w.end(w.letters, 0, Result{Status: 202})
				} else {
					w.end(w.letters, 0, Result{Status: 400})
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

func TestPoisonBecomesADeadLetter(t *testing.T) {
	w := newWorld(t, withDeadLetters)
	poison := w.observe()
	for range 200 {
		w.begin()
		switch {
		case len(w.begun[w.letters]) > 0:
			letter := w.begun[w.letters][0]
			if letter.Sequence != poison || letter.undelivered != ledger.ReasonPoison || letter.retry.failure.Status != 500 {
				t.Fatalf("the dead letter is %+v", letter)
			}
			w.end(w.letters, 0, Result{Status: 202})
		case len(w.begun[w.core]) == 0:
			w.now = w.now.Add(100 * time.Millisecond)
		case w.begun[w.core][0].Sequence == poison:
			w.observe()
			w.end(w.core, 0, Result{Status: 500})
		default:
			w.end(w.core, 0, Result{Status: 202})
		}
	}
	if s := w.account.Snapshot(); s.DeadLettered != 1 || s.DroppedTotal() != 0 || s.Pending != 0 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestADeadLetterSinkGetsABoundedNumberOfAttempts(t *testing.T) {
	w := newWorld(t, withDeadLetters)
	w.observe()
	w.begin()
	w.end(w.core, 0, Result{Status: 400})
	attempts := 0
	for range 1000 {
		w.begin()
		if len(w.begun[w.letters]) == 0 {
			w.now = w.now.Add(100 * time.Millisecond)
			continue
		}
		attempts++
		w.end(w.letters, 0, Result{Status: 503})
	}
	if s := w.account.Snapshot(); attempts != 5 || s.Dropped[ledger.ReasonRejected] != 1 || s.Pending != 0 {
		t.Errorf("%d attempts, the ledger says %+v", attempts, s)
	}
}

func TestADeadLetterSinkThatHangsHoldsUpNothing(t *testing.T) {
	w := newWorld(t, withDeadLetters, func(o *Options) { o.MaxBytes = 40 })
	for n := range 100 {
		w.observe() // 10 bytes
		w.begin()
		w.end(w.core, 0, Result{Status: map[bool]int{true: 400, false: 202}[n%2 == 0]})
		w.begin()
	}
	s := w.account.Snapshot()
	if s.Delivered != 50 || s.Pending != 2 || s.Dropped[ledger.ReasonRejected] != 48 {
		t.Errorf("the ledger says %+v", s)
	}
}

// TestOverdueEventsBecomeDeadLetters: a sink that takes nothing is probed with one
// event at a time. With a bounded number of retries, the others don't wait for
// their turn until they expire.
func TestOverdueEventsBecomeDeadLetters(t *testing.T) {
	retries := 2
	w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries}), withDeadLetters)
	for range 50 {
		w.observe()
	}
	begun, attempts, letters := w.now, 0, 0
	for w.account.Snapshot().Pending > 0 && w.now.Sub(begun) < 40*time.Second {
		w.now = w.now.Add(100 * time.Millisecond)
		w.begin()
		for len(w.begun[w.core]) > 0 {
			attempts++
			w.end(w.core, 0, Result{Status: 503})
		}
		for len(w.begun[w.letters]) > 0 {
			letters++
			if letter := w.begun[w.letters][0]; letter.retry.failure.Status != 503 || letter.undelivered != ledger.ReasonRetries {
				t.Fatalf("the dead letter is %+v", letter)
			}
			w.end(w.letters, 0, Result{Status: 202})
		}
	}
	if s := w.account.Snapshot(); attempts < 3 || attempts > 20 || letters != 50 || s.DeadLettered != 50 || s.Pending != 0 {
		t.Errorf("%d attempts, %d dead letters, the ledger says %+v", attempts, letters, s)
	}
}

// TestTheLawHoldsWithDeadLetters, whatever the two sinks respond.
func TestTheLawHoldsWithDeadLetters(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			retries, delay := random.IntN(3), time.Duration(random.IntN(3))*time.Second
			w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries, Delay: &delay}), withDeadLetters, func(o *Options) { o.MaxBytes = 200 })
			check := func() {
				s := w.account.Snapshot()
				if s.Observed != s.Delivered+s.DroppedTotal()+s.DeadLettered+s.Pending {
					t.Fatalf("the law is broken: %+v", s)
				}
				held := w.core.Waiting() + w.letters.Waiting() + len(w.begun[w.core]) + len(w.begun[w.letters])
				if uint64(held) != s.Pending || w.sink.HeldBytes() != int64(10*held) {
					t.Fatalf("%d held, %d pending, %d bytes", held, s.Pending, w.sink.HeldBytes())
				}
			}
			for range 400 {
				if random.IntN(3) == 0 {
					w.observe()
				}
				if random.IntN(2) == 0 {
					w.begin()
				}
				w.now = w.now.Add(time.Duration(random.IntN(4)) * time.Second)
				c := []*core{w.core, w.letters}[random.IntN(2)]
				if begun := len(w.begun[c]); begun > 0 && random.IntN(2) == 0 {
					if n := random.IntN(begun); random.IntN(10) == 0 {
						w.abandon(c, n)
					} else {
						w.end(c, n, Result{Status: []int{202, 503, 400, 0}[random.IntN(4)]})
					}
				}
				check()
			}
			w.abandonAll()
			check()
			if s := w.account.Snapshot(); s.Pending != 0 || s.DeadLettered == 0 {
				t.Errorf("the ledger says %+v", s)
			}
			w.mustReleaseEachOnce()
		})
	}
}
