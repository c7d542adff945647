/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/internal/agent/sampling"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
)

const requestIDHeader = "X-Request-Id"

// Begin returns the watcher of an exchange, or nil where nobody wants its
// events, and the headers that the model gets beside the client's own. The
// trace context of the events is the client's where none is given.
func (p *Pipeline) Begin(r *http.Request, origin *event.TraceContext) (watcher proxy.Watcher, extra http.Header) {
	if !p.settings.Panics.Event(func() { watcher, extra = p.begin(r, origin) }) {
		p.loseSide(event.Request)
		p.loseSide(event.Response)
	}
	return watcher, extra
}

func (p *Pipeline) begin(r *http.Request, origin *event.TraceContext) (proxy.Watcher, http.Header) {
	correlationID := newCorrelationID()
	var extra http.Header
	if _, present := r.Header[requestIDHeader]; !present {
		extra = http.Header{requestIDHeader: {correlationID}}
	}
	reason, ifEmpty := p.skip(r)
	if reason != "" {
		p.skips.Skip(reason)
		return nil, extra
	}

	carried := event.InHeader(r.Header, p.settings.Builder.Identity)
	if carried.Ends {
		p.skips.Skip(ledger.SkipLoop)
		return nil, extra
	}

	rate, waits := p.sample(correlationID)
	if waits && rate == 0 && !p.settings.Sampler.Waits() && ifEmpty == "" {
		p.skips.Skip(ledger.SkipSampling)
		return nil, extra
	}

	watching := &watcher{
		pipeline: p,
		exchange: event.NewExchange(r, correlationID, time.Now()),
		course:   newCourse(carried.Sign != event.NoLoop, inference.AsksForTunnel(r)),
		loop:     carried.Sign,
		mayLoop:  carried.Sign == event.NoLoop && event.MayLoop(r.Header.Get("Content-Type")),
		ifEmpty:  ifEmpty,
		status:   event.NoStatus,
	}
	watching.request.event.pair, watching.response.event.pair = &watching.pair, &watching.pair
	watching.exchange.SampledRate = rate
	if waits {
		watching.course.wait(rate == 0)
	}
	watching.exchange.Hops = carried.Hops
	if origin != nil {
		watching.exchange.KeepTraceContext(*origin)
	}
	watching.exchange.KeepHeaders(p.settings.Headers, r)
	watching.beginRequest(event.CodingOf(r.Header), r.ContentLength)
	return watching, extra
}

// sample returns how many exchanges an exchange stands for, and whether its outcome
// decides whether it gives events. Chance selects no exchange with a rate of 0.
func (p *Pipeline) sample(correlationID string) (rate int32, waits bool) {
	sampler := p.settings.Sampler
	if sampler == nil {
		return 0, false
	}
	rate = sampler.Rate(correlationID)
	return rate, rate == 0 || sampler.Waits()
}

// beginRequest says what is kept of the request's body.
func (r *watcher) beginRequest(coding event.Coding, expected int64) {
	p := r.pipeline
	r.request.begin(r.lease(), coding, expected)
	keep := p.settingsOf(event.Request, expected)
	switch {
	case r.loop != event.NoLoop:
		// Its size and hash are enough.
		keep.MaxBytes, keep.KeepOverCap, keep.Hash = 0, false, p.selection[agentconfig.KindLoop]
	case r.mayLoop:
		// Its beginning reports whether anything of the exchange is wanted.
		keep.KeepOverCap, keep.Hash = true, keep.Hash || p.selection[agentconfig.KindLoop]
	case !p.wants[event.Request].any:
		return
	}
	r.request.keep(keep)
}

// newCorrelationID returns a random UUID. Nothing is protected by it, and the
// generator of the runtime, which is seeded by the operating system, costs no
// system call for each exchange.
func newCorrelationID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	// Version 4 and the variant of RFC 9562.
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

