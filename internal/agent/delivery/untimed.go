/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"time"
)

// punctual is a Sender that ends an attempt at the deadline of its context by
// itself. Its context needs no timer: to make one for each attempt, and to tell
// it of the end of Run, costs more than to build the event.
type punctual interface {
	Sender
	keepsDeadlines()
}

// untimed is a context with a deadline that only Err knows: Done is its
// parent's.
type untimed struct {
	context.Context
	deadline time.Time
}

func (u untimed) Deadline() (time.Time, bool) { return u.deadline, true }

func (u untimed) Err() error {
	if err := u.Context.Err(); err != nil || time.Now().Before(u.deadline) {
		return err
	}
	return context.DeadlineExceeded
}

// timed returns a context that is done at its deadline, of one that may be untimed.
func timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline)
	}
	return context.WithCancel(ctx)
}
