/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import "time"

const (
	// EventDeadline is the age at which an event is given up, whatever its
	// schedule says.
	EventDeadline = 10 * time.Minute
	// MaxRetries bounds Schedule.Retries.
	MaxRetries = 1000

	// defaultRetryDelay is Eventing's own default for a Broker.
	defaultRetryDelay = 200 * time.Millisecond
	// maxUnlimitedDelay bounds the wait where no number of retries does.
	maxUnlimitedDelay = 20 * time.Second
)

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

// BackoffPolicies lists the policies.
func BackoffPolicies() []BackoffPolicy { return []BackoffPolicy{BackoffLinear, BackoffExponential} }

// Schedule says how often and when an event that failed is tried again. The
// zero Schedule leaves that to the sink's circuit breaker and the event's
// deadline.
type Schedule struct {
	// Retries is the number of attempts after the first. Nil: as many as there
	// is time for.
	Retries *int
	// Policy is exponential where it is empty.
	Policy BackoffPolicy
	// Delay is the wait before the first retry. Nil: 200 ms.
	Delay *time.Duration
}

// Exhausted reports whether no attempt is left after so many.
func (s Schedule) Exhausted(attempts int) bool {
	return s.Retries != nil && attempts > *s.Retries
}

// MaxWait is how long an event waits for a sink whose circuit breaker is open,
// where the number of retries is bounded: as long as all retries take, and at
// least as long as the circuit breaker stays open.
func (s Schedule) MaxWait() time.Duration {
	total := time.Duration(0)
	for attempts := 1; !s.Exhausted(attempts) && total < EventDeadline; attempts++ {
		wait := s.Wait(attempts)
		if wait == 0 {
			break
		}
		total += wait
	}
	return max(total, maxUnlimitedDelay)
}

// Wait is the time between a failed attempt and the next. attempts counts the
// failed ones, from 1.
func (s Schedule) Wait(attempts int) time.Duration {
	if s.Retries == nil && s.Policy == "" && s.Delay == nil {
		return 0
	}
	delay := defaultRetryDelay
	if s.Delay != nil {
		delay = *s.Delay
	}
	most := EventDeadline
	if s.Retries == nil {
		most = max(maxUnlimitedDelay, delay)
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