var skipReasons = map[inference.Verdict]ledger.SkipReason{
	inference.Probe: ledger.SkipProbe, inference.OtherPath: ledger.SkipPath,
}

// skip says why the head of a request keeps its exchange from being observed,
// and ifEmpty why it would if it turns out to have no body: empty where it
// doesn't.
func (p *Pipeline) skip(r *http.Request) (reason, ifEmpty ledger.SkipReason) {
	verdict, verdictIfEmpty := p.settings.Paths.Judge(r)
	if reason := skipReasons[verdict]; reason != "" {
		return reason, ""
	}
	return "", skipReasons[verdictIfEmpty]
}

// watcher watches one exchange. A panic costs the events of the exchange, and
// neither the exchange nor the agent: bodies are read in goroutines of net/http,
// where nobody else recovers.
type watcher struct {
	pipeline *Pipeline
	exchange *event.Exchange
	// mayLoop says that only the request's body tells whether it carries an event
	// of an agent.
	mayLoop bool
	// ifEmpty says why the exchange is skipped if the request turns out to have
	// no body: empty where it isn't.
	ifEmpty ledger.SkipReason

	mu sync.Mutex
	// lost says that the work on the exchange panicked.
	lost     bool
	course   course
	request  side
	response side
	// loop is the sign by which a request that carries an event of an agent was
	// recognised.
	loop   event.Loop
	flow   event.Flow
	status int
	header http.Header
	// pair is what the events share of the ceiling.
	pair sampling.Pair
}

// side is one direction of an exchange.
type side struct {
	// event is what the pipeline gets when the side has ended. Its lease is nil
	// before the side begins.
	event observed
	// kept is what is kept of the body, nil where no kind of the side is
	// selected. What isn't kept is counted nevertheless.
	kept     *capture.Recorder
	recorded capture.Recorder
	stream   *event.ServerSent
	size     int64
	// expected is the announced length of the body, or -1.
	expected int64
	complete bool
	// observed says that the pipeline has the event.
	observed bool
}

// begin is called once the head of a side is there.
func (s *side) begin(lease *capture.Lease, coding event.Coding, expected int64) {
	s.expected = expected
	s.stream = event.NewServerSent(coding)
	s.event.lease = lease
	s.event.observation.Coding = coding
	s.event.observation.Messages = event.NewMessages(coding)
}

// keep has the body kept from now on.
func (s *side) keep(settings capture.Settings) {
	s.recorded = capture.NewRecorder(s.event.lease, settings)
	s.kept = &s.recorded
}

// end gives back what is held for a side that gives no event.
func (s *side) end() {
	s.handOver()
	s.event.end()
}

// handOver leaves the body to the event: an exchange may go on for long after it.
func (s *side) handOver() {
	s.kept, s.recorded = nil, capture.Recorder{}
}

func (s *side) write(p []byte) {
	s.size += int64(len(p))
	s.event.observation.Messages.Write(p)
	s.stream.Write(p)
	if s.kept != nil {
		s.kept.Write(p)
	}
}

func (s *side) body() event.Body {
	if s.kept == nil {
		return event.Body{Size: s.size}
	}
	return s.kept.Body()
}

// endedByContent reports whether a side that broke off is complete: its announced
// length is there, or its content shows its end.
func (s *side) endedByContent(maxBytes int64) bool {
	if s.expected >= 0 {
		return s.expected > 0 && s.size == s.expected
	}
	body, coding, lease := s.body(), s.event.observation.Coding, s.event.lease
	room := coding.DecodingBytes(maxBytes)
	if !lease.Grow(room) {
		return false
	}
	defer lease.Shrink(room)
	return event.Ended(coding, body, s.stream, maxBytes)
}

// settingsOf says what is kept of a side's body where one of its kinds is
// selected.
func (p *Pipeline) settingsOf(which event.Side, expected int64) capture.Settings {
	return capture.Settings{
		MaxBytes:    p.settings.Builder.MaxPayloadBytes,
		KeepOverCap: p.wants[which].failure,
		Hash:        p.wants[which].partial,
		Expected:    expected,
	}
}

