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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const (
	// maxBuilding bounds how many events are built at the same time.
	maxBuilding = 2
	// maxResting bounds how many workers wait for the next event.
	maxResting = 4
	// longDecoding is the size of an encoded body that may take a millisecond or
	// more to decode.
	longDecoding = 16 << 10
)

// Sink is where events go, as the pipeline sees it.
type Sink interface {
	// Account is the sink's side of the ledger.
	Account() *ledger.Account
	// Accept takes an item over and never blocks. Where it gives an attempt, the
	// caller must make it. An attempt blocks.
	Accept(item *delivery.Item) (attempt func())
}

// Settings say what becomes an event.
type Settings struct {
	// Paths say which requests are observed.
	Paths     inference.Paths
	Selection event.Selection
	Builder   *event.Builder
	// Deadline is how long after it was observed an event is given up.
	Deadline time.Duration
	// Attributes returns the metadata in use.
	Attributes func() []metadata.Attribute
	// LongWork is called before work that may take a processor for milliseconds. It
	// may be nil.
	LongWork func()
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

	// wants has what the selection says of the request and of the response.
	wants [2]wanted

	// work hands an observation to a worker that rests, and resting is how many do.
	work    chan *observed
	resting atomic.Int32

	mu sync.Mutex
	// first and last are the ends of the queue, nil where it is empty.
	first, last *observed
	// building are those of which the events are being built, at most maxBuilding,
	// and builds waits for their end.
	building []*observed
	builds   sync.WaitGroup
	// running says that Run has begun and not ended, closed that it has ended.
	running, closed bool
}

// wanted is what a selection says of one side.
type wanted struct {
	// any says that a kind of the side is selected, failure that its failure is,
	// and partial that a kind is that may go out without its whole body.
	any, failure, partial bool
}

func wantedOf(selection event.Selection, side event.Side) wanted {
	return wanted{any: selection.Wants(side), failure: selection.WantsFailure(side), partial: selection.WantsPartial(side)}
}

// observed is one event before it is built.
type observed struct {
	observation event.Observation
	kind        agentconfig.Kind
	attributes  []metadata.Attribute
	// sequences has the event's place for each sink. That of the only sink is in
	// sequence.
	sequences []uint64
	sequence  [1]uint64
	at        time.Time
	lease     *capture.Lease
	// next is the one behind it in the queue.
	next *observed
}

// end gives back what is held for an event that ended before it came to a sink.
func (o *observed) end() {
	o.lease.Release()
	o.forget()
}

// forget drops the body, because the exchange of an event may go on for long after
// it.
func (o *observed) forget() { o.observation = event.Observation{} }

// NewPipeline returns a pipeline to sinks. Without any, every event is counted
// in discard as dropped, and the exchanges go on. Nothing is built before Run.
func NewPipeline(settings Settings, budget *capture.Budget, sinks []Sink, discard *ledger.Account) *Pipeline {
	if settings.LongWork == nil {
		settings.LongWork = func() {}
	}
	p := &Pipeline{settings: settings, budget: budget, sinks: sinks, discard: discard, work: make(chan *observed)}
	for _, side := range []event.Side{event.Request, event.Response} {
		p.wants[side] = wantedOf(settings.Selection, side)
	}
	return p
}

// Skips counts what was proxied and gave no event, because it was not to.
func (p *Pipeline) Skips() *ledger.Skips { return &p.skips }

// observe takes one side of an exchange: its observation and its lease. It never
// blocks.
func (p *Pipeline) observe(o *observed) {
	if !p.settings.Panics.Event(func() { p.take(o) }) {
		p.lose(o.lease)
		o.forget()
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
		lease.LeaveBuffer()
		lease.Release()
	}
}

// loseSide counts a side of an exchange that came to no event by a panic. Of
// one that nobody wants the kind is not known any more: it is skipped as a
// success would be.
func (p *Pipeline) loseSide(which event.Side) {
	if p.settings.Selection.Wants(which) {
		p.lose(nil)
	} else {
		p.skips.SkipEvent(which.String())
	}
}

func (p *Pipeline) take(o *observed) {
	o.kind = event.Classify(&o.observation, p.settings.Builder.MaxPayloadBytes)
	starved := false
	if !p.settings.Selection[o.kind] && event.Starved(&o.observation, p.settings.Builder.MaxPayloadBytes) {
		// It goes without its body where that kind is selected. Where it isn't,
		// what it would have been is lost, which counts.
		o.kind = event.ClassifyKept(&o.observation, p.settings.Builder.MaxPayloadBytes)
		starved = true
	}
	if !p.settings.Selection[o.kind] {
		p.skips.SkipEvent(string(o.kind))
		o.end()
		return
	}
	if len(p.sinks) == 0 {
		p.discard.Observe()
		p.discard.Drop(ledger.ReasonNoSink)
		o.end()
		return
	}
	o.attributes = p.settings.Attributes()
	o.sequences = o.sequence[:0]
	o.at = time.Now()
	o.observation.Recorded = o.at
	p.mu.Lock()
	defer p.mu.Unlock()
	// The sequence comes first: an event that is dropped leaves a gap.
	for _, sink := range p.sinks {
		o.sequences = append(o.sequences, sink.Account().Observe())
	}
	if starved || !o.lease.Grow(delivery.OverheadBytes) {
		p.drop(o, ledger.ReasonBudget)
		return
	}
	if p.closed {
		p.drop(o, ledger.ReasonShutdown)
		return
	}
	p.push(o)
	p.startBuilding()
}

// push puts an event at the end of the queue.
func (p *Pipeline) push(o *observed) {
	if p.first == nil {
		p.first = o
	} else {
		p.last.next = o
	}
	p.last = o
}

