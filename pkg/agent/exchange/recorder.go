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
func (p *Pipeline) Begin(r *http.Request, origin *event.TraceContext) (proxy.Recorder, http.Header) {
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

	recorder := &recorder{
		pipeline: p,
		exchange: event.NewExchange(r, correlationID, received),
		mayLoop:  event.MayLoop(r.Header.Get("Content-Type")),
		holds:    inference.AsksForTunnel(r),
		ifEmpty:  ifEmpty,
		status:   event.NoStatus,
	}
	if origin != nil {
		recorder.exchange.KeepTraceContext(*origin)
	}
	recorder.request.init(p, event.Request, event.CodingOf(r.Header), r.ContentLength)
	if recorder.mayLoop {
		// Its body says whether anything of the exchange is wanted.
		recorder.request.wanted = true
		recorder.request.body = p.record(recorder.request.lease, event.Request, r.ContentLength, true)
	}
	return recorder, extra
}

var skipReasons = map[inference.Verdict]ledger.SkipReason{
	inference.Probe: ledger.SkipProbe, inference.OtherPath: ledger.SkipPath,
}

// skip says why the head of a request keeps its exchange from being observed,
// and ifEmpty why that it has no body would: empty where it doesn't.
func (p *Pipeline) skip(r *http.Request) (reason, ifEmpty ledger.SkipReason) {
	verdict, verdictIfEmpty := p.settings.Paths.Judge(r)
	if reason := skipReasons[verdict]; reason != "" {
		return reason, ""
	}
	if event.Loop(r.Header) {
		return ledger.SkipLoop, ""
	}
	return "", skipReasons[verdictIfEmpty]
}

// recorder watches one exchange.
type recorder struct {
	pipeline *Pipeline
	exchange *event.Exchange
	mayLoop  bool
	// ifEmpty says why the exchange is skipped if the request turns out to have
	// no body: empty where it isn't.
	ifEmpty ledger.SkipReason

	mu       sync.Mutex
	request  side
	response side
	// skipped says that the request turned out to be one that isn't observed.
	skipped bool
	// holds says that the request's side waits for the head of the answer, for
	// the request asks for a tunnel. held is what it holds back.
	holds  bool
	held   *event.Observation
	tunnel bool
	flow   event.Flow
	status int
	header http.Header
}

// side is one direction of an exchange.
type side struct {
	wanted bool
	coding event.Coding
	lease  *capture.Lease
	body   *capture.Recorder
	// expected is the announced length of the body, or -1.
	expected int64
	// size is how many bytes flowed, whether they were wanted or not.
	size     int64
	complete bool
	ended    bool
}

func (s *side) init(p *Pipeline, which event.Side, coding event.Coding, expected int64) {
	s.wanted = p.settings.Selection.Wants(which)
	s.coding = coding
	s.expected = expected
	s.lease = p.budget.Lease()
	s.body = p.record(s.lease, which, expected, p.settings.Selection.WantsFailure(which))
}

func (p *Pipeline) record(lease *capture.Lease, which event.Side, expected int64, keepOverCap bool) *capture.Recorder {
	return capture.NewRecorder(lease, capture.Settings{
		MaxBytes:    p.settings.Builder.MaxPayloadBytes,
		KeepOverCap: keepOverCap,
		Hash:        p.settings.Selection.WantsPartial(which),
		Expected:    expected,
	})
}

func (r *recorder) RequestBytes(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.request.size += int64(len(p))
	if !r.request.wanted || r.request.ended {
		return
	}
	r.request.body.Write(p)
	if r.request.body.Size() == r.request.expected {
		r.requestDone(true)
	}
}

func (r *recorder) RequestDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requestDone(true)
}

// requestDone ends the request's side: nothing of it waits for the answer.
func (r *recorder) requestDone(complete bool) {
	if r.request.ended {
		return
	}
	r.request.ended = true
	body := r.request.body.Body()
	switch {
	case r.ifEmpty != "" && r.request.size == 0:
		r.skipped = true
		r.pipeline.skips.Skip(r.ifEmpty)
	case r.mayLoop && event.LoopInBody(body):
		r.skipped = true
		r.pipeline.skips.Skip(ledger.SkipLoop)
	}
	if r.skipped || !r.pipeline.settings.Selection.Wants(event.Request) {
		r.request.lease.Release()
		return
	}
	observation := event.Observation{
		Exchange:   r.exchange,
		Side:       event.Request,
		Coding:     r.request.coding,
		Body:       body,
		Complete:   complete,
		Status:     event.NoStatus,
		GRPCStatus: event.NoStatus,
		At:         r.exchange.Received,
	}
	if r.holds {
		r.held = &observation
		return
	}
	r.pipeline.observe(observation, r.request.lease)
}

// release ends the wait for the head of the answer: there is no tunnel.
func (r *recorder) release() {
	r.holds = false
	if r.held != nil {
		r.pipeline.observe(*r.held, r.request.lease)
		r.held = nil
	}
}

func (r *recorder) ResponseHead(status int, header http.Header, contentLength int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release()
	r.status = status
	r.header = header
	r.response.init(r.pipeline, event.Response, event.CodingOf(header), contentLength)
}

func (r *recorder) ResponseBytes(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.response.wanted && !r.response.ended {
		r.response.body.Write(p)
	}
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
	if !r.pipeline.settings.Selection.Wants(event.Tunnel) {
		r.pipeline.skips.Skip(ledger.SkipUpgrade)
		return
	}
	r.pipeline.observe(event.Observation{
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
	r.requestDone(r.response.complete && event.WholeMessages(r.request.coding, r.request.body.Body()))
	if r.response.ended {
		return
	}
	r.response.ended = true
	if r.response.lease == nil {
		// The exchange ended before there was an answer.
		r.response.init(r.pipeline, event.Response, event.Coding{}, 0)
	}
	if r.skipped || !r.response.wanted {
		r.response.lease.Release()
		return
	}
	r.pipeline.observe(event.Observation{
		Exchange:   r.exchange,
		Side:       event.Response,
		Coding:     r.response.coding,
		Body:       r.response.body.Body(),
		Complete:   r.response.complete,
		Status:     r.status,
		GRPCStatus: event.GRPCStatusOf(r.header, trailer),
		At:         time.Now(),
	}, r.response.lease)
}
