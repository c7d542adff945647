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

// proof compares what sink and agent counted with the exchanges that were made:
// figures count only where the arm did its work.
type proof struct {
	arm    *running
	events int64
	status status
	// lost are events that the agent counted as dropped, in a closed loop.
	lost int64
}

const (
	// settleLimit bounds the wait for events that are on their way.
	settleLimit    = 30 * time.Second
	settleInterval = time.Millisecond
	// standstill is how long no event arrives before the agent is asked whether
	// more will come.
	standstill = 200 * time.Millisecond
	// afterwards is the time given to work after the last response where nothing
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
// are to arrive: their delivery is part of what the arm costs.
func (p *proof) settle(exchanges int) error {
	if !p.delivers() {
		time.Sleep(afterwards)
		return nil
	}
	want, begun := p.want(exchanges), time.Now()
	for arrived, since := p.arrived(), begun; arrived < want; {
		time.Sleep(settleInterval)
		switch now := p.arrived(); {
		case now > arrived:
			arrived, since = now, time.Now()
		case time.Since(begun) > settleLimit:
			return fmt.Errorf("the sink got %d events, want %d", now, want)
		case p.mayLose() && time.Since(since) > standstill:
			told, err := readStatus(p.arm.admin)
			if err != nil {
				return err
			}
			if told.Sinks.Default.Pending == 0 {
				return nil
			}
			since = time.Now()
		}
	}
	return nil
}

// check compares all counts.
func (p *proof) check(exchanges int) error {
	if p.arm.sink == nil {
		return nil
	}
	if !p.arm.tells {
		return p.checkArrived(exchanges)
	}
	// An exchange is counted a moment after its response.
	var err error
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline); time.Sleep(afterwards) {
		var now status
		if now, err = readStatus(p.arm.admin); err != nil {
			return err
		}
		if p.mayLose() {
			p.lost = now.Sinks.Default.lost() - p.status.Sinks.Default.lost()
		}
		if err = errors.Join(p.checkArrived(exchanges), account(p.status, now, p.want(exchanges), int64(exchanges))); err == nil {
			return nil
		}
	}
	return err
}

// checkArrived compares the sink's count with the exchanges.
func (p *proof) checkArrived(exchanges int) error {
	want := int64(0)
	if p.delivers() {
		want = p.want(exchanges) - p.lost
	}
	if got := p.arrived(); got != want {
		return fmt.Errorf("the sink got %d events, want %d", got, want)
	}
	return nil
}

// account compares the agent's own counts with the events that are wanted of
// some exchanges.
func account(before, now status, events, exchanges int64) error {
	if observed := now.Sinks.Default.Observed - before.Sinks.Default.Observed; observed != events {
		return fmt.Errorf("the agent observed %d events, want %d", observed, events)
	}
	if skipped := now.Skipped.Path - before.Skipped.Path; events == 0 && skipped != exchanges {
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

// want is how many events exchanges give.
func (p *proof) want(exchanges int) int64 {
	events := p.arm.events
	if p.arm.cell.tunnel {
		events = min(events, 1)
	}
	return int64(exchanges * events)
}

func (p *proof) delivers() bool {
	return p.arm.events > 0 && (p.arm.manner == backend.Up || p.arm.manner == backend.Slow)
}

// mayLose says whether events may be dropped without spoiling the figures: a
// closed loop may overrun the sink.
func (p *proof) mayLose() bool { return p.arm.cell.rate == 0 && p.arm.tells }

func (p *proof) arrived() int64 { return p.arm.sink.Events() - p.events }
