/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
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
		"no answer":        {NoResponse, Retry},
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

// world is a sink's cores with a clock, and what became of their items. It does
// with them as a Sink does, but makes no attempts and has no spool.
type world struct {
	t             *testing.T
	sink          *Sink
	core, letters *core
	account       *ledger.Account
	now           time.Time
	released      map[uint64]int
	// begun are the attempts of each core that are in flight.
	begun map[*core][]*Item
	// leaving, read and acknowledged are what the cores asked of a spool.
	leaving      []*Item
	read         reading
	acknowledged map[uint64]bool
}

func newWorld(t *testing.T, changes ...func(*Options)) *world {
	options := Options{Config: Config{FirstInFlight: 4, MaxInFlight: 8, Random: func() float64 { return 0.5 }}}
	for _, change := range changes {
		change(&options)
	}
	w := &world{
		t:            t,
		sink:         NewSink("default", nil, options),
		now:          time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		released:     make(map[uint64]int),
		begun:        make(map[*core][]*Item),
		acknowledged: make(map[uint64]bool),
	}
	w.account, w.core = w.sink.Account(), w.sink.routes[0].core
	if len(w.sink.routes) > 1 {
		w.letters = w.sink.routes[1].core
	}
	return w
}

func withSchedule(schedule agentconfig.Schedule) func(*Options) {
	return func(o *Options) { o.Schedule = schedule }
}

func withDeadLetters(o *Options) {
	o.DeadLetters = &DeadLetterOptions{Destination: func() string { return "" }}
}

// observe adds an event and gives its sequence.
func (w *world) observe() uint64 {
	sequence := w.account.Observe()
	w.step(w.core, enqueued{item: &Item{
		Sequence: sequence,
		Observed: w.now,
		Deadline: w.now.Add(10 * time.Minute),
		Bytes:    10,
		Release:  func() { w.released[sequence]++ },
	}})
	return sequence
}

// step tells a core something, and books what it comes to. Nothing begins.
func (w *world) step(c *core, in input) {
	c.Step(w.now, in)
	w.act(stopped{})
}

// begin has everything begin that the cores ask for.
func (w *world) begin() { w.act(started{}) }

func (w *world) act(in input) {
	for _, r := range w.sink.routes {
		r.core.Step(w.now, in)
		asked := r.core.Ready()
		for _, o := range asked.Outcomes {
			w.sink.book(r, o, asked, w.now)
		}
		for _, record := range asked.Acknowledge {
			w.acknowledged[record] = true
		}
		for _, item := range asked.Attempts {
			if item.retry.attempts > 1 {
				w.account.Retry()
			}
			w.begun[r.core] = append(w.begun[r.core], item)
		}
		w.leaving = append(w.leaving, asked.Spool...)
		if asked.Read.Records > 0 {
			w.read = asked.Read
		}
		r.core.Advance()
	}
}

// end ends the attempt at a core that began as the nth of those in flight.
func (w *world) end(c *core, n int, result Result) {
	item := w.begun[c][n]
	w.begun[c] = slices.Delete(w.begun[c], n, n+1)
	w.step(c, attemptEnded{item: item, result: result})
}

// abandon has the agent cut such an attempt off.
func (w *world) abandon(c *core, n int) {
	item := w.begun[c][n]
	w.begun[c] = slices.Delete(w.begun[c], n, n+1)
	w.step(c, attemptAbandoned{item: item})
}

// abandonAll cuts off whatever is in flight, and drops what is left.
func (w *world) abandonAll() {
	for _, r := range w.sink.routes {
		for len(w.begun[r.core]) > 0 {
			w.abandon(r.core, 0)
		}
	}
	for _, r := range w.sink.routes {
		w.step(r.core, closed{})
	}
}

// mustReleaseEachOnce fails the test where an event wasn't released exactly once.
func (w *world) mustReleaseEachOnce() {
	w.t.Helper()
	for sequence := uint64(1); sequence <= w.account.Snapshot().Observed; sequence++ {
		if w.released[sequence] != 1 {
			w.t.Errorf("event %d was released %d times", sequence, w.released[sequence])
		}
	}
}

