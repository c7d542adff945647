/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package sampling

import (
	"sync"
	"time"
)

// Ceiling bounds the events of a second by a bucket of tokens. The bucket holds the
// tokens of one second, and gets them back within a second. So in any period there
// are at most the events of that period and of one second more. A nil Ceiling has no
// bound. It is safe for concurrent use.
type Ceiling struct {
	perSecond float64

	mu     sync.Mutex
	tokens float64
	at     time.Time
}

// NewCeiling returns a full bucket, or nil for 0.
func NewCeiling(perSecond int64) *Ceiling {
	if perSecond == 0 {
		return nil
	}
	return &Ceiling{perSecond: float64(perSecond), tokens: float64(perSecond)}
}

// Pair is what the events of one exchange share: the first of them decides for all.
// The zero value is that of an exchange without an event yet.
type Pair struct {
	decided, admitted bool
	// reserved is how many tokens there are for later events.
	reserved int
}

// Admit reports whether an event of an exchange may be sent at a time. The first one
// takes the tokens of so many later events, too. So an exchange sends all of its
// events or none.
func (c *Ceiling) Admit(pair *Pair, later int, now time.Time) bool {
	if c == nil {
		return true
	}
	switch {
	case !pair.decided:
		pair.decided = true
		if pair.admitted = c.take(1+later, now); pair.admitted {
			pair.reserved = later
		}
	case pair.reserved > 0:
		pair.reserved--
	}
	return pair.admitted
}

// GiveBack returns the token of a later event that isn't to be sent.
func (c *Ceiling) GiveBack(pair *Pair) {
	if c == nil || pair.reserved == 0 {
		return
	}
	pair.reserved--
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = min(c.perSecond, c.tokens+1)
}

// take takes tokens if the bucket has as many, or is full. A full bucket that has
// less owes the others.
func (c *Ceiling) take(count int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if elapsed := now.Sub(c.at); elapsed > 0 {
		c.tokens, c.at = min(c.perSecond, c.tokens+elapsed.Seconds()*c.perSecond), now
	}
	if c.tokens < min(float64(count), c.perSecond) {
		return false
	}
	c.tokens -= float64(count)
	return true
}
