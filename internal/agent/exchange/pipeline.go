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
	"github.com/sidenote-dev/sidenote/internal/agent/sampling"
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
	Paths inference.Paths
	// Selection is that of each sink where there are no Subscriptions, and of an agent
	// without sinks.
	Selection event.Selection
	// Subscriptions has that of each sink.
	Subscriptions []event.Subscription
	// Sampler selects exchanges, and Ceiling bounds their events. Each may be nil.
	Sampler *sampling.Sampler
	Ceiling *sampling.Ceiling
	Builder *event.Builder
	// Deadline is how long after it was observed an event is given up.
	Deadline time.Duration
	// Attributes returns the metadata in use.
	Attributes func() []metadata.Attribute
	// Headers makes attributes of headers of requests. It may be nil.
	Headers *event.Headers
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
	outlets  []outlet
	// selection has the kinds that at least one sink gets.
	selection event.Selection
	// profiles are those in use but the agent's own form.
	profiles []agentconfig.Profile
	// discard counts the events of an agent without sinks.
	discard *ledger.Account
	skips   ledger.Skips

	// wants has what the selections say of the request and of the response.
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

// outlet is a sink and what it gets.
type outlet struct {
	sink         Sink
	subscription event.Subscription
}

// place is an event's place at one sink.
type place struct {
	// wanted says that the event is for the sink and has not ended for it.
	wanted bool
	// sequence is 0 where the event has none: it isn't for the sink, or the sink's
	// filter comes first.
	sequence uint64
}

// observed is one event before it is built.
type observed struct {
	observation event.Observation
	kind        agentconfig.Kind
	attributes  []metadata.Attribute
	// places has one for each sink. That of the only sink is in place.
	places []place
	place  [1]place
	at     time.Time
	lease  *capture.Lease
	// pair is the exchange's part of the ceiling.
	pair *sampling.Pair
	// next is the one behind it in the queue.
	next *observed
}

// wanted reports whether the event is for a sink and has not ended for all.
func (o *observed) wanted() bool {
	return slices.ContainsFunc(o.places, func(place place) bool { return place.wanted })
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
	p := &Pipeline{settings: settings, selection: settings.Selection, budget: budget, discard: discard, work: make(chan *observed)}
	for i, sink := range sinks {
		outlet := outlet{sink: sink, subscription: event.Subscription{Selection: settings.Selection}}
		if len(settings.Subscriptions) > 0 {
			outlet.subscription = settings.Subscriptions[i]
		}
		if profile := outlet.subscription.Profile; outlet.subscription.Reshapes() && !slices.Contains(p.profiles, profile) {
			p.profiles = append(p.profiles, profile)
		}
		p.outlets = append(p.outlets, outlet)
	}
	if len(settings.Subscriptions) > 0 {
		p.selection = event.Union(settings.Subscriptions)
	}
	for _, side := range []event.Side{event.Request, event.Response} {
		p.wants[side] = wantedOf(p.selection, side)
	}
	return p
}

// Skips counts what was proxied and gave no event, because it was not to.
func (p *Pipeline) Skips() *ledger.Skips { return &p.skips }

// observe takes one side of an exchange: its observation and its lease. It never
// blocks.
func (p *Pipeline) observe(o *observed) {
	side := o.observation.Side
	if !p.settings.Panics.Event(func() { p.take(o) }) {
		p.loseSide(side)
		o.lease.LeaveBuffer()
		o.lease.Release()
		o.forget()
	}
}

// lose counts one side of an exchange that came to no event by a panic, for each
// sink that wants a kind of it.
func (p *Pipeline) lose(which event.Side) {
	lost := func(account *ledger.Account) {
		account.Observe()
		account.Drop(ledger.ReasonInvalid)
	}
	if len(p.outlets) == 0 {
		lost(p.discard)
	}
	for i := range p.outlets {
		if to := &p.outlets[i]; to.subscription.Selection.Wants(which) {
			lost(to.sink.Account())
		}
	}
}

