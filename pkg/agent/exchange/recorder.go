/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sidenote-dev/sidenote/pkg/agent/capture"
	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agent/proxy"
	"github.com/sidenote-dev/sidenote/pkg/inference"
)

const requestIDHeader = "X-Request-Id"

// Begin gives the recorder of an exchange, or nil where nobody wants its
// events, and the headers that the model gets beside the client's own. The
// trace context of the events is the client's where none is given.
func (p *Pipeline) Begin(r *http.Request, origin *event.TraceContext) (recorder proxy.Recorder, extra http.Header) {
	if !p.settings.Panics.Event(func() { recorder, extra = p.begin(r, origin) }) {
		p.loseExchange()
	}
	return recorder, extra
}

func (p *Pipeline) begin(r *http.Request, origin *event.TraceContext) (proxy.Recorder, http.Header) {
	received := time.Now()
	correlationID := uuid.NewString()
	var extra http.Header
	if _, present := r.Header[requestIDHeader]; !present {
		extra = http.Header{requestIDHeader: {correlationID}}
	}
	reason, ifEmpty := p.skip(r)
	if reason != "" {
		p.skips.Skip(reason)
		return nil, extra
	}

	sign, ends := event.LoopInHeader(r.Header)
	if ends {
		p.skips.Skip(ledger.SkipLoop)
		return nil, extra
	}

	recorder := &recorder{
		pipeline: p,
		exchange: event.NewExchange(r, correlationID, received),
		loop:     sign,
		mayLoop:  sign == event.NoLoop && event.MayLoop(r.Header.Get("Content-Type")),
		holds:    inference.AsksForTunnel(r),
		ifEmpty:  ifEmpty,
		status:   event.NoStatus,
	}
	if origin != nil {
		recorder.exchange.KeepTraceContext(*origin)
	}
	recorder.beginRequest(event.CodingOf(r.Header), r.ContentLength)
	return &guarded{recorder: recorder}, extra
}

// beginRequest says what is kept of the request's body.
func (r *recorder) beginRequest(coding event.Coding, expected int64) {
	selection := r.pipeline.settings.Selection
	keep := r.pipeline.settingsOf(event.Request, expected)
	switch {
	case r.loop != event.NoLoop:
		// Its size and hash are enough.
		keep.MaxBytes, keep.KeepOverCap, keep.Hash = 0, false, selection[event.KindLoop]
	case r.mayLoop:
		// Its beginning says whether anything of the exchange is wanted.
		keep.KeepOverCap, keep.Hash = true, keep.Hash || selection[event.KindLoop]
	case !selection.Wants(event.Request):
		r.request.init(r.pipeline, coding, expected, nil)
		return
	}
	r.request.init(r.pipeline, coding, expected, &keep)
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

// recorder watches one exchange.
type recorder struct {
	pipeline *Pipeline
	exchange *event.Exchange
	// mayLoop says that only the request's body tells whether it carries an event
	// of an agent.
	mayLoop bool
	// ifEmpty says why the exchange is skipped if the request turns out to have
	// no body: empty where it isn't.
	ifEmpty ledger.SkipReason

	mu       sync.Mutex
	request  side
	response side
	// loop is what the request was recognised by as one that carries an event of
	// an agent. Then the whole exchange gives one event, at its end.
	loop event.Loop
	// skipped says that the request turned out to be one that isn't observed, and
	// lost that a panic was counted in the place of what wasn't observed yet.
	skipped, lost bool
	// holds says that the request's side waits for the head of the answer, for
	// the request asks for a tunnel. held is what it holds back.
	holds  bool
	held   *event.Observation
	tunnel bool
	flow   event.Flow
	status int
	header http.Header

	// observed are the sides that the pipeline has got.
	observed struct{ request, response, tunnel, loop bool }
}

// side is one direction of an exchange.
type side struct {
	coding event.Coding
	lease  *capture.Lease
	// kept is what is kept of the body, nil where no kind of the side is
	// selected. What isn't kept is counted all the same.
	kept     *capture.Recorder
	messages *event.Messages
	stream   *event.ServerSent
	size     int64
	// expected is the announced length of the body, or -1.
	expected int64
	complete bool
	// byContent says that the side is complete by its content alone.
	byContent bool
	ended     bool
}

func (s *side) init(p *Pipeline, coding event.Coding, expected int64, keep *capture.Settings) {
	s.coding = coding
	s.expected = expected
	s.messages = event.NewMessages(coding)
	s.stream = event.NewServerSent(coding)
	s.lease = p.budget.Lease()
	if keep != nil {
		s.kept = capture.NewRecorder(s.lease, *keep)
	}
}

func (s *side) write(p []byte) {
	s.size += int64(len(p))
	s.messages.Write(p)
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

// endedByContent says whether a side that broke off is complete: its announced
// length is there, or its content shows its end.
func (s *side) endedByContent(maxBytes int64) bool {
	if s.expected >= 0 {
		return s.expected > 0 && s.size == s.expected
	}
	body := s.body()
	room := s.coding.DecodingBytes(maxBytes)
	if !s.lease.Grow(room) {
		return false
	}
	defer s.lease.Shrink(room)
	return event.Ended(s.coding, body, s.stream, maxBytes)
}

// settingsOf says what is kept of a side's body where one of its kinds is
// selected.
func (p *Pipeline) settingsOf(which event.Side, expected int64) capture.Settings {
	return capture.Settings{
		MaxBytes:    p.settings.Builder.MaxPayloadBytes,
		KeepOverCap: p.settings.Selection.WantsFailure(which),
		Hash:        p.settings.Selection.WantsPartial(which),
		Expected:    expected,
	}
}

func (r *recorder) RequestBytes(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.request.ended {
		return
	}
	r.request.write(p)
	if r.request.size == r.request.expected {
		r.requestDone(true)
	}
}

func (r *recorder) RequestDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requestDone(true)
}

// requestDone ends the request's side: nothing of it waits for the answer, but
// for the event of a loop.
func (r *recorder) requestDone(complete bool) {
	if r.request.ended {
		return
	}
	r.request.ended = true
	body := r.request.body()
	reason := r.recognise(body)
	if reason != "" {
		r.skipped = true
		r.pipeline.skips.Skip(reason)
		r.request.lease.Release()
	}
	if r.skipped || r.loop != event.NoLoop {
		return
	}
	observation := event.Observation{
		Exchange:   r.exchange,
		Side:       event.Request,
		Coding:     r.request.coding,
		Body:       body,
		Messages:   r.request.messages,
		Complete:   complete,
		ByContent:  r.request.byContent,
		Status:     event.NoStatus,
		GRPCStatus: event.NoStatus,
		At:         r.exchange.Received,
	}
	if r.holds {
		r.held = &observation
		return
	}
	r.observe(observation, r.request.lease)
}

// recognise reads what only the request's body tells. It gives the reason for
// which the exchange is not observed at all, empty where it is.
func (r *recorder) recognise(body event.Body) ledger.SkipReason {
	if r.ifEmpty != "" && r.request.size == 0 {
		return r.ifEmpty
	}
	if r.mayLoop {
		sign, ends := event.LoopInBody(body)
		if ends {
			return ledger.SkipLoop
		}
		r.loop = sign
	}
	return ""
}

// release ends the wait for the head of the answer: there is no tunnel.
func (r *recorder) release() {
	r.holds = false
	if r.held != nil {
		r.observe(*r.held, r.request.lease)
		r.held = nil
	}
}

func (r *recorder) ResponseHead(status int, header http.Header, contentLength int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release()
	r.status = status
	r.header = header
	if !r.pipeline.settings.Selection.Wants(event.Response) || r.skipped || r.loop != event.NoLoop {
		r.response.init(r.pipeline, event.CodingOf(header), contentLength, nil)
		return
	}
	keep := r.pipeline.settingsOf(event.Response, contentLength)
	r.response.init(r.pipeline, event.CodingOf(header), contentLength, &keep)
}

func (r *recorder) ResponseBytes(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.response.ended {
		r.response.write(p)
	}
}

func (r *recorder) ResponseMayBeWhole() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.response
	// Of gRPC the trailer tells, and a failure stays one. What nobody wants is not
	// waited for.
	if s.lease == nil || s.ended || s.expected >= 0 || s.messages != nil || s.kept == nil || r.status < 200 || r.status > 299 {
		return false
	}
	return event.MayBeWhole(s.coding, s.body(), s.stream)
}

