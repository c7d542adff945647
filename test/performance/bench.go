/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/process"
	"github.com/sidenote-dev/sidenote/test/performance/report"
)

// plan is what a run does.
type plan struct {
	binaries binaries
	cells    []cell
	// arms are those of the cells that are measured.
	arms   *regexp.Regexp
	rounds int
	length time.Duration
	// syscalls says that they are to be counted.
	syscalls bool
	// deadline is when no further cell is begun.
	deadline time.Time
	// said gets progress, and tables the table of each cell.
	said, tables io.Writer
}

// result measures all of it.
func (p *plan) result(ctx context.Context, starts bool) (*report.Result, error) {
	result := &report.Result{Machine: machine()}
	result.Machine.LoadBefore = process.LoadAverage()
	if starts {
		result.BinaryBytes = fileSize(p.binaries.agent)
		var err error
		if result.Starts, err = p.starts(ctx); err != nil {
			return nil, err
		}
	}
	err := p.run(ctx, result)
	result.Machine.LoadAfter = process.LoadAverage()
	return result, err
}

// run measures cell after cell. Where an arm fails the others go on.
func (p *plan) run(ctx context.Context, result *report.Result) error {
	m, err := startModels()
	if err != nil {
		return err
	}
	defer m.close()
	begun := time.Now()
	for i := range p.cells {
		c := &p.cells[i]
		if time.Now().After(p.deadline) {
			fmt.Fprintf(p.said, "== no time is left for %s\n", c.name)
			continue
		}
		fmt.Fprintf(p.said, "== %s: %s, cell %d of %d\n", time.Since(begun).Round(time.Second), c.name, i+1, len(p.cells))
		measured, err := p.measure(ctx, c, m)
		if err != nil {
			return fmt.Errorf("cell %s: %w", c.name, err)
		}
		result.Cells = append(result.Cells, measured)
		fmt.Fprintf(p.tables, "%s\n", report.CellTable(&measured))
	}
	return nil
}

// measure puts a cell's load on its arms, in rounds of every arm.
func (p *plan) measure(ctx context.Context, c *cell, m *models) (report.Cell, error) {
	arms, measured, err := p.startArms(ctx, c, m)
	defer func() {
		for _, r := range arms {
			r.end()
		}
	}()
	result := report.Cell{Name: c.name, What: c.what, Unit: c.unit, Rate: c.rate, Connections: c.connections, Arms: measured}
	if err != nil {
		return result, err
	}
	beginnings := beginAllocations(arms)
	repeats := p.rounds
	for round := range p.rounds {
		for _, i := range order(len(arms), round) {
			if measured[i].Failure != "" {
				continue
			}
			figures, err := arms[i].round(ctx, p.length, &repeats)
			switch {
			case ctx.Err() != nil:
				return result, ctx.Err()
			case err != nil:
				measured[i].Failure = err.Error()
			default:
				measured[i].Rounds = append(measured[i].Rounds, figures)
			}
		}
		fmt.Fprintf(p.said, "   round %d of %d\n", round+1, p.rounds)
	}
	for i, r := range arms {
		r.finish(&measured[i], beginnings[i])
	}
	p.countSyscalls(ctx, arms, measured)
	return result, nil
}

// startArms starts the arms of a cell, and gives a place for the figures of
// each. An arm that doesn't start or fails at once is among them, and has a
// Failure. The caller ends all that were started, also after an error.
func (p *plan) startArms(ctx context.Context, c *cell, m *models) ([]*running, []report.Arm, error) {
	var arms []*running
	var measured []report.Arm
	for _, a := range p.chosen(c) {
		r, err := start(ctx, a, c, m)
		arms, measured = append(arms, r), append(measured, report.Arm{Name: a.name})
		if err == nil {
			err = p.warm(ctx, r)
		}
		switch {
		case ctx.Err() != nil:
			return arms, measured, ctx.Err()
		case err != nil:
			measured[len(measured)-1].Failure = err.Error()
		}
	}
	return arms, measured, nil
}

