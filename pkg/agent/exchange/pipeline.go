/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package exchange turns what the proxy sees into events and hands them to the
// sinks. On the path of a request it only copies bytes and counts; building
// and sending happen elsewhere, and nothing waits for them.
package exchange

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/capture"
	"github.com/sidenote-dev/sidenote/pkg/agent/delivery"
	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agent/panics"
	"github.com/sidenote-dev/sidenote/pkg/inference"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Sink is where events go, as the pipeline sees it.
type Sink interface {
	// Account is the sink's side of the ledger.
	Account() *ledger.Account
	// Enqueue takes an item over and never blocks.
	Enqueue(item *delivery.Item)
}

// Settings say what becomes an event.
type Settings struct {
	// Paths say which requests are observed.
	Paths     inference.Paths
	Selection event.Selection
	Builder   *event.Builder
	// Deadline is how long after it was observed an event is given up.
	Deadline time.Duration
	// Attributes gives the metadata in force.
	Attributes func() []metadata.Attribute
	// Panics says what becomes of panics.
	Panics panics.Handler
}

// Pipeline takes observations from exchanges and gives events to sinks. It is
// safe for concurrent use.
type Pipeline struct {
	settings Settings
	budget   *capture.Budget
	sinks    []Sink
	// discard counts the events of an agent without sinks.
	discard *ledger.Account
	skips   ledger.Skips

	mu      sync.Mutex
	changed sync.Cond
	queue   []*observed
	// building are those of which the events are being built.
	building map[*observed]struct{}
	closed   bool
}

// observed is one event before it is built.
type observed struct {
	observation event.Observation
	kind        event.Kind
	attributes  []metadata.Attribute
	// sequences has the event's place for each sink.
	sequences []uint64
	at        time.Time
	lease     *capture.Lease
}

// NewPipeline gives a pipeline to sinks. Without any, every event is counted
// in discard as dropped, and the exchanges go on. Nothing is built before Run.
func NewPipeline(settings Settings, budget *capture.Budget, sinks []Sink, discard *ledger.Account) *Pipeline {
	p := &Pipeline{settings: settings, budget: budget, sinks: sinks, discard: discard, building: make(map[*observed]struct{})}
	p.changed.L = &p.mu
	return p
}

// Skips counts what was proxied and gave no event, because it was not to.
func (p *Pipeline) Skips() *ledger.Skips { return &p.skips }

// observe takes one side of an exchange, and its lease. It never blocks.
func (p *Pipeline) observe(observation event.Observation, lease *capture.Lease) {
	if !p.settings.Panics.Event(func() { p.take(observation, lease) }) {
		p.lose(lease)
	}
}

// lose counts one side of an exchange that came to no event by a panic.
func (p *Pipeline) lose(lease *capture.Lease) {
	accounts := []*ledger.Account{p.discard}
	if len(p.sinks) > 0 {
		accounts = nil
	}
	for _, sink := range p.sinks {
		accounts = append(accounts, sink.Account())
	}
	for _, account := range accounts {
		account.Observe()
		account.Drop(ledger.ReasonInvalid)
	}
	if lease != nil {
		lease.Release()
	}
}

func (p *Pipeline) take(observation event.Observation, lease *capture.Lease) {
	kind := event.Classify(&observation, p.settings.Builder.MaxPayloadBytes)
	starved := false
	if !p.settings.Selection[kind] && event.Starved(&observation, p.settings.Builder.MaxPayloadBytes) {
		// It goes without its body where that kind is selected. Where it isn't,
		// what it would have been is lost, which counts.
		kind = event.ClassifyKept(&observation, p.settings.Builder.MaxPayloadBytes)
		starved = true
	}
	if !p.settings.Selection[kind] {
		p.skips.SkipEvent(string(kind))
		lease.Release()
		return
	}
	if len(p.sinks) == 0 {
		p.discard.Observe()
		p.discard.Drop(ledger.ReasonNoSink)
		lease.Release()
		return
	}
	next := &observed{
		observation: observation,
		kind:        kind,
		attributes:  p.settings.Attributes(),
		sequences:   make([]uint64, len(p.sinks)),
		at:          time.Now(),
		lease:       lease,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// The sequence comes first: an event that is dropped leaves a gap.
	for i, sink := range p.sinks {
		next.sequences[i] = sink.Account().Observe()
	}
	if starved || !lease.Grow(delivery.OverheadBytes) {
		p.drop(next, ledger.ReasonBudget)
		return
	}
	if p.closed {
		p.drop(next, ledger.ReasonShutdown)
		return
	}
	p.queue = append(p.queue, next)
	p.changed.Signal()
}

func (p *Pipeline) drop(o *observed, reason ledger.Reason) {
	for _, sink := range p.sinks {
		sink.Account().Drop(reason)
	}
	o.lease.Release()
}

// Run builds events and enqueues them until ctx is done. What is left then is
// dropped for shutdown.
func (p *Pipeline) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = true
		p.changed.Broadcast()
	})
	defer stop()
	for {
		next := p.next()
		if next == nil {
			return
		}
		p.build(next)
		p.mu.Lock()
		delete(p.building, next)
		p.mu.Unlock()
	}
}