func (r *recorder) ResponseDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.response.complete = true
}

func (r *recorder) TunnelOpened() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tunnel = true
	r.status = http.StatusSwitchingProtocols
	r.held = nil
	r.request.ended = true
	r.request.lease.Release()
}

func (r *recorder) TunnelBytes(fromClient, fromModel int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flow.FromClient += int64(fromClient)
	r.flow.FromModel += int64(fromModel)
}

func (r *recorder) endTunnel() {
	r.observe(event.Observation{
		Exchange:   r.exchange,
		Side:       event.Tunnel,
		Flow:       r.flow,
		Complete:   true,
		Status:     r.status,
		GRPCStatus: event.NoStatus,
		At:         time.Now(),
	}, r.pipeline.budget.Lease())
}

func (r *recorder) Unanswered(status int) {
	r.ResponseHead(status, nil, 0)
	r.ResponseDone()
}

func (r *recorder) End(trailer http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tunnel {
		r.endTunnel()
		return
	}
	r.release()
	if r.response.ended {
		return
	}
	r.response.ended = true
	most := r.pipeline.settings.Builder.MaxPayloadBytes
	if !r.response.complete && r.response.lease != nil {
		r.response.byContent = r.response.endedByContent(most)
	}
	complete := r.response.complete || r.response.byContent
	if !r.request.ended && complete {
		// A model may answer when it has what it needs, before it has seen the end
		// of the request.
		r.request.byContent = r.request.messages.Whole() || r.request.endedByContent(most)
	}
	r.requestDone(r.request.byContent)
	if r.response.lease == nil {
		// The exchange ended before there was an answer.
		r.response.init(r.pipeline, event.Coding{}, 0, nil)
	}
	switch {
	case r.skipped:
		r.response.lease.Release()
		return
	case r.loop != event.NoLoop:
		r.response.lease.Release()
		r.endLoop(trailer)
		return
	}
	r.observe(event.Observation{
		Exchange:   r.exchange,
		Side:       event.Response,
		Coding:     r.response.coding,
		Body:       r.response.body(),
		Messages:   r.response.messages,
		Complete:   complete,
		ByContent:  r.response.byContent,
		Status:     r.status,
		GRPCStatus: event.GRPCStatusOf(r.header, trailer),
		At:         time.Now(),
	}, r.response.lease)
}

// endLoop gives the one event of an exchange that may be part of a loop.
func (r *recorder) endLoop(trailer http.Header) {
	r.observe(event.Observation{
		Exchange:   r.exchange,
		Side:       event.Looped,
		Body:       r.request.body(),
		Loop:       r.loop,
		Complete:   true,
		Status:     r.status,
		GRPCStatus: event.GRPCStatusOf(r.header, trailer),
		At:         time.Now(),
	}, r.request.lease)
}