// pop takes the first event off the queue: nil where it is empty.
func (p *Pipeline) pop() *observed {
	o := p.first
	if o == nil {
		return nil
	}
	p.first, o.next = o.next, nil
	if p.first == nil {
		p.last = nil
	}
	return o
}

func (p *Pipeline) drop(o *observed, reason ledger.Reason) {
	for _, sink := range p.sinks {
		sink.Account().Drop(reason)
	}
	o.end()
}

// Run builds events and gives them to the sinks until ctx is done. Then it drops
// the remaining observations for shutdown. It doesn't wait for attempts, which
// belong to the sinks. A pipeline runs once.
func (p *Pipeline) Run(ctx context.Context) {
	p.open()
	<-ctx.Done()
	p.close()
	p.builds.Wait()
}

func (p *Pipeline) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	p.startBuilding()
}

func (p *Pipeline) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.closed = false, true
	for o := p.pop(); o != nil; o = p.pop() {
		p.drop(o, ledger.ReasonShutdown)
	}
	close(p.work)
}

// startBuilding gives queued observations to workers, up to maxBuilding. It needs the
// lock.
func (p *Pipeline) startBuilding() {
	if !p.running {
		return
	}
	for o := p.next(); o != nil; o = p.next() {
		select {
		case p.work <- o:
		default:
			// No worker rests. A new one has to grow its stack.
			go p.settings.Panics.Agent(func() { p.worker(o) })
		}
	}
}

// next takes the observation of the event to build now: nil where none waits or
// enough are being built. It needs the lock.
func (p *Pipeline) next() *observed {
	if len(p.building) == maxBuilding {
		return nil
	}
	o := p.pop()
	if o != nil {
		p.building = append(p.building, o)
		p.builds.Add(1)
	}
	return o
}

// worker builds an event and makes the attempt that the sink allows, so that one
// goroutine has the event on its way. Others build meanwhile.
func (p *Pipeline) worker(o *observed) {
	for ; o != nil; o = p.rest() {
		attempt := p.build(o)
		p.built(o)
		if attempt != nil {
			attempt()
		}
	}
}

// rest waits for an observation to build: nil where enough workers do, and after
// the end of Run.
func (p *Pipeline) rest() *observed {
	defer p.resting.Add(-1)
	if p.resting.Add(1) > maxResting {
		return nil
	}
	return <-p.work
}

// built says that the event of an observation came to the sinks, or ended before
// that. Another worker builds the next one.
func (p *Pipeline) built(o *observed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.building, o)
	p.building = slices.Delete(p.building, i, i+1)
	p.builds.Done()
	o.forget()
	p.startBuilding()
}

// Empty reports whether every observation has gone to the sinks.
func (p *Pipeline) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first == nil && len(p.building) == 0
}

// HandedOver returns for each sink the sequence up to which every event has come
// to it, or ended before that.
func (p *Pipeline) HandedOver() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	through := make([]uint64, len(p.sinks))
	for i, sink := range p.sinks {
		through[i] = sink.Account().Snapshot().Observed
		if p.first != nil {
			through[i] = min(through[i], p.first.sequences[i]-1)
		}
		for _, o := range p.building {
			through[i] = min(through[i], o.sequences[i]-1)
		}
	}
	return through
}

// build gives the sinks the event of an observation. It returns the attempt that
// the caller must make, if there is one.
func (p *Pipeline) build(o *observed) (attempt func()) {
	// Decoding may take as much as two whole bodies more, and a window.
	decoding := o.observation.Coding.DecodingBytes(p.settings.Builder.MaxPayloadBytes)
	if !o.lease.Grow(decoding) {
		p.drop(o, ledger.ReasonBudget)
		return nil
	}
	if decoding > 0 && len(o.observation.Body.Data) >= longDecoding {
		p.settings.LongWork()
	}
	var built *event.Event
	var err error
	sound := p.settings.Panics.Event(func() {
		built, err = p.settings.Builder.Build(&o.observation, o.kind, o.attributes)
	})
	if !sound {
		o.lease.LeaveBuffer()
	}
	if err != nil || !sound {
		p.drop(o, ledger.ReasonInvalid)
		return nil
	}
	if !p.settings.Selection[built.Kind] {
		p.drop(o, ledger.ReasonEncoded)
		return nil
	}
	// What the event holds from now on. Where the body was decoded, its buffer is
	// given back.
	held := delivery.OverheadBytes + max(built.AttributeBytes()-usualAttributeBytes, 0) + o.lease.Keep(built.Data())
	if !o.lease.Resize(held) {
		p.drop(o, ledger.ReasonBudget)
		return nil
	}
	o.lease.HandOver()
	release := releaseAfter(len(p.sinks), o.lease)
	for i, sink := range p.sinks {
		if attempt != nil {
			// A sink waits for no other.
			go attempt()
		}
		attempt = sink.Accept(&delivery.Item{
			Event:    built,
			Sequence: o.sequences[i],
			Observed: o.at,
			Deadline: o.at.Add(p.settings.Deadline),
			Bytes:    held,
			Release:  release,
		})
	}
	return attempt
}

// usualAttributeBytes is what an event's own attributes may take within
// delivery.OverheadBytes. Without any, an event takes 0.8 KiB, and a sink's last
// response up to 0.8. The owner's metadata are held once for all events.
const usualAttributeBytes = 768

// releaseAfter returns a function that releases a lease when it has been called so
// often.
func releaseAfter(calls int, lease *capture.Lease) func() {
	if calls == 1 {
		return lease.Release
	}
	var holders atomic.Int64
	holders.Store(int64(calls))
	return func() {
		if holders.Add(-1) == 0 {
			lease.Release()
		}
	}
}