// lease returns the lease of a side. What is probably left out leaves room for what is
// not.
func (r *watcher) lease() *capture.Lease {
	if r.course.spare {
		return r.pipeline.budget.SpareLease()
	}
	return r.pipeline.budget.Lease()
}

// do does the work of one call, unless an earlier one panicked.
func (r *watcher) do(work func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.lost && !r.pipeline.settings.Panics.Event(work) {
		r.lost = true
		r.lose()
	}
}

func (r *watcher) RequestBytes(p []byte) {
	r.do(func() {
		if r.course.requestOver {
			return
		}
		r.request.write(p)
		if r.request.size == r.request.expected {
			r.requestDone(true)
		}
	})
}

func (r *watcher) RequestDone() { r.do(func() { r.requestDone(true) }) }

// requestDone ends the request's side.
func (r *watcher) requestDone(complete bool) {
	if r.course.requestOver {
		return
	}
	body := r.request.body()
	if reason := r.recognise(body); reason != "" {
		r.pipeline.skips.Skip(reason)
		r.course.skip()
		r.course.endRequest()
		r.request.end()
		return
	}
	if r.loop != event.NoLoop {
		r.course.loop()
	}
	o := &r.request.event.observation
	o.Exchange, o.Side, o.Body, o.Complete = r.exchange, event.Request, body, complete
	o.Status, o.GRPCStatus, o.At = event.NoStatus, event.NoStatus, r.exchange.Received
	r.observe(r.course.endRequest())
}

// recognise reads the signs that are in the request's body. It returns the reason
// for which the exchange is not observed, empty where it is.
func (r *watcher) recognise(body event.Body) ledger.SkipReason {
	if r.ifEmpty != "" && r.request.size == 0 {
		return r.ifEmpty
	}
	if r.mayLoop {
		carried := event.InBody(body, r.pipeline.settings.Builder.Identity)
		if carried.Ends {
			return ledger.SkipLoop
		}
		r.loop, r.exchange.Hops = carried.Sign, max(r.exchange.Hops, carried.Hops)
	}
	return ""
}

func (r *watcher) ResponseHead(status int, header http.Header, contentLength int64) {
	r.do(func() {
		r.observe(r.course.beginResponse())
		r.status = status
		r.header = header
		r.response.begin(r.lease(), event.CodingOf(header), contentLength)
		if r.pipeline.wants[event.Response].any && r.course.responds() {
			r.response.keep(r.pipeline.settingsOf(event.Response, contentLength))
		}
	})
}

func (r *watcher) ResponseBytes(p []byte) {
	r.do(func() {
		if !r.course.over {
			if r.response.size == 0 && r.response.kept != nil {
				r.response.event.observation.FirstByte = time.Now()
			}
			r.response.write(p)
		}
	})
}

func (r *watcher) ResponseMayBeWhole() (may bool) {
	r.do(func() { may = r.responseMayBeWhole() })
	return may
}

func (r *watcher) responseMayBeWhole() bool {
	s, o := &r.response, &r.response.event.observation
	// Of gRPC the trailer tells, and a failure stays one. What nobody wants is not
	// waited for.
	if s.event.lease == nil || r.course.over || s.expected >= 0 || o.Messages != nil || s.kept == nil || r.status < 200 || r.status > 299 {
		return false
	}
	return event.MayBeWhole(o.Coding, s.body(), s.stream)
}

func (r *watcher) ResponseDone() { r.do(func() { r.response.complete = true }) }

func (r *watcher) TunnelOpened() {
	r.do(func() {
		r.course.openTunnel()
		r.status = http.StatusSwitchingProtocols
		r.request.end()
	})
}

func (r *watcher) TunnelBytes(fromClient, fromModel int) {
	r.do(func() {
		r.flow.FromClient += int64(fromClient)
		r.flow.FromModel += int64(fromModel)
	})
}

