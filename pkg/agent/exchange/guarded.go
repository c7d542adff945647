/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"net/http"
	"sync/atomic"

	"github.com/sidenote-dev/sidenote/pkg/agent/event"
)

// guarded is a recorder whose panics cost the events of its exchange, and
// neither the exchange nor the agent: bodies are read in goroutines of
// net/http, where nobody else recovers.
type guarded struct {
	recorder recorder
	lost     atomic.Bool
}

func (g *guarded) do(work func()) {
	if g.lost.Load() || g.recorder.pipeline.settings.Panics.Event(work) {
		return
	}
	if !g.lost.Swap(true) {
		g.recorder.lose()
	}
}

func (g *guarded) RequestBytes(p []byte) { g.do(func() { g.recorder.RequestBytes(p) }) }

func (g *guarded) RequestDone() { g.do(g.recorder.RequestDone) }

func (g *guarded) ResponseHead(status int, header http.Header, contentLength int64) {
	g.do(func() { g.recorder.ResponseHead(status, header, contentLength) })
}

func (g *guarded) ResponseBytes(p []byte) { g.do(func() { g.recorder.ResponseBytes(p) }) }

func (g *guarded) ResponseDone() { g.do(g.recorder.ResponseDone) }

func (g *guarded) ResponseMayBeWhole() (may bool) {
	g.do(func() { may = g.recorder.ResponseMayBeWhole() })
	return may
}

func (g *guarded) TunnelOpened() { g.do(g.recorder.TunnelOpened) }

func (g *guarded) TunnelBytes(fromClient, fromModel int) {
	g.do(func() { g.recorder.TunnelBytes(fromClient, fromModel) })
}

func (g *guarded) Unanswered(status int) { g.do(func() { g.recorder.Unanswered(status) }) }

func (g *guarded) End(trailer http.Header) { g.do(func() { g.recorder.End(trailer) }) }

// observe hands the event of one side to the pipeline, unless it was counted as
// lost.
func (r *recorder) observe(of *side) {
	if r.lost {
		return
	}
	switch of.event.observation.Side {
	case event.Request:
		r.observed.request = true
	case event.Response:
		r.observed.response = true
	case event.Tunnel:
		r.observed.tunnel = true
	case event.Looped:
		r.observed.loop = true
	case event.Agent:
	}
	of.handOver()
	r.pipeline.observe(&of.event)
}

// lose counts the sides of an exchange that the pipeline never got. Nothing is
// observed of it any more.
func (r *recorder) lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	// The other direction may have come this far before it knew.
	defer func() { r.lost, r.request.ended, r.response.ended = true, true, true }()
	switch lose := r.pipeline.loseSide; {
	case r.skipped:
	case r.tunnel && !r.observed.tunnel:
		lose(event.Tunnel)
	case r.tunnel:
	case r.loop != event.NoLoop && !r.observed.loop:
		lose(event.Looped)
	case r.loop != event.NoLoop:
	default:
		if !r.observed.request {
			lose(event.Request)
		}
		if !r.observed.response {
			lose(event.Response)
		}
	}
	// What was observed is the pipeline's.
	if lease := r.request.event.lease; lease != nil && !r.observed.request && !r.observed.loop {
		lease.Release()
	}
	if lease := r.response.event.lease; lease != nil && !r.observed.response && !r.observed.tunnel {
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

// loseExchange counts an exchange whose recorder never came about.
func (p *Pipeline) loseExchange() {
	p.loseSide(event.Request)
	p.loseSide(event.Response)
}
