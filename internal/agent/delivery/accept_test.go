/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TestWhoGivesAnEventMakesItsAttempt, where the sink allows one, and then those
// that follow. The end of Run waits for it.
func TestWhoGivesAnEventMakesItsAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender := new(refusing)
		r := runRig(t, sender, func(o *Options) { o.Spool, o.FirstInFlight = nil, 1 })
		synctest.Wait()
		accept := func() func() {
			now := time.Now()
			return r.Accept(&Item{
				Event: someEvent(t, "{}"), Sequence: r.Account().Observe(), Observed: now, Deadline: now.Add(agentconfig.EventDeadline),
				Bytes: OverheadBytes, Release: func() {},
			})
		}
		attempt, second := accept(), accept()
		synctest.Wait()
		if attempt == nil || second != nil || len(sender.taken) > 0 {
			t.Fatalf("attempts: %t and %t, and %d are made", attempt != nil, second != nil, len(sender.taken))
		}
		attempt()
		if got := r.Account().Snapshot(); got.Delivered != 2 || got.Pending != 0 {
			t.Errorf("the ledger says %+v", got)
		}

		last := accept()
		ended := false
		go func() {
			r.end()
			ended = true
		}()
		synctest.Wait()
		if ended {
			t.Error("Run has ended before an attempt that it allowed")
		}
		last()
		synctest.Wait()
		if !ended {
			t.Error("Run goes on")
		}
		if got := r.Account().Snapshot(); got.Pending != 0 {
			t.Errorf("the ledger says %+v", got)
		}
		if accept() != nil {
			t.Error("there is an attempt after the end of Run")
		}
	})
}
