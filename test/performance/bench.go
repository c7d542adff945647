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
	// said gets progress, and tables the table of each cell.
	said, tables io.Writer
}

// result measures all of it.
func (p *plan) result(ctx context.Context, starts bool) (*report.Result, error) {
	result := &report.Result{Machine: machine()}
	result.Machine.LoadBefore = loadAverage()
	if starts {
		result.BinaryBytes = fileSize(p.binaries.agent)
		var err error
		if result.Starts, err = p.starts(ctx); err != nil {
			return nil, err
		}
	}
	err := p.run(ctx, result)
	result.Machine.LoadAfter = loadAverage()
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

// measure puts a cell's load on its arms, in rounds: each round has every arm,
// and each begins with another, so that none has always the same before it.
func (p *plan) measure(ctx context.Context, c *cell, m *models) (report.Cell, error) {
	measured := report.Cell{Name: c.name, What: c.what, Unit: c.unit, Rate: c.rate, Connections: c.connections}
	var arms []*running
	defer func() {
		for _, r := range arms {
			r.end()
		}
	}()
	for _, a := range p.chosen(c) {
		r, err := start(a, c, m)
		if err != nil {
			return measured, err
		}
		arms = append(arms, r)
		measured.Arms = append(measured.Arms, report.Arm{Name: a.name})
	}
	if err := p.warm(ctx, arms); err != nil {
		return measured, err
	}
	measured.Rate = c.rate
	ledgers := beginLedgers(arms)
	repeats := p.rounds
	for round := range p.rounds {
		for _, i := range rotated(len(arms), round) {
			arm := &measured.Arms[i]
			if arm.Failure != "" {
				continue
			}
			figures, err := arms[i].round(ctx, p.length, &repeats)
			switch {
			case ctx.Err() != nil:
				return measured, ctx.Err()
			case err != nil:
				arm.Failure = err.Error()
			default:
				arm.Rounds = append(arm.Rounds, figures)
			}
		}
		fmt.Fprintf(p.said, "   round %d of %d\n", round+1, p.rounds)
	}
	for i, r := range arms {
		r.finish(&measured.Arms[i], ledgers[i])
	}
	p.countSyscalls(ctx, arms, measured.Arms)
	return measured, nil
}

// rotated gives the order of arms in a round.
func rotated(count, round int) []int {
	order := make([]int, 0, count)
	for i := range count {
		order = append(order, (i+round)%count)
	}
	return order
}

// chosen gives the arms of a cell that are measured, in the cell's order.
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

// warm has every arm serve for a moment. It halves the cell's rate until the
// bare proxy is far from its limit.
func (p *plan) warm(ctx context.Context, arms []*running) error {
	for _, r := range arms {
		halvings := 0
		for {
			figures, err := r.once(ctx, warmLength)
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return fmt.Errorf("arm %q: %w", r.name, err)
			}
			used := figures.CPU * float64(figures.Units) / microseconds(warmLength)
			if r.name != report.Bare || r.cell.rate == 0 || used <= moderate || halvings == maxHalvings {
				break
			}
			halvings++
			r.cell.rate /= 2
			fmt.Fprintf(p.said, "   the bare proxy takes %.0f %% of a processor: %.4g exchanges a second instead\n", 100*used, r.cell.rate)
		}
	}
	return nil
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

func beginLedgers(arms []*running) []beginning {
	beginnings := make([]beginning, len(arms))
	for i, r := range arms {
		if r.allocations == nil {
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
