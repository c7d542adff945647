/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
)

// slow is a sender to a sink that is away for a while, and that takes its time
// for each event.
type slow struct {
	latency time.Duration
	// hangs says that while it is away it gives no response at all.
	hangs bool

	mu   sync.Mutex
	away bool
	// tried is when an attempt was made last.
	tried    time.Time
	arrivals []arrival
}

type arrival struct {
	sequence uint64
	at       time.Time
}

func (s *slow) Send(ctx context.Context, _ *event.Event, sequence uint64) Result {
	s.mu.Lock()
	away := s.away
	s.tried = time.Now()
	s.mu.Unlock()
	switch {
	case away && s.hangs:
		<-ctx.Done()
		return NoResponse
	case away:
		return NoResponse
	}
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals = append(s.arrivals, arrival{sequence, time.Now()})
	return Result{Status: http.StatusAccepted}
}

func (s *slow) lastTried() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

func (s *slow) comeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = false
}

// TestAnEventArrivesWithinHalfAMinuteOfAnOutagesEnd, whatever is on the disk by
// then: in virtual time, with the longest backoff there is, and a sink that has
// just been tried when it comes back, and that takes five times what is
// observed.
func TestAnEventArrivesWithinHalfAMinuteOfAnOutagesEnd(t *testing.T) {
	const (
		outage   = 10 * time.Minute
		pace     = 100 * time.Millisecond
		inFlight = 8
	)
	for name, hangs := range map[string]bool{"refusing": false, "hanging": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			synctest.Test(t, func(t *testing.T) {
				sender := &slow{latency: inFlight * pace / 5, hangs: hangs, away: true}
				r := runRig(t, sender, func(o *Options) {
					o.FirstInFlight, o.MaxInFlight, o.HangsAfter, o.MaxBytes = 4, inFlight, 10*time.Second, 32<<20
					o.AttemptTimeout = 30 * time.Second
					o.Random = func() float64 { return 0.999 }
					o.Spool.Open = func() (SpoolDirectory, error) { return spool.OpenDirectory(path) }
					o.Spool.Log = spool.Options{Limit: 1 << 30, MaxRecordBytes: 64 << 10}
					o.Spool.QueueBytes, o.Spool.WindowBytes = 512<<10, 2<<20
				})
				var observed []time.Time
				observeFor := func(duration time.Duration) {
					for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(pace) {
						observed = append(observed, time.Now())
						r.observe(t)
					}
				}
				observeFor(outage)
				for tried := sender.lastTried(); sender.lastTried().Equal(tried); {
					observeFor(pace)
				}
				sender.comeBack()
				ended, backlog := time.Now(), len(observed)
				observeFor(arrivesWithin)
				time.Sleep(SpooledDeadline)
				synctest.Wait()

				if s := r.Account().Snapshot(); s.Delivered != uint64(len(observed)) || s.Pending != 0 || s.Spooled < uint64(backlog)*9/10 {
					t.Errorf("of %d events, %d of the outage, the ledger says %+v", len(observed), backlog, s)
				}
				longest, ofLive, last := time.Duration(0), time.Duration(0), ended
				back := sender.arrivals[0].at.Add(time.Second)
				var old []uint64
				for _, a := range sender.arrivals {
					if at := observed[a.sequence-1]; !at.Before(ended) {
						longest = max(longest, a.at.Sub(at))
						if at.After(back) {
							ofLive = max(ofLive, a.at.Sub(at))
						}
					} else if at.Before(ended.Add(-2 * arrivesWithin)) {
						old = append(old, a.sequence)
					}
					last = a.at
				}
				t.Logf("a backlog of %d events was away after %s; an event observed after the outage's end arrived after %s at most, and once the sink took events again after %s", backlog, last.Sub(ended), longest, ofLive)
				if longest > arrivesWithin {
					t.Errorf("P4: an event observed after the outage's end took %s", longest)
				}
				if ofLive > overflowAge {
					t.Errorf("an event observed while the sink takes events took %s: it doesn't take turns with the backlog", ofLive)
				}
				if last.Sub(ended) < 2*arrivesWithin {
					t.Error("the backlog is too small to be waited for")
				}
				// What was observed before comes in its order, but for what is in
				// flight at the same time and what had been tried.
				sorted := slices.Sorted(slices.Values(old))
				outOfPlace := 0
				for i := range old {
					if distance := int(sorted[i]) - int(old[i]); distance > 2*inFlight || distance < -2*inFlight {
						outOfPlace++
					}
				}
				if outOfPlace > len(old)/100 {
					t.Errorf("%d of %d old events came out of their order", outOfPlace, len(old))
				}
				r.end()
			})
		})
	}
}
