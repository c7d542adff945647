/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"testing"
	"time"
)

// TestTheRetryAfterOfEachAttemptCounts, also of one that was in flight when
// another one opened the circuit.
func TestTheRetryAfterOfEachAttemptCounts(t *testing.T) {
	now := time.Now()
	b := newBreaker(4, 8, 0)
	first, second := b.begin(now), b.begin(now)
	b.failed(first, now, 0, 0)
	b.failed(second, now, 10*time.Second, 0)
	if b.allows(now.Add(10*time.Second - 1)) {
		t.Error("an attempt may begin before the Retry-After is over")
	}
	if !b.allows(now.Add(10 * time.Second)) {
		t.Error("no attempt may begin when the Retry-After is over")
	}
}

// TestForbiddenNameIsResolvedAgain after 10 s, and not before.
func TestForbiddenNameIsResolvedAgain(t *testing.T) {
	now := time.Now()
	sender := new(HTTPSender)
	sender.noResponse(nil, &refusedAddressError{class: AddressMetadata}, now)
	if got := sender.refusedNow(now.Add(10*time.Second - 1)); got != AddressMetadata {
		t.Errorf("before 10 s the address is %q", got)
	}
	if got := sender.refusedNow(now.Add(10 * time.Second)); got != AddressNone {
		t.Errorf("after 10 s the address is %q", got)
	}
}

// TestAYoungerProbesSuccessCounts although an older one, which hung, failed
// while it was in flight; unless the sink has said when to come back.
func TestAYoungerProbesSuccessCounts(t *testing.T) {
	for name, test := range map[string]struct {
		retryAfter time.Duration
		closes     bool
	}{
		"the older one hung until its timeout":  {0, true},
		"the older one's response names a time": {time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(0, 0)
			b := newBreaker(4, 8, 10*time.Second)
			b.failed(b.begin(now), now, 0, 0)
			older := b.begin(now)
			now = now.Add(10 * time.Second)
			younger := b.begin(now)
			probed := now
			now = now.Add(5 * time.Second)
			b.failed(older, now, test.retryAfter, 0.999)
			if most := probed.Add(20 * time.Second); test.closes && b.notBefore.After(most) {
				t.Errorf("the next probe is %s after the last", b.notBefore.Sub(probed))
			}
			b.succeeded(younger)
			if b.open == test.closes {
				t.Errorf("the circuit is open: %v", b.open)
			}
			// What failed before tells nothing about a circuit that has been closed.
			b.failed(older, now, 0, 0)
			if b.open == test.closes {
				t.Errorf("after a late failure the circuit is open: %v", b.open)
			}
		})
	}
}
