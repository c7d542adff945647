/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package sampling

import (
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestACeilingAdmitsPairs: both events of an exchange, or none.
func TestACeilingAdmitsPairs(t *testing.T) {
	c := NewCeiling(4)
	var first, second, third Pair
	admit := func(what string, pair *Pair, later int, after time.Duration, want bool) {
		t.Helper()
		if got := c.Admit(pair, later, start.Add(after)); got != want {
			t.Errorf("%s is admitted: %t", what, got)
		}
	}
	admit("the first request", &first, 1, 0, true)
	admit("the second request", &second, 1, 0, true)
	admit("the third request", &third, 1, 0, false)
	admit("the third response, when there is room again", &third, 0, time.Second, false)
	admit("the second response", &second, 0, time.Second, true)
	admit("the first response", &first, 0, time.Second, true)
	for n := range 2 {
		admit("a request in the next second", new(Pair), 1, time.Second, n < 2)
	}
	admit("one more", new(Pair), 1, time.Second, false)
	admit("a single event after half of a second", new(Pair), 0, 1500*time.Millisecond, true)
	admit("one after it", new(Pair), 0, 1500*time.Millisecond, true)
	admit("and one more", new(Pair), 0, 1500*time.Millisecond, false)
}

// TestATokenComesBack of a response that isn't to be sent, once.
func TestATokenComesBack(t *testing.T) {
	c := NewCeiling(2)
	var first, second, third Pair
	if !c.Admit(&first, 1, start) || c.Admit(&second, 0, start) {
		t.Fatal("the bucket doesn't have two tokens")
	}
	c.GiveBack(&first)
	c.GiveBack(&first)
	c.GiveBack(&second)
	if !c.Admit(&third, 0, start) || c.Admit(new(Pair), 0, start) {
		t.Error("another number of tokens than one came back")
	}
}

// TestAPairExceedsABucketOfOne, which owes a token then.
func TestAPairExceedsABucketOfOne(t *testing.T) {
	c := NewCeiling(1)
	admitted := 0
	for second := range 10 {
		var pair Pair
		if c.Admit(&pair, 1, start.Add(time.Duration(second)*time.Second)) {
			admitted++
		}
	}
	if admitted != 5 {
		t.Errorf("%d pairs are admitted in 10 seconds, want 5", admitted)
	}
}

// TestACeilingHoldsInAnyPeriod, for events that come at any times, also where the
// clock goes back.
func TestACeilingHoldsInAnyPeriod(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, perSecond := range []int64{1, 3, 50, 1000} {
		c, now := NewCeiling(perSecond), start
		var admitted []time.Time
		for range 5000 {
			now = now.Add(time.Duration(random.ExpFloat64() * float64(time.Second) / float64(2*perSecond)))
			if random.IntN(50) == 0 {
				now = now.Add(-time.Millisecond)
			}
			if c.Admit(new(Pair), 0, now) {
				admitted = append(admitted, now)
			}
		}
		for i := range admitted {
			for j := i; j < len(admitted); j++ {
				period := admitted[j].Sub(admitted[i]) + 2*time.Millisecond
				if most := float64(perSecond) * (1 + period.Seconds()); float64(j-i+1) > most+1 {
					t.Fatalf("with %d in a second, %d events are in %s", perSecond, j-i+1, period)
				}
			}
		}
		// A small bucket is often full when nothing comes.
		if least := int(.6 * float64(perSecond) * now.Sub(start).Seconds()); len(admitted) < least {
			t.Errorf("with %d in a second, %d are admitted in %s", perSecond, len(admitted), now.Sub(start))
		}
	}
}

func TestNoCeilingAdmitsAll(t *testing.T) {
	c := NewCeiling(0)
	for range 1000 {
		if !c.Admit(nil, 1, start) {
			t.Fatal("one is refused")
		}
		c.GiveBack(nil)
	}
}