// loseSide counts a side of an exchange that came to no event by a panic. Of
// one that nobody wants the kind is not known any more: it is skipped as a
// success would be.
func (p *Pipeline) loseSide(which event.Side) {
	if p.selection.Wants(which) {
		p.lose(which)
	} else {
		p.skips.SkipEvent(which.String())
	}
}

func (p *Pipeline) take(o *observed) {
	o.kind = event.Classify(&o.observation, p.settings.Builder.MaxPayloadBytes)
	// whole is the kind that it would have been if the budget had had room for its
	// body.
	whole := o.kind
	if event.Starved(&o.observation, p.settings.Builder.MaxPayloadBytes) {
		whole = event.ClassifyKept(&o.observation, p.settings.Builder.MaxPayloadBytes)
	}
	if !p.selection[o.kind] && !p.selection[whole] {
		p.settings.Ceiling.GiveBack(o.pair)
		p.skips.SkipEvent(string(whole))
		o.end()
		return
	}
	if len(p.outlets) == 0 {
		p.discard.Observe()
		p.discard.Drop(ledger.ReasonNoSink)
		o.end()
		return
	}
	o.attributes = p.settings.Attributes()
	o.places = o.place[:0]
	o.at = time.Now()
	o.observation.Recorded = o.at
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.outlets {
		o.places = append(o.places, p.outlets[i].take(o.kind, whole))
	}
	switch {
	case !o.wanted():
		p.settings.Ceiling.GiveBack(o.pair)
		o.end()
	case !p.settings.Ceiling.Admit(o.pair, p.later(o), o.at):
		p.drop(o, ledger.ReasonRate)
	case !o.lease.Grow(delivery.OverheadBytes + o.observation.Exchange.HeaderBytes()):
		p.drop(o, ledger.ReasonBudget)
	case p.closed:
		p.drop(o, ledger.ReasonShutdown)
	default:
		p.push(o)
		p.startBuilding()
	}
}

// take gives an event of a kind its place at the sink. The sequence comes first: an
// event that is dropped leaves a gap. Only with a filter it comes after the filter,
// so that an event that is not for the sink leaves none.
func (to *outlet) take(kind, whole agentconfig.Kind) place {
	selection, account := to.subscription.Selection, to.sink.Account()
	switch {
	case selection[kind] && to.subscription.Filter != nil:
		return place{wanted: true}
	case selection[kind]:
		return place{wanted: true, sequence: account.Observe()}
	case selection[whole]:
		// The sink gets no event without its body, so it loses this one.
		account.Observe()
		account.Drop(ledger.ReasonBudget)
	default:
		account.SkipEvent(string(whole))
	}
	return place{}
}

