/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/load"
	"github.com/sidenote-dev/sidenote/test/performance/process"
	"github.com/sidenote-dev/sidenote/test/performance/report"
)

const (
	// maxLateness is what the generator may be late by at p99. A round beyond it
	// is repeated.
	maxLateness = 2 * time.Millisecond
	// memoryInterval is the pace of looking at memory.
	memoryInterval = 20 * time.Millisecond
)

// round measures an arm for a time, again where the generator is late and there
// are repeats left.
func (r *running) round(ctx context.Context, length time.Duration, left *int) (report.Round, error) {
	for repeats := 0; ; repeats++ {
		round, err := r.once(ctx, length)
		if err != nil {
			return round, err
		}
		round.Repeats = repeats
		round.Late = round.LatenessP99 > microseconds(maxLateness)
		if !round.Late || *left == 0 {
			return round, nil
		}
		*left--
	}
}

// once measures an arm for a time. An error says that the figures would not be
// those of the work that the arm is to do.
func (r *running) once(ctx context.Context, length time.Duration) (report.Round, error) {
	proof, err := r.beginProof()
	if err != nil {
		return report.Round{}, err
	}
	senders, err := r.connect(r.cell.connections)
	defer func() { disconnect(senders) }()
	if err != nil {
		return report.Round{}, err
	}
	made := len(senders)
	if !r.cell.tunnel {
		if err := proof.settle(made); err != nil {
			return report.Round{}, err
		}
	}
	accounts, err := r.beginAccounts()
	if err != nil {
		return report.Round{}, err
	}
	defer accounts.stop()
	begun := time.Now()
	o, err := r.load(ctx, length, senders)
	if err != nil {
		return report.Round{}, err
	}
	if !r.cell.tunnel {
		made += o.Exchanges
		if err := proof.settle(made); err != nil {
			return report.Round{}, err
		}
	}
	elapsed := o.Elapsed
	if r.cell.rate == 0 && proof.delivers() {
		// What is not delivered at the end was not done in that time.
		elapsed = time.Since(begun)
	}
	usage, peak, err := accounts.end()
	if err != nil {
		return report.Round{}, err
	}
	if r.cell.tunnel {
		disconnect(senders)
		senders = nil
		if err := proof.settle(made); err != nil {
			return report.Round{}, err
		}
	}
	if err := proof.check(made); err != nil {
		return report.Round{}, err
	}
	round := newRound(o, elapsed, usage, peak, r.cell.units)
	if want := proof.want(made); want > 0 {
		round.Lost = float64(proof.lost) / float64(want)
	}
	return round, nil
}

// load puts the cell's load on senders.
func (r *running) load(ctx context.Context, length time.Duration, senders []load.Sender) (load.Outcome, error) {
	var o load.Outcome
	if r.cell.rate > 0 {
		o = load.Open(ctx, load.Schedule{Rate: r.cell.rate, Length: length}, senders)
	} else {
		o = load.Closed(ctx, length, senders)
	}
	switch {
	case ctx.Err() != nil:
		return o, ctx.Err()
	case o.Failed > 0:
		return o, fmt.Errorf("%d of %d exchanges failed, the first: %w%s", o.Failed, o.Exchanges, o.First, r.lastWords())
	case o.Exchanges == 0:
		return o, errors.New("the round is too short for an exchange")
	default:
		return o, nil
	}
}

// syscalls counts the system calls of an exchange, for a time, with perf. Its
// figures of time are not to be used.
func (r *running) syscalls(ctx context.Context, length time.Duration) (float64, error) {
	senders, err := r.connect(r.cell.connections)
	defer disconnect(senders)
	if err != nil {
		return 0, err
	}
	proof, err := r.beginProof()
	if err != nil {
		return 0, err
	}
	exchanges := 0
	count, err := r.process.CountSyscalls(func() error {
		o, err := r.load(ctx, length, senders)
		if err != nil {
			return err
		}
		exchanges = o.Exchanges
		if r.cell.tunnel {
			return nil
		}
		return proof.settle(exchanges)
	})
	return float64(count) / float64(max(exchanges*r.cell.units, 1)), err
}

// newRound makes costs of sums.
func newRound(o load.Outcome, elapsed time.Duration, usage process.Usage, peak int64, units int) report.Round {
	count := float64(o.Exchanges * units)
	latencies, lateness := inMicroseconds(o.Latencies), inMicroseconds(o.Lateness)
	round := report.Round{
		Exchanges:     o.Exchanges,
		Units:         o.Exchanges * units,
		CPU:           microseconds(usage.CPU) / count,
		Voluntary:     float64(usage.Voluntary) / count,
		Involuntary:   float64(usage.Involuntary) / count,
		ReadWrites:    float64(usage.ReadWrites) / count,
		PerSecond:     float64(o.Exchanges) / elapsed.Seconds(),
		AnonymousPeak: peak,
	}
	if ticks := usage.User + usage.System; ticks > 0 {
		// The ticks say only how the exact time is shared out.
		round.User = round.CPU * float64(usage.User) / float64(ticks)
		round.System = round.CPU - round.User
	}
	if len(latencies) > 0 {
		round.P50, round.P99 = report.Quantile(latencies, 0.5), report.Quantile(latencies, 0.99)
		round.LatenessP99 = report.Quantile(lateness, 0.99)
	}
	return round
}

func inMicroseconds(durations []time.Duration) []float64 {
	values := make([]float64, len(durations))
	for i, d := range durations {
		values[i] = microseconds(d)
	}
	return values
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// connect makes connections, and an exchange on each, so that the cost of a new
// connection is in no figure.
func (r *running) connect(count int) ([]load.Sender, error) {
	senders, err := r.cell.connect(r.address, r.cell.size, count)
	if err != nil {
		return senders, err
	}
	errs := make([]error, len(senders))
	var group sync.WaitGroup
	for i, sender := range senders {
		group.Go(func() { errs[i] = sender.Exchange() })
	}
	group.Wait()
	return senders, errors.Join(errs...)
}

func disconnect(senders []load.Sender) {
	for _, sender := range senders {
		sender.Close()
	}
}

// accounts are what a process uses from a beginning on. An arm without a process
// has none.
type accounts struct {
	process  *process.Process
	before   process.Usage
	stopping chan struct{}
	stopped  sync.Once
	watching sync.WaitGroup
	peak     int64
}

func (r *running) beginAccounts() (*accounts, error) {
	a := &accounts{process: r.process, stopping: make(chan struct{})}
	if a.process == nil {
		return a, nil
	}
	var err error
	if a.before, err = a.process.Usage(); err != nil {
		return nil, err
	}
	a.watching.Go(a.watchMemory)
	return a, nil
}

func (a *accounts) watchMemory() {
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	for {
		if memory, err := a.process.Memory(); err == nil {
			a.peak = max(a.peak, memory.Anonymous)
		}
		select {
		case <-ticker.C:
		case <-a.stopping:
			return
		}
	}
}

// end returns what was used, and the highest RssAnon in bytes.
func (a *accounts) end() (process.Usage, int64, error) {
	if a.process == nil {
		return process.Usage{}, 0, nil
	}
	now, err := a.process.Usage()
	if err != nil {
		return process.Usage{}, 0, err
	}
	a.stop()
	return now.Since(a.before), a.peak, nil
}

// stop ends the watch. It may be called again.
func (a *accounts) stop() {
	a.stopped.Do(func() { close(a.stopping) })
	a.watching.Wait()
}
