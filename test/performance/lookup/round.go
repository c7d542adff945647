/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/load"
	"github.com/sidenote-dev/sidenote/test/performance/process"
)

const (
	startLimit = 30 * time.Second
	// arrivalLimit bounds the wait for the last events of a load.
	arrivalLimit = 30 * time.Second
	// maxLateness is that of the generator at p99: a round that is later is
	// repeated, at most maxRepeats times.
	maxLateness = 2 * time.Millisecond
	maxRepeats  = 2
	// bodyBytes is the length of requests and responses.
	bodyBytes = 1 << 10
)

// bench has what all rounds need.
type bench struct {
	place    place
	peers    *peers
	counter  counter
	schedule load.Schedule
	// begun counts rounds.
	begun int
}

// figures are those of one arm in one round. Times are in microseconds.
type figures struct {
	// Response is from the model's sending its response to the arrival of the
	// response's event, and Request from the client's sending its request to the
	// arrival of the request's event.
	Response quantiles `json:"response"`
	Request  quantiles `json:"request"`
	// Lateness is that of the generator.
	Lateness quantiles `json:"lateness"`
	Events   int       `json:"events"`
	// UnderLoad are the requests for InferenceServices that the API server
	// counted during the load, AtStart those until the process served, and AtEnd
	// those after the load until it had gone.
	UnderLoad requests `json:"requestsUnderLoad"`
	AtStart   requests `json:"requestsAtStart"`
	AtEnd     requests `json:"requestsAtEnd"`
	// The CPU time of each process for each event of the load.
	APIServer float64 `json:"apiServer"`
	Etcd      float64 `json:"etcd"`
	Own       float64 `json:"own"`
	// Memory is what the arm's process has resident and not mapped from a file
	// after the load, in bytes.
	Memory int64 `json:"memory"`
	// Repeats counts rounds before this one that were discarded.
	Repeats int `json:"repeats"`
}

// round measures an arm, and repeats that where the generator was late.
func (b *bench) round(ctx context.Context, a arm) (figures, error) {
	for repeats := 0; ; repeats++ {
		f, err := b.once(ctx, a)
		if err != nil {
			return f, fmt.Errorf("arm %q: %w", a.Name, err)
		}
		if f.Lateness.P99 <= microseconds(maxLateness) || repeats == maxRepeats {
			f.Repeats = repeats
			return f, nil
		}
	}
}

// once starts an arm's process, puts the load on it, and ends it: no other arm
// runs meanwhile, so that what the API server counts is this one's.
func (b *bench) once(ctx context.Context, a arm) (figures, error) {
	atFirst, err := b.counter.settled(ctx)
	if err != nil {
		return figures{}, err
	}
	addresses, err := process.FreeAddresses(2)
	if err != nil {
		return figures{}, err
	}
	p, err := process.Start(a.command(b.place, portOf(addresses[0]), portOf(addresses[1])))
	if err != nil {
		return figures{}, err
	}
	defer p.Kill()
	if err := p.Await(ctx, func() error { return dial(addresses[0]) }, interval, startLimit); err != nil {
		return figures{}, err
	}
	atStart, err := b.counter.read(ctx)
	if err != nil {
		return figures{}, err
	}
	url := "http://" + addresses[0]
	if _, _, err := b.drive(ctx, p, url, load.Schedule{Rate: b.schedule.Rate, Length: time.Second}); err != nil {
		return figures{}, fmt.Errorf("warming up: %w", err)
	}
	f, counted, err := b.measure(ctx, p, url)
	if err != nil {
		return figures{}, err
	}
	p.Kill()
	atLast, err := b.counter.settled(ctx)
	if err != nil {
		return figures{}, err
	}
	f.AtStart, f.AtEnd = atStart.since(atFirst), atLast.since(counted)
	return f, nil
}

// measure returns the figures of a load, and what the API server has counted after
// it.
func (b *bench) measure(ctx context.Context, p *process.Process, url string) (figures, requests, error) {
	before, err := b.counter.read(ctx)
	if err != nil {
		return figures{}, nil, err
	}
	// Between the reading of the metrics, which costs the API server time.
	used, err := b.used(p)
	if err != nil {
		return figures{}, nil, err
	}
	t, lateness, err := b.drive(ctx, p, url, b.schedule)
	if err != nil {
		return figures{}, nil, err
	}
	usedThen, err := b.used(p)
	if err != nil {
		return figures{}, nil, err
	}
	after, err := b.counter.read(ctx)
	if err != nil {
		return figures{}, nil, err
	}
	var f figures
	responded, err := t.delays(response)
	if err != nil {
		return figures{}, nil, err
	}
	asked, err := t.delays(request)
	if err != nil {
		return figures{}, nil, err
	}
	f.Response, f.Request, f.Lateness = quantilesOf(responded), quantilesOf(asked), quantilesOf(lateness)
	f.Events = len(responded) + len(asked)
	f.UnderLoad = after.since(before)
	each := func(i int) float64 { return microseconds(usedThen[i]-used[i]) / float64(f.Events) }
	f.APIServer, f.Etcd, f.Own = each(0), each(1), each(2)
	memory, err := p.Memory()
	f.Memory = memory.Anonymous
	return f, after, err
}

// used returns the CPU time of the API server, etcd and an arm's process.
func (b *bench) used(p *process.Process) (used [3]time.Duration, err error) {
	for i, of := range []*process.Process{b.place.cluster.apiServer, b.place.cluster.etcd, p} {
		usage, err := of.Usage()
		if err != nil {
			return used, err
		}
		used[i] = usage.CPU
	}
	return used, nil
}

// drive makes exchanges, and waits for both events of each.
func (b *bench) drive(ctx context.Context, p *process.Process, url string, s load.Schedule) (*timeline, []time.Duration, error) {
	b.begun++
	t := b.peers.begin()
	senders := newLoad(ctx, url, fmt.Sprintf("%d-", b.begun), load.Body(bodyBytes), func(id string) {
		t.sends(request, id, time.Now())
	})
	outcome := load.Open(ctx, s, senders)
	senders[0].Close()
	if err := errors.Join(ctx.Err(), outcome.First); err != nil {
		return nil, nil, err
	}
	want := 2 * s.Count()
	err := p.Await(ctx, func() error {
		arrived, odd := t.state()
		if odd == nil && arrived < want {
			return fmt.Errorf("%d of %d events have arrived", arrived, want)
		}
		return nil
	}, interval, arrivalLimit)
	if err != nil {
		return nil, nil, err
	}
	if _, odd := t.state(); odd != nil {
		return nil, nil, odd
	}
	return t, outcome.Lateness, nil
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
