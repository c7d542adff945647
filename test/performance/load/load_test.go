/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// script is a sender that responds as it is told.
type script struct{ exchange func() error }

func (s script) Exchange() error { return s.exchange() }
func (s script) Close()          {}

func TestOpenBeginsEveryExchangeWhateverBecomesOfIt(t *testing.T) {
	broken := errors.New("broken")
	o := Open(context.Background(), Schedule{Rate: 2000, Length: 50 * time.Millisecond}, []Sender{
		script{func() error { return nil }}, script{func() error { return broken }},
	})
	if o.Exchanges != 100 || len(o.Latencies) != 100 || len(o.Lateness) != 100 {
		t.Errorf("%d exchanges, %d latencies, %d latenesses", o.Exchanges, len(o.Latencies), len(o.Lateness))
	}
	if o.Failed == 0 || o.Failed == 100 || !errors.Is(o.First, broken) {
		t.Errorf("%d failed, the first with %v", o.Failed, o.First)
	}
}

// TestLatencyCountsFromTheIntendedBegin: a server that stands still for a while
// is late for every exchange that was due meanwhile, and not the generator.
func TestLatencyCountsFromTheIntendedBegin(t *testing.T) {
	const stall = 100 * time.Millisecond
	first := true
	o := Open(context.Background(), Schedule{Rate: 1000, Length: 50 * time.Millisecond}, []Sender{script{func() error {
		if first {
			first = false
			time.Sleep(stall)
		}
		return nil
	}}})
	for i, latency := range o.Latencies {
		if least := stall - time.Duration(i)*time.Millisecond; latency < least {
			t.Errorf("exchange %d took %s, want %s or more", i, latency, least)
		}
	}
}

// TestTheCallersThreadKeepsItsTimerSlack: processes that it starts inherit it.
func TestTheCallersThreadKeepsItsTimerSlack(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slack := func() int {
		got, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := slack()
	during := 0
	Open(context.Background(), Schedule{Rate: 1000, Length: 5 * time.Millisecond}, []Sender{script{func() error {
		during++
		return nil
	}}})
	if after := slack(); after != before || during == 0 {
		t.Errorf("%d ns before, %d after %d exchanges", before, after, during)
	}
}

func TestAnEndedContextEndsTheLoad(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	sender := script{func() error { cancel(); return nil }}
	if o := Open(ctx, Schedule{Rate: 1000, Length: time.Hour}, []Sender{sender}); o.Exchanges == 0 {
		t.Error("open: no exchange")
	}
	if o := Closed(ctx, time.Hour, []Sender{sender}); o.Exchanges != 0 {
		t.Errorf("closed: %d exchanges", o.Exchanges)
	}
}

func TestClosedCountsExchanges(t *testing.T) {
	o := Closed(context.Background(), time.Hour, []Sender{script{func() error { return errors.New("broken") }}})
	if o.Exchanges != 1 || o.Failed != 1 || o.First == nil {
		t.Errorf("got %+v", o)
	}
}
