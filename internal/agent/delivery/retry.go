/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// maxFailuresAmongSuccesses is how often an event may fail while others
// succeed before it counts as poison.
const maxFailuresAmongSuccesses = 3

// retryState is what an item's attempts have come to so far.
type retryState struct {
	attempts int
	ticket   ticket
	// notBefore is when the schedule allows the next attempt.
	notBefore time.Time
	// failure is the last attempt's result, where there is a dead letter sink.
	failure Result
	// successes is the sink's count when this item last failed.
	successes              uint64
	failuresAmongSuccesses int
}

// failed takes note of a failed attempt. successes is the sink's count so far.
func (r *retryState) failed(successes uint64) {
	if r.attempts > 1 && successes > r.successes {
		r.failuresAmongSuccesses++
	} else {
		r.failuresAmongSuccesses = 1
	}
	r.successes = successes
}

// schedule sets when the next attempt may begin after a failed one, or gives
// the reason why there is none.
func (r *retryState) schedule(s agentconfig.Schedule, now, deadline time.Time) (reason ledger.Reason, again bool) {
	switch {
	case !now.Before(deadline):
		return ledger.ReasonExpired, false
	case s.Exhausted(r.attempts):
		return ledger.ReasonRetries, false
	case s.Retries == nil && r.failuresAmongSuccesses >= maxFailuresAmongSuccesses:
		// An explicit number of retries is the only bound where there is one.
		return ledger.ReasonPoison, false
	}
	if wait := s.Wait(r.attempts); wait > 0 {
		r.notBefore = now.Add(wait)
	}
	return "", true
}