func (r *watcher) NoResponse(status int) {
	r.ResponseHead(status, nil, 0)
	r.ResponseDone()
}

func (r *watcher) End(trailer http.Header) { r.do(func() { r.end(trailer) }) }

func (r *watcher) end(trailer http.Header) {
	r.observe(r.course.beginResponse())
	if r.course.over {
		return
	}
	most := r.pipeline.settings.Builder.MaxPayloadBytes
	request, response := &r.request.event.observation, &r.response.event.observation
	if r.response.event.lease == nil {
		// A tunnel, or an exchange that ended before there was a response.
		r.response.begin(r.lease(), event.Coding{}, 0)
	} else if !r.response.complete {
		response.ByContent = r.response.endedByContent(most)
	}
	response.Complete = r.response.complete || response.ByContent
	if !r.course.requestOver {
		// A model may respond when it has what it needs, before it has seen the end
		// of the request.
		request.ByContent = response.Complete && (request.Messages.Whole() || r.request.endedByContent(most))
		r.requestDone(request.ByContent)
	}
	at, grpcStatus := time.Now(), event.GRPCStatusOf(r.header, trailer)
	response.Side, response.Status, response.GRPCStatus, response.At = event.Response, r.status, grpcStatus, at
	r.decide(at)
	due := r.course.end()
	switch {
	case due.has(event.Response):
		response.Exchange, response.Body = r.exchange, r.response.body()
	case due.has(event.Looped):
		*request = event.Observation{
			Exchange: r.exchange, Side: event.Looped, Body: r.request.body(), Loop: r.loop,
			Complete: true, Status: r.status, GRPCStatus: grpcStatus, At: at,
		}
	case due.has(event.Tunnel):
		*response = event.Observation{
			Exchange: r.exchange, Side: event.Tunnel, Flow: r.flow,
			Complete: true, Status: r.status, GRPCStatus: event.NoStatus, At: at,
		}
	}
	// The event holds the watcher until it is built.
	r.header = nil
	r.observe(due)
	if !r.response.observed {
		r.response.end()
	}
}

// decide has the outcome of a waiting exchange decide on its events. It is called
// when both sides have ended.
func (r *watcher) decide(at time.Time) {
	if !r.course.waits {
		return
	}
	request, response := &r.request.event, &r.response.event
	failed := r.course.responds() && (event.Failed(&request.observation) || event.Failed(&response.observation))
	kept := r.pipeline.settings.Sampler.Keeps(failed, at.Sub(r.exchange.Received))
	if kept {
		r.exchange.SampledRate = 1
	}
	due, leftOut := r.course.decide(kept)
	if leftOut {
		r.pipeline.skips.Skip(ledger.SkipSampling)
		r.request.end()
		return
	}
	request.lease.Claim()
	response.lease.Claim()
	r.observe(due)
}

// observe hands the event that is due to the pipeline, if there is one.
func (r *watcher) observe(due sides) {
	side := &r.response
	switch {
	case due == 0:
		return
	case due.has(event.Request), due.has(event.Looped):
		side = &r.request
	}
	side.observed = true
	side.handOver()
	r.pipeline.observe(&side.event)
}

// lose counts the events that a panic took from the pipeline.
func (r *watcher) lose() {
	if r.course.spare {
		// It would most likely have been left out.
		if _, leftOut := r.course.decide(false); leftOut {
			r.pipeline.skips.Skip(ledger.SkipSampling)
		}
	}
	lost := r.course.lose()
	for _, side := range []event.Side{event.Request, event.Response, event.Tunnel, event.Looped} {
		if lost.has(side) {
			r.pipeline.loseSide(side)
		}
	}
	for _, side := range []*side{&r.request, &r.response} {
		if !side.observed && side.event.lease != nil {
			side.event.lease.LeaveBuffer()
			side.event.lease.Release()
		}
	}
}
