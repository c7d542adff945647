/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agentconfig"
)

const (
	// deadLetterRetries and deadLetterDeadline bound what a dead letter sink is
	// asked for one event.
	deadLetterRetries  = 4
	deadLetterDeadline = 2 * time.Minute
)

// NewDeadLetterCore gives the core of a dead letter sink. It has a gate and
// lanes of its own, so that nothing of it holds up the sink's; what it takes
// counts as dead-lettered, and what it doesn't as dropped for the reason that
// brought it there.
func NewDeadLetterCore(config Config, account *ledger.Account) *Core {
	retries := deadLetterRetries
	config.Schedule = agentconfig.Schedule{Retries: &retries}
	core := NewCore(config, account)
	core.taken = account.DeadLetter
	core.lost = func(item *Item, reason ledger.Reason, _ time.Time) {
		if reason != ledger.ReasonShutdown {
			reason = item.lostFor
		}
		account.Drop(reason)
		item.lose(reason)
	}
	return core
}

// SendDeadLettersTo has events that the sink never takes go to another one.
func (c *Core) SendDeadLettersTo(deadLetters *Core) {
	drop := c.lost
	c.keepsFailures = true
	if c.config.Schedule.Retries != nil {
		c.patience = c.config.Schedule.MaxWait()
	}
	c.lost = func(item *Item, reason ledger.Reason, now time.Time) {
		if !isDeadLetter(reason) || item.leaveWindow != nil && !item.leaveWindow() {
			drop(item, reason, now)
			return
		}
		item.lostFor = reason
		item.Deadline = now.Add(deadLetterDeadline)
		item.notBefore = time.Time{}
		item.attempts, item.failuresAmongSuccesses, item.successes = 0, 0, 0
		deadLetters.Add(item)
	}
}

// isDeadLetter says whether an event that is lost for a reason is one that its
// sink didn't take, and another one may.
func isDeadLetter(reason ledger.Reason) bool {
	switch reason {
	case ledger.ReasonRejected, ledger.ReasonPoison, ledger.ReasonExpired, ledger.ReasonRetries, ledger.ReasonAddress:
		return true
	default:
		return false
	}
}