// TestTheLawHoldsForAnySink: at every instant observed = delivered + dropped +
// pending, each event is released once, and every run ends.
func TestTheLawHoldsForAnySink(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t)
			random := rand.New(rand.NewPCG(seed, 0))
			check := func() {
				s := w.account.Snapshot()
				if s.Observed != s.Delivered+s.DroppedTotal()+s.Pending {
					t.Fatalf("the law is broken: %+v", s)
				}
				if held := w.core.Waiting() + len(w.begun[w.core]); uint64(held) != s.Pending {
					t.Fatalf("%d held, %d pending", held, s.Pending)
				}
			}
			for range 300 {
				switch random.IntN(5) {
				case 0, 1:
					w.observe()
				case 2, 3:
					w.begin()
				case 4:
					w.now = w.now.Add(time.Duration(random.IntN(20)) * time.Second)
				}
				if begun := len(w.begun[w.core]); begun > 0 && random.IntN(2) == 0 {
					if n := random.IntN(begun); random.IntN(10) == 0 {
						w.abandon(w.core, n)
					} else {
						w.end(w.core, n, Result{Status: []int{202, 202, 503, 400, 0}[random.IntN(5)]})
					}
				}
				check()
			}
			w.abandonAll()
			check()
			if s := w.account.Snapshot(); s.Pending != 0 || s.Delivered == 0 {
				t.Errorf("the ledger says %+v", s)
			}
			w.mustReleaseEachOnce()
		})
	}
}

// TestPoisonHoldsNothingUp while the others are delivered.
func TestPoisonHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	poison := w.observe()
	for range 20 {
		w.observe()
	}
	for range 100 {
		w.begin()
		if len(w.begun[w.core]) == 0 {
			w.now = w.now.Add(100 * time.Millisecond)
			continue
		}
		status := 202
		if w.begun[w.core][0].Sequence == poison {
			status = 500
		}
		w.end(w.core, 0, Result{Status: status})
	}
	if s := w.account.Snapshot(); s.Dropped[ledger.ReasonPoison] != 1 || s.Delivered != 20 || s.Pending != 0 {
		t.Errorf("the ledger says %+v", s)
	}
}

// TestACoreAllocatesNothing for an event that the sink takes at once.
func TestACoreAllocatesNothing(t *testing.T) {
	now := time.Now()
	c := newCore(Config{FirstInFlight: 4, MaxInFlight: 8, Random: func() float64 { return 0.5 }}, spoolBounds{}, true)
	c.Step(now, started{})
	item := new(Item)
	if got := testing.AllocsPerRun(1000, func() {
		*item = Item{Observed: now, Deadline: now.Add(agentconfig.EventDeadline), Bytes: 10}
		c.Step(now, enqueued{item: item})
		attempts := c.Ready().Attempts
		c.Advance()
		if len(attempts) != 1 {
			t.Fatalf("%d attempts begin", len(attempts))
		}
		c.Step(now, attemptEnded{item: item, result: Result{Status: 202}})
		if delivered := c.Ready().Outcomes; len(delivered) != 1 {
			t.Fatalf("%d outcomes", len(delivered))
		}
		c.Advance()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestNoEventIsPoisonBeforeItsRetriesAreOver, where a number of them was asked for.
func TestNoEventIsPoisonBeforeItsRetriesAreOver(t *testing.T) {
	retries, delay := 5, time.Duration(0)
	w := newWorld(t, withSchedule(agentconfig.Schedule{Retries: &retries, Delay: &delay}))
	poison := w.observe()
	for range 500 {
		w.begin()
		switch {
		case len(w.begun[w.core]) == 0:
			w.now = w.now.Add(100 * time.Millisecond)
		case w.begun[w.core][0].Sequence == poison:
			w.observe()
			w.end(w.core, 0, Result{Status: 500})
		default:
			w.end(w.core, 0, Result{Status: 202})
		}
	}
	if s := w.account.Snapshot(); s.Dropped[ledger.ReasonPoison] != 0 || s.Dropped[ledger.ReasonRetries] != 1 || s.Delivered != 6 {
		t.Errorf("the ledger says %+v", s)
	}
}