// order returns the order of arms in a round. Over as many rounds as there are
// arms each begins once, and each comes once after every other (Williams'
// design; with an odd number of arms nearly so): what one leaves behind, as a
// warm cache or work put off, falls to all alike.
func order(count, round int) []int {
	arms := make([]int, count)
	for i := range count {
		// 0, 1, -1, 2, -2 and so on, shifted by a place each round.
		step := (i + 1) / 2
		if i%2 == 0 {
			step = -step
		}
		arms[i] = ((step+round)%count + count) % count
	}
	return arms
}

// chosen returns the arms of a cell that are measured, in the cell's order.
func (p *plan) chosen(c *cell) []arm {
	var chosen []arm
	for _, a := range arms(p.binaries) {
		if slices.Contains(c.arms, a.name) && (p.arms.MatchString(a.name) || a.name == report.Bare) {
			chosen = append(chosen, a)
		}
	}
	return chosen
}

const (
	warmLength = time.Second
	// maxHalvings bounds the search for a rate that the machine can follow.
	maxHalvings = 4
	// moderate is the share of one processor's time that the bare proxy may take.
	moderate = 0.5
)

// warm has an arm serve for a moment. It halves the cell's rate until the bare
// proxy is far from its limit.
func (p *plan) warm(ctx context.Context, r *running) error {
	for halvings := 0; ; halvings++ {
		figures, err := r.once(ctx, warmLength)
		if err != nil {
			return err
		}
		used := figures.CPU * float64(figures.Units) / microseconds(warmLength)
		if r.name != report.Bare || r.cell.rate == 0 || used <= moderate || halvings == maxHalvings {
			return nil
		}
		r.cell.rate /= 2
		fmt.Fprintf(p.said, "   the bare proxy takes %.0f %% of a processor: %.4g exchanges a second instead\n", 100*used, r.cell.rate)
	}
}

const syscallLength = time.Second

// countSyscalls adds the system calls of an exchange, where they can be counted.
func (p *plan) countSyscalls(ctx context.Context, arms []*running, measured []report.Arm) {
	if !p.syscalls {
		return
	}
	for i, r := range arms {
		if r.process == nil || measured[i].Failure != "" || r.cell.rate == 0 {
			continue
		}
		count, err := r.syscalls(ctx, syscallLength)
		if err != nil {
			fmt.Fprintf(p.said, "   system calls are not counted: %v\n", err)
			return
		}
		measured[i].Syscalls = count
	}
}

// beginning is what an arm's process had allocated at some time.
type beginning struct {
	allocated allocated
	at        time.Time
}

func beginAllocations(arms []*running) []beginning {
	beginnings := make([]beginning, len(arms))
	for i, r := range arms {
		if r.process == nil || r.allocations == nil {
			continue
		}
		if before, err := r.allocations(r.admin); err == nil {
			beginnings[i] = beginning{before, time.Now()}
		}
	}
	return beginnings
}

// finish adds to an arm's figures those of all rounds together.
func (r *running) finish(arm *report.Arm, since beginning) {
	if r.process == nil {
		return
	}
	if memory, err := r.process.Memory(); err == nil {
		arm.PeakBytes = memory.Peak
	}
	if r.name == report.Spooling && arm.Failure == "" {
		if err := r.checkSpool(); err != nil {
			arm.Failure = err.Error()
		}
	}
	if since.at.IsZero() || time.Since(since.at) < allocationsAge {
		return
	}
	exchanges := 0.0
	for _, round := range arm.Rounds {
		exchanges += float64((round.Exchanges + r.cell.connections) * (round.Repeats + 1))
	}
	if now, err := r.allocations(r.admin); err == nil && exchanges > 0 {
		arm.Allocations = (now.Allocations - since.allocated.Allocations) / exchanges
		arm.AllocatedBytes = (now.Bytes - since.allocated.Bytes) / exchanges
	}
}

var errNothing = errors.New("no cell and no arm has such a name")
