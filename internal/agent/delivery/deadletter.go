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

const (
	// deadLetterRetries and deadLetterDeadline bound the attempts to send one event
	// to a dead letter sink.
	deadLetterRetries  = 4
	deadLetterDeadline = 2 * time.Minute
)

// deadLetterConfig is the Config of a sink's dead letter sink. It has a circuit
// breaker and queues of its own, so that nothing of it holds up the sink's.
func deadLetterConfig(config Config) Config {
	retries := deadLetterRetries
	config.Schedule = agentconfig.Schedule{Retries: &retries}
	// Dead letters that wait take room that new events need.
	config.MaxBytes /= 2
	return config
}

// isDeadLetter reports whether an event that was dropped for a reason is one that
// its sink didn't take, and another one may.
func isDeadLetter(reason ledger.Reason) bool {
	switch reason {
	case ledger.ReasonRejected, ledger.ReasonPoison, ledger.ReasonExpired, ledger.ReasonRetries, ledger.ReasonAddress:
		return true
	default:
		return false
	}
}

// becomeDeadLetter starts the item's retries afresh, for the dead letter sink.
func (i *Item) becomeDeadLetter(reason ledger.Reason, now time.Time) {
	i.undelivered = reason
	i.Deadline = now.Add(deadLetterDeadline)
	i.retry = retryState{failure: i.retry.failure}
}
