/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"testing"
	"time"
)

// TestTheRetryAfterOfEachAttemptCounts, also of one that was under way when
// another one closed the gate.
func TestTheRetryAfterOfEachAttemptCounts(t *testing.T) {
	now := time.Now()
	g := newGate(4, 8, 0)
	first, second := g.begin(now), g.begin(now)
	g.failed(first, now, 0, 0)
	g.failed(second, now, 10*time.Second, 0)
	if g.allows(now.Add(10*time.Second - 1)) {
		t.Error("an attempt may begin before the Retry-After is over")
	}
	if !g.allows(now.Add(10 * time.Second)) {
		t.Error("no attempt may begin when the Retry-After is over")
	}
}

// TestARefusedNameIsAskedForAgain after 10 s, and not before.
func TestARefusedNameIsAskedForAgain(t *testing.T) {
	now := time.Now()
	sender := new(HTTPSender)
	sender.unanswered(&refusedAddressError{class: AddressMetadata}, now)
	if got := sender.refusedNow(now.Add(10*time.Second - 1)); got != AddressMetadata {
		t.Errorf("before 10 s the address is %q", got)
	}
	if got := sender.refusedNow(now.Add(10 * time.Second)); got != AddressNone {
		t.Errorf("after 10 s the address is %q", got)
	}
}
