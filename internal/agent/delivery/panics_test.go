/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// moody panics at the events with these sequences, for as long as it is there,
// and has the others delivered.
type moody struct {
	refusing
	panicsAt map[uint64]bool
}

func (m *moody) Send(ctx context.Context, e *event.Event, sequence uint64) Result {
	result := m.refusing.Send(ctx, e, sequence)
	if result.Status != 0 && m.panicsAt[sequence] {
		panic("a payload")
	}
	return result
}

// told collects what is told of panics.
type told struct {
	mu     sync.Mutex
	events []panics.Place
	agent  chan panics.Place
}

func newTold() *told { return &told{agent: make(chan panics.Place, 10)} }

func (c *told) handler() panics.Handler {
	return panics.Handler{
		OnEvent: func(p panics.Place) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, p)
		},
		OnAgent: func(p panics.Place) { c.agent <- p },
	}
}

func (c *told) mustName(t *testing.T, function string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) == 0 {
		t.Error("nobody was told of the panic")
	}
	for _, place := range c.events {
		if !strings.Contains(string(place), function) || strings.Contains(string(place), "payload") {
			t.Errorf("told %q, want it of %s", place, function)
		}
	}
}

// TestAnAttemptThatPanicsCostsItsEvent, and the sink takes those after it.
func TestAnAttemptThatPanicsCostsItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newTold()
		sender := &moody{panicsAt: map[uint64]bool{2: true}}
		r := runRig(t, sender, func(o *Options) { o.Spool, o.Panics = nil, told.handler() })
		for range 3 {
			r.observe(t)
		}
		synctest.Wait()
		if got := r.Account().Snapshot(); got.Delivered != 2 || got.Dropped[ledger.ReasonInvalid] != 1 || got.Pending != 0 {
			t.Errorf("the ledger says %+v", got)
		}
		r.end()
		told.mustName(t, "moody")
	})
}

// TestASpooledEventThatPanicsDoesNotComeBack: it is acknowledged, so that a new
// agent on the same disk finds nothing of it.
func TestASpooledEventThatPanicsDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		open := func() (SpoolDirectory, error) { return spool.OpenDirectory(directory) }
		told := newTold()
		sender := &moody{panicsAt: map[uint64]bool{2: true}}
		sender.become(true)
		r := runRig(t, sender, func(o *Options) { o.Spool.Open, o.Panics = open, told.handler() })
		for range 3 {
			r.observe(t)
		}
		time.Sleep(time.Minute)
		if spooled := r.Account().Snapshot().Spooled; spooled != 3 {
			t.Fatalf("%d events were spooled", spooled)
		}
		sender.become(false)
		time.Sleep(time.Minute)
		if got := r.Account().Snapshot(); got.Delivered != 2 || got.Dropped[ledger.ReasonInvalid] != 1 || got.Pending != 0 {
			t.Errorf("the ledger says %+v", got)
		}
		r.end()
		told.mustName(t, "moody")

		next := runRig(t, new(refusing), func(o *Options) { o.Spool.Open = open })
		time.Sleep(time.Minute)
		if got := next.Account().Snapshot(); got.Recovered != 0 {
			t.Errorf("%d events came back", got.Recovered)
		}
		next.end()
	})
}

// TestEventThatPanicsWhileSpoolingIsDropped: an item without an event
// can't be written.
func TestEventThatPanicsWhileSpoolingIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		told := newTold()
		sender := new(refusing)
		sender.become(true)
		r := runRig(t, sender, func(o *Options) {
			o.Spool.Open = func() (SpoolDirectory, error) { return spool.OpenDirectory(directory) }
			o.Panics = told.handler()
		})
		now := time.Now()
		released := false
		r.Enqueue(&Item{
			Sequence: r.Account().Observe(), Observed: now, Deadline: now.Add(agentconfig.EventDeadline),
			Bytes: OverheadBytes, Release: func() { released = true },
		})
		r.observe(t)
		time.Sleep(time.Minute)
		got := r.Account().Snapshot()
		if got.Dropped[ledger.ReasonInvalid] != 1 || got.Spooled != 1 || got.Pending != 1 || !released {
			t.Errorf("the ledger says %+v, released %v", got, released)
		}
		r.end()
		told.mustName(t, "event.(*Event).Stored")
	})
}

// panickingReader is a body that fails in a goroutine of net/http.
type panickingReader struct{}

func (panickingReader) Read([]byte) (int, error) { panic("a payload") }

func TestABodyThatPanicsEndsTheAttempt(t *testing.T) {
	told := newTold()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	body := &sentBody{reader: panickingReader{}, panics: told.handler()}
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(&http.Request{Method: http.MethodPost, URL: target, Header: make(http.Header), Body: body, ContentLength: 10})
	if err == nil {
		response.Body.Close()
		t.Error("the attempt went on")
	}
	if !(&sentBodies{bodies: []*sentBody{body}}).unsound() {
		t.Error("the body counts as sound")
	}
	told.mustName(t, "panickingReader")
}

// TestAPanicOfTheSinkItselfEndsTheAgent: nothing is known of its state.
func TestAPanicOfTheSinkItselfEndsTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newTold()
		sender := new(refusing)
		sender.become(true)
		r := runRig(t, sender, func(o *Options) {
			o.Spool, o.Panics = nil, told.handler()
			o.Random = func() float64 { panic("a payload") }
		})
		r.observe(t)
		if place := <-told.agent; !strings.Contains(string(place), "delivery.") || strings.Contains(string(place), "payload") {
			t.Errorf("told %q", place)
		}
		r.end()
	})
}
