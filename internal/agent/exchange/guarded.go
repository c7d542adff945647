/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"net/http"
	"sync/atomic"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
)

// guarded is a watcher whose panics cost the events of its exchange, and
// neither the exchange nor the agent: bodies are read in goroutines of
// net/http, where nobody else recovers.
type guarded struct {
	watcher watcher
	lost    atomic.Bool
}

func (g *guarded) do(work func()) {
	if g.lost.Load() || g.watcher.pipeline.settings.Panics.Event(work) {
		return
	}
	if !g.lost.Swap(true) {
		g.watcher.lose()
	}
}

func (g *guarded) RequestBytes(p []byte) { g.do(func() { g.watcher.RequestBytes(p) }) }

func (g *guarded) RequestDone() { g.do(g.watcher.RequestDone) }

func (g *guarded) ResponseHead(status int, header http.Header, contentLength int64) {
	g.do(func() { g.watcher.ResponseHead(status, header, contentLength) })
}

func (g *guarded) ResponseBytes(p []byte) { g.do(func() { g.watcher.ResponseBytes(p) }) }

func (g *guarded) ResponseDone() { g.do(g.watcher.ResponseDone) }

func (g *guarded) ResponseMayBeWhole() (may bool) {
	g.do(func() { may = g.watcher.ResponseMayBeWhole() })
	return may
}

func (g *guarded) TunnelOpened() { g.do(g.watcher.TunnelOpened) }

func (g *guarded) TunnelBytes(fromClient, fromModel int) {
	g.do(func() { g.watcher.TunnelBytes(fromClient, fromModel) })
}

func (g *guarded) Unanswered(status int) { g.do(func() { g.watcher.Unanswered(status) }) }

func (g *guarded) End(trailer http.Header) { g.do(func() { g.watcher.End(trailer) }) }

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
	r.mu.Lock()
	defer r.mu.Unlock()
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

// loseExchange counts an exchange whose watcher never came about.
func (p *Pipeline) loseExchange() {
	p.loseSide(event.Request)
	p.loseSide(event.Response)
}
