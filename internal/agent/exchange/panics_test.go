/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// takingSink takes every item at once.
type takingSink struct {
	account ledger.Account
	mu      sync.Mutex
	taken   int
}

func (s *takingSink) Account() *ledger.Account { return &s.account }

func (s *takingSink) Accept(item *delivery.Item) func() {
	s.account.Deliver()
	item.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
	return nil
}

// TestAPanicCostsAnEventAndNoMore: wherever the work on an event panics, the
// event is counted as invalid, what it holds is given back, and others go on.
func TestAPanicCostsAnEventAndNoMore(t *testing.T) {
	for _, test := range []struct {
		name string
		// Each of these makes something panic.
		settings                      func(*Settings)
		request                       func(*http.Request)
		beforeRequest, beforeResponse func(*watcher)
		want                          uint64
	}{
		{name: "as a side is observed", settings: func(s *Settings) {
			s.Attributes = func() []metadata.Attribute { panic("a payload") }
		}, want: 2},
		{name: "as an event is built", beforeRequest: func(r *watcher) { r.exchange = nil }, want: 2},
		{name: "before there is a watcher", request: func(r *http.Request) { r.URL = nil }, want: 2},
		{name: "as the request's body flows", beforeRequest: func(r *watcher) { r.request.kept = new(capture.Recorder) }, want: 2},
		{name: "as the response's body flows", beforeResponse: func(r *watcher) { r.response.kept = new(capture.Recorder) }, want: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			sink := new(takingSink)
			budget := capture.NewBudget(1 << 20)
			var places []panics.Place
			settings := Settings{
				Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
				Builder:    &event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 10},
				Deadline:   time.Minute,
				Attributes: func() []metadata.Attribute { return nil },
			}
			var mu sync.Mutex
			settings.Panics.OnEvent = func(place panics.Place) {
				mu.Lock()
				defer mu.Unlock()
				places = append(places, place)
			}
			if test.settings != nil {
				test.settings(&settings)
			}
			p := NewPipeline(settings, budget, []Sink{sink}, new(ledger.Account))
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { p.Run(ctx) })
			defer running.Wait()
			defer stop()

			exchange(p, test.request, test.beforeRequest, test.beforeResponse)
			for !p.Empty() {
				time.Sleep(time.Millisecond)
			}
			got := sink.account.Snapshot()
			if got.Dropped[ledger.ReasonInvalid] != test.want || got.Observed != 2 || got.Pending != 0 {
				t.Errorf("the ledger says %+v, want 2 observed, %d of them invalid", got, test.want)
			}
			if budget.Used() != 0 {
				t.Errorf("%d bytes of the budget are still held", budget.Used())
			}
			for _, place := range places {
				if strings.Contains(string(place), "payload") {
					t.Errorf("%q quotes the panic", place)
				}
			}
			if len(places) == 0 {
				t.Error("nobody was told of a panic")
			}
			if test.settings == nil {
				exchange(p, nil, nil, nil)
				for !p.Empty() {
					time.Sleep(time.Millisecond)
				}
				if after := sink.account.Snapshot(); after.Delivered != got.Delivered+2 {
					t.Errorf("the next exchange gave %d events", after.Delivered-got.Delivered)
				}
			}
		})
	}
}

// exchange makes one exchange, with changes to it on its way.
func exchange(p *Pipeline, request func(*http.Request), beforeRequest, beforeResponse func(*watcher)) {
	r := httptest.NewRequest(http.MethodPost, "/v1/models/m:predict", strings.NewReader("{}"))
	if request != nil {
		request(r)
	}
	watching, _ := p.Begin(r, nil)
	if watching == nil {
		return
	}
	inner := watching.(*watcher)
	if beforeRequest != nil {
		beforeRequest(inner)
	}
	watching.RequestBytes([]byte("{}"))
	watching.RequestDone()
	watching.ResponseHead(http.StatusOK, http.Header{}, 2)
	if beforeResponse != nil {
		beforeResponse(inner)
	}
	watching.ResponseBytes([]byte("{}"))
	watching.ResponseDone()
	watching.End(nil)
}

// TestLossIsCountedOnce: the other direction of an exchange may be at work
// while a panic is counted.
func TestLossIsCountedOnce(t *testing.T) {
	for name, goOn := range map[string]func(*watcher){
		"the request ends":   func(r *watcher) { r.RequestBytes([]byte("{}")); r.RequestDone() },
		"the response flows": func(r *watcher) { r.ResponseHead(http.StatusOK, http.Header{}, -1); r.ResponseBytes([]byte("{}")) },
		"it ends":            func(r *watcher) { r.End(nil) },
		"a tunnel ends":      func(r *watcher) { r.TunnelOpened(); r.End(nil) },
		"it turns out to be a probe": func(r *watcher) {
			r.ifEmpty = ledger.SkipProbe
			r.RequestDone()
		},
	} {
		t.Run(name, func(t *testing.T) {
			sink := new(takingSink)
			budget := capture.NewBudget(1 << 20)
			p := NewPipeline(Settings{
				Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
				Builder:    &event.Builder{MaxPayloadBytes: 1 << 10},
				Attributes: func() []metadata.Attribute { return nil },
			}, budget, []Sink{sink}, new(ledger.Account))
			r := httptest.NewRequest(http.MethodPost, "/v1/models/m:predict", strings.NewReader("{}"))
			watching, _ := p.Begin(r, nil)
			inner := watching.(*watcher)
			inner.lose()
			goOn(inner)
			if got := sink.account.Snapshot(); got.Observed != 2 || got.Dropped[ledger.ReasonInvalid] != 2 {
				t.Errorf("the ledger says %+v, want 2 observed, both of them invalid", got)
			}
			if skipped := p.Skips().Snapshot().Exchanges; len(skipped) > 0 {
				t.Errorf("it is skipped, too: %v", skipped)
			}
			if budget.Used() != 0 {
				t.Errorf("%d bytes of the budget are still held", budget.Used())
			}
		})
	}
}

// TestObservedLeaseIsKept by a panic that follows: the events are the
// pipeline's, which counts what they hold.
func TestObservedLeaseIsKept(t *testing.T) {
	for name, end := range map[string]func(*watcher){
		"a tunnel": func(r *watcher) { r.RequestDone(); r.TunnelOpened(); r.End(nil) },
		"two sides": func(r *watcher) {
			r.RequestDone()
			r.ResponseHead(http.StatusOK, nil, 0)
			r.ResponseDone()
			r.End(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			budget := capture.NewBudget(1 << 20)
			p := NewPipeline(Settings{
				Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
				Builder:    &event.Builder{MaxPayloadBytes: 1 << 10},
				Attributes: func() []metadata.Attribute { return nil },
			}, budget, []Sink{new(takingSink)}, new(ledger.Account))
			r := httptest.NewRequest(http.MethodPost, "/m", strings.NewReader(""))
			r.Header.Set("Connection", "upgrade")
			r.Header.Set("Upgrade", "websocket")
			watching, _ := p.Begin(r, nil)
			inner := watching.(*watcher)
			end(inner)
			held := budget.Used()
			inner.lose()
			if held == 0 || budget.Used() != held {
				t.Errorf("%d of %d bytes are held", budget.Used(), held)
			}
		})
	}
}