// next waits for an observation: nil when the pipeline is closed.
func (p *Pipeline) next() *observed {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && !p.closed {
		p.changed.Wait()
	}
	if p.closed {
		for _, o := range p.queue {
			p.drop(o, ledger.ReasonShutdown)
		}
		p.queue = nil
		return nil
	}
	first := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.building[first] = struct{}{}
	return first
}

// Empty says whether every observation has gone to the sinks.
func (p *Pipeline) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) == 0 && len(p.building) == 0
}

// HandedOver gives for each sink the sequence up to which every event has come
// to it, or ended before that.
func (p *Pipeline) HandedOver() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	through := make([]uint64, len(p.sinks))
	for i, sink := range p.sinks {
		through[i] = sink.Account().Snapshot().Observed
		if len(p.queue) > 0 {
			through[i] = min(through[i], p.queue[0].sequences[i]-1)
		}
		for o := range p.building {
			through[i] = min(through[i], o.sequences[i]-1)
		}
	}
	return through
}

func (p *Pipeline) build(o *observed) {
	// Decoding may take as much as a whole body more, and a window.
	if !o.lease.Grow(o.observation.Coding.DecodingBytes(p.settings.Builder.MaxPayloadBytes)) {
		p.drop(o, ledger.ReasonBudget)
		return
	}
	var built *event.Event
	var err error
	sound := p.settings.Panics.Event(func() {
		built, err = p.settings.Builder.Build(&o.observation, o.kind, o.attributes)
	})
	if err != nil || !sound {
		p.drop(o, ledger.ReasonInvalid)
		return
	}
	if !p.settings.Selection[built.Kind] {
		p.drop(o, ledger.ReasonEncoded)
		return
	}
	// What the event holds from now on. The body as it came is garbage where it
	// was decoded, and nothing may refer to it: neither built nor release does.
	held := heldBy(built)
	if !o.lease.Resize(held) {
		p.drop(o, ledger.ReasonBudget)
		return
	}
	o.lease.HandOver()
	release := releaseAfter(len(p.sinks), o.lease)
	for i, sink := range p.sinks {
		sink.Enqueue(&delivery.Item{
			Event:    built,
			Sequence: o.sequences[i],
			Observed: o.at,
			Deadline: o.at.Add(p.settings.Deadline),
			Bytes:    held,
			Release:  release,
		})
	}
}

const (
	// usualAttributeBytes is what an event's own attributes may take within
	// delivery.OverheadBytes. Without any, an event takes 2.2 KiB, and a sink's
	// last answer up to 0.8.
	usualAttributeBytes = 768
)

// heldBy is what an event holds of the budget. The owner's metadata are those of
// all events, and held once.
func heldBy(e *event.Event) int64 {
	return delivery.OverheadBytes + max(e.AttributeBytes()-usualAttributeBytes, 0) + int64(cap(e.Data()))
}

// releaseAfter gives a function that releases a lease when it has been called so
// often.
func releaseAfter(calls int, lease *capture.Lease) func() {
	var holders atomic.Int64
	holders.Store(int64(calls))
	return func() {
		if holders.Add(-1) == 0 {
			lease.Release()
		}
	}
}
