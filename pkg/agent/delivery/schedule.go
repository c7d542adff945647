/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "time"

// EventDeadline is how long after it was observed an event is given up,
// whatever its schedule says.
const EventDeadline = 10 * time.Minute

// BackoffPolicy says how the wait before a retry grows (knative.dev/eventing,
// DeliverySpec.backoffPolicy).
type BackoffPolicy string

// The policies.
const (
	// BackoffLinear waits the delay times the retry's number.
	BackoffLinear BackoffPolicy = "linear"
	// BackoffExponential waits the delay, doubled with each retry.
	BackoffExponential BackoffPolicy = "exponential"
)

const (
	// defaultRetryDelay is Eventing's own default for a Broker.
	defaultRetryDelay = 200 * time.Millisecond
	// mostUnlimitedDelay bounds the wait where no number of retries does.
	mostUnlimitedDelay = 20 * time.Second
)

// Schedule says how often and when an event that failed is tried again. The
// zero Schedule leaves that to the sink's gate and the event's deadline.
type Schedule struct {
	// Retries is the number of attempts after the first. Nil: as many as there
	// is time for.
	Retries *int
	// Policy is exponential where it is empty.
	Policy BackoffPolicy
	// Delay is the wait before the first retry. Nil: 200 ms.
	Delay *time.Duration
}

// exhausted says whether no attempt is left after so many.
func (s Schedule) exhausted(attempts int) bool {
	return s.Retries != nil && attempts > *s.Retries
}

// patience is how long an event waits for a sink that takes none, where the
// number of retries is bounded: as long as all of its own would last, and as
// the sink itself is left alone.
func (s Schedule) patience() time.Duration {
	total := time.Duration(0)
	for attempts := 1; !s.exhausted(attempts) && total < EventDeadline; attempts++ {
		wait := s.wait(attempts)
		if wait == 0 {
			break
		}
		total += wait
	}
	return max(total, mostUnlimitedDelay)
}

// wait is how long an event is left alone after so many failed attempts, of
// which there was at least one.
func (s Schedule) wait(attempts int) time.Duration {
	if s.Retries == nil && s.Policy == "" && s.Delay == nil {
		return 0
	}
	delay := defaultRetryDelay
	if s.Delay != nil {
		delay = *s.Delay
	}
	most := EventDeadline
	if s.Retries == nil {
		most = max(mostUnlimitedDelay, delay)
	}
	if delay == 0 {
		return 0
	}
	if s.Policy == BackoffLinear {
		if time.Duration(attempts) > most/delay {
			return most
		}
		return delay * time.Duration(attempts)
	}
	for range attempts - 1 {
		if delay >= most {
			break
		}
		delay *= 2
	}
	return min(delay, most)
}
