/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/backend"
)

// A figure counts only where the arm did its work: proof compares what sink and
// agent counted with the exchanges that were made.
type proof struct {
	arm    *running
	events int64
	status status
}

const (
	// settleLimit bounds the wait for events that are on their way.
	settleLimit    = 30 * time.Second
	settleInterval = time.Millisecond
	// afterwards is the time given to work after the last answer where nothing
	// tells its end.
	afterwards = 50 * time.Millisecond
)

// beginProof notes the counts before exchanges.
func (r *running) beginProof() (*proof, error) {
	p := &proof{arm: r}
	if r.sink != nil {
		p.events = r.sink.Events()
	}
	if !r.tells {
		return p, nil
	}
	var err error
	p.status, err = readStatus(r.admin)
	return p, err
}

// settle waits until the events of so many exchanges have arrived, where they
// are to arrive: their delivery is part of what the arm costs. It asks nothing
// of the arm's process.
func (p *proof) settle(exchanges int) error {
	if !p.delivers() {
		time.Sleep(afterwards)
		return nil
	}
	want := int64(exchanges * p.arm.events)
	for deadline := time.Now().Add(settleLimit); p.arrived() < want; time.Sleep(settleInterval) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the sink got %d events, want %d", p.arrived(), want)
		}
	}
	return nil
}

// check compares all counts.
func (p *proof) check(exchanges int) error {
	if p.arm.sink == nil {
		return nil
	}
	want := int64(0)
	if p.delivers() {
		want = int64(exchanges * p.arm.events)
	}
	if got := p.arrived(); got != want {
		return fmt.Errorf("the sink got %d events, want %d", got, want)
	}
	if !p.arm.tells {
		return nil
	}
	// An exchange is counted a moment after its answer.
	var err error
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline); time.Sleep(afterwards) {
		var now status
		if now, err = readStatus(p.arm.admin); err != nil {
			return err
		}
		if err = p.arm.account(p.status, now, int64(exchanges)); err == nil {
			return nil
		}
	}
	return err
}

// account compares the agent's own counts with the exchanges.
func (r *running) account(before, now status, exchanges int64) error {
	observed := now.Sinks.Default.Observed - before.Sinks.Default.Observed
	if want := exchanges * int64(r.events); observed != want {
		return fmt.Errorf("the agent observed %d events, want %d", observed, want)
	}
	if skipped := now.Skipped.Path - before.Skipped.Path; r.events == 0 && skipped != exchanges {
		return fmt.Errorf("the agent skipped %d exchanges, want %d", skipped, exchanges)
	}
	return nil
}

// checkSpool says whether an arm that is to use its spool did.
func (r *running) checkSpool() error {
	now, err := readStatus(r.admin)
	if err != nil {
		return err
	}
	if now.Sinks.Default.Spooled == 0 {
		return errors.New("nothing was spooled")
	}
	return nil
}

func (p *proof) delivers() bool {
	return p.arm.events > 0 && (p.arm.manner == backend.Up || p.arm.manner == backend.Slow)
}

func (p *proof) arrived() int64 { return p.arm.sink.Events() - p.events }