// later is how many events may follow that of an observation in its exchange.
func (p *Pipeline) later(o *observed) int {
	if o.observation.Side == event.Request && p.wants[event.Response].any {
		return 1
	}
	return 0
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

// drop ends an event for each sink that it has not ended for.
func (p *Pipeline) drop(o *observed, reason ledger.Reason) {
	for i := range p.outlets {
		p.dropAt(o, i, reason)
	}
	o.end()
}

// dropAt ends an event for one sink. Where the sink's filter has not judged it, it
// counts as observed nevertheless: it may have been for the sink.
func (p *Pipeline) dropAt(o *observed, i int, reason ledger.Reason) {
	at, account := &o.places[i], p.outlets[i].sink.Account()
	if !at.wanted {
		return
	}
	if at.sequence == 0 {
		account.Observe()
	}
	account.Drop(reason)
	at.wanted = false
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
	through := make([]uint64, len(p.outlets))
	for i := range p.outlets {
		through[i] = p.outlets[i].sink.Account().Snapshot().Observed
		before := func(o *observed) (found bool) {
			sequence := o.places[i].sequence
			if sequence > 0 {
				through[i] = min(through[i], sequence-1)
			}
			return sequence > 0
		}
		// The queue is in the order of the sequence. Not each event is for the sink.
		for o := p.first; o != nil && !before(o); {
			o = o.next
		}
		for _, o := range p.building {
			before(o)
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
	merging := p.settings.Builder.MergingBytes(&o.observation, o.kind)
	o.observation.MayMerge = merging > 0 && o.lease.Grow(merging)
	if decoding+merging > 0 && len(o.observation.Body.Data) >= longDecoding {
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
	p.filter(o, built)
	forms := p.formsOf(o, built)
	if !o.wanted() {
		o.end()
		return nil
	}
	// What the event holds from now on. Where the body was decoded, its buffer is
	// given back.
	attributes := built.AttributeBytes()
	for _, form := range forms {
		attributes += form.AttributeBytes()
	}
	held := delivery.OverheadBytes + max(attributes-usualAttributeBytes, 0) + o.lease.Keep(built.Data())
	if !o.lease.Resize(held) {
		p.drop(o, ledger.ReasonBudget)
		return nil
	}
	o.lease.HandOver()
	release := releaseAfter(p.number(o), o.lease)
	for i := range p.outlets {
		if !o.places[i].wanted {
			continue
		}
		to, form := &p.outlets[i], built
		if reshaped := forms[to.subscription.Profile]; reshaped != nil {
			form = reshaped
		}
		if attempt != nil {
			// A sink waits for no other.
			go attempt()
		}
		attempt = to.sink.Accept(&delivery.Item{
			Event:    form,
			Sequence: o.places[i].sequence,
			Observed: o.at,
			Deadline: o.at.Add(p.settings.Deadline),
			Bytes:    held,
			Release:  release,
		})
	}
	return attempt
}

// filter ends an event for the sinks that don't get it: those that don't select
// its kind, now that it is known, and those whose filter leaves it out.
func (p *Pipeline) filter(o *observed, built *event.Event) {
	for i := range p.outlets {
		to, at := &p.outlets[i], &o.places[i]
		switch {
		case !at.wanted:
		case !to.subscription.Selection[built.Kind]:
			p.dropAt(o, i, ledger.ReasonEncoded)
		case to.subscription.Filter == nil:
		default:
			passes := false
			if !p.settings.Panics.Event(func() { passes = to.subscription.Passes(built) }) {
				p.dropAt(o, i, ledger.ReasonInvalid)
			} else if !passes {
				to.sink.Account().Filter()
				at.wanted = false
			}
		}
	}
}

// formsOf returns an event in each profile of a sink that gets it. Where a profile
// can't express it, it ends for the sinks with that profile.
func (p *Pipeline) formsOf(o *observed, built *event.Event) (forms map[agentconfig.Profile]*event.Event) {
	for _, profile := range p.profiles {
		uses := func(i int) bool { return o.places[i].wanted && p.outlets[i].subscription.Profile == profile }
		used := false
		for i := range p.outlets {
			used = used || uses(i)
		}
		if !used {
			continue
		}
		var form *event.Event
		var err error
		sound := p.settings.Panics.Event(func() { form, err = built.As(profile) })
		if !sound {
			o.lease.LeaveBuffer()
		}
		if sound && err == nil {
			if forms == nil {
				forms = make(map[agentconfig.Profile]*event.Event, len(p.profiles))
			}
			forms[profile] = form
			continue
		}
		for i := range p.outlets {
			if uses(i) {
				p.dropAt(o, i, ledger.ReasonInvalid)
			}
		}
	}
	return forms
}

// number gives an event its sequence at the sinks with a filter, and returns how
// many sinks get it. From then on HandedOver waits for it.
func (p *Pipeline) number(o *observed) (sinks int) {
	numbered := true
	for _, at := range o.places {
		if at.wanted {
			sinks++
			numbered = numbered && at.sequence > 0
		}
	}
	if numbered {
		return sinks
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range o.places {
		if at := &o.places[i]; at.wanted && at.sequence == 0 {
			at.sequence = p.outlets[i].sink.Account().Observe()
		}
	}
	return sinks
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
