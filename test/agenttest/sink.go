/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// TypePrefix begins the type of every event of the agent.
const TypePrefix = "io.kubeflow.serving.inference."

// Event is an event as a sink read it.
type Event struct {
	cloudevents.Event
	Header     http.Header
	Structured bool
}

// Kind is the event's type without its prefix.
func (e Event) Kind() string { return strings.TrimPrefix(e.Type(), TypePrefix) }

// Attribute is an extension attribute as text, empty where it is absent.
func (e Event) Attribute(name string) string {
	switch value := e.Extensions()[name].(type) {
	case nil:
		return ""
	case string:
		return value
	case int32:
		return strconv.Itoa(int(value))
	default:
		return "?"
	}
}

// Attempt is one attempt to deliver an event to a sink.
type Attempt struct {
	Event Event
	// Number counts the attempts of all events, Try those of this one. Both
	// begin at 1.
	Number, Try int
}

// Responder responds to an attempt. The request's body can be read again. A
// responder that writes nothing accepts the event.
type Responder func(attempt Attempt, w http.ResponseWriter, r *http.Request)

// Accept takes the event.
func Accept(_ Attempt, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }

// Hang gives no response.
func Hang(_ Attempt, _ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// Statuses responds to the first attempt with the first status, and to any
// attempt after the last one with the last one.
func Statuses(statuses ...int) Responder {
	return func(attempt Attempt, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(statuses[min(attempt.Number, len(statuses))-1])
	}
}

// Sink reads events by the CloudEvents SDK, as Knative's receivers do, and
// keeps those that it responded to with 2xx.
type Sink struct {
	*Server
	t           testing.TB
	certificate *tls.Certificate
	// down has every attempt fail with 503.
	down atomic.Bool

	mu       sync.Mutex
	respond  Responder
	keep     func(Event)
	requests int
	tries    map[string]int
	accepted []Event
}

// SinkOption changes a sink before it serves.
type SinkOption func(*Sink)

// Responding has the sink respond to attempts in this way; nil accepts everything.
func Responding(respond Responder) SinkOption { return func(s *Sink) { s.Respond(respond) } }

// Down has the sink fail every attempt with 503, until Recover.
func Down(s *Sink) { s.down.Store(true) }

// Keeping returns every event that the sink accepts to keep, and the sink keeps
// none itself.
func Keeping(keep func(Event)) SinkOption { return func(s *Sink) { s.keep = keep } }

// OverTLS has the sink serve with a certificate, unless that is nil.
func OverTLS(certificate *tls.Certificate) SinkOption {
	return func(s *Sink) { s.certificate = certificate }
}

// NewSink returns a sink that serves until the test ends.
func NewSink(t testing.TB, options ...SinkOption) *Sink {
	t.Helper()
	s := &Sink{t: t, respond: Accept, tries: make(map[string]int)}
	s.keep = func(e Event) { s.accepted = append(s.accepted, e) }
	for _, set := range options {
		set(s)
	}
	s.Server = ServeTLS(t, s, s.certificate)
	return s
}

// Restart ends the sink's server and starts another one elsewhere.
func (s *Sink) Restart() {
	s.t.Helper()
	s.Server.Close()
	s.Server = ServeTLS(s.t, s, s.certificate)
}

// Respond changes how the sink responds from now on; nil accepts everything.
func (s *Sink) Respond(respond Responder) {
	if respond == nil {
		respond = Accept
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.respond = respond
}

// Recover ends the failure that Down began.
func (s *Sink) Recover() { s.down.Store(false) }

// ServeHTTP keeps an accepted event before its sender has the response.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	event, err := readEvent(r, body)
	if err != nil {
		s.t.Errorf("the CloudEvents SDK rejects an event: %v\n%v\n%.4096s", err, r.Header, body)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	s.requests++
	s.tries[event.ID()]++
	attempt := Attempt{Event: event, Number: s.requests, Try: s.tries[event.ID()]}
	respond := s.respond
	s.mu.Unlock()
	response := &response{ResponseWriter: w, accept: func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keep(event)
	}}
	if s.down.Load() {
		response.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	respond(attempt, response, r)
	if !response.begun {
		response.WriteHeader(http.StatusAccepted)
	}
}

func readEvent(r *http.Request, body []byte) (Event, error) {
	message := cehttp.NewMessage(r.Header, io.NopCloser(bytes.NewReader(body)))
	event, err := binding.ToEvent(r.Context(), message)
	if err != nil {
		return Event{}, err
	}
	return Event{Event: *event, Header: r.Header, Structured: message.ReadEncoding() == binding.EncodingStructured}, event.Validate()
}

// response calls accept when a response of 2xx begins.
type response struct {
	http.ResponseWriter
	accept func()
	begun  bool
}

func (r *response) WriteHeader(status int) {
	if status >= 200 && !r.begun {
		r.begun = true
		if status < 300 {
			r.accept()
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(p []byte) (int, error) {
	if !r.begun {
		r.WriteHeader(http.StatusOK)
	}
	return r.ResponseWriter.Write(p)
}

func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Requests is the number of attempts so far.
func (s *Sink) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Events are the events that the sink accepted, in order.
func (s *Sink) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accepted)
}

// Await waits for n events in all.
func (s *Sink) Await(n int) []Event {
	s.t.Helper()
	Eventually(s.t, strconv.Itoa(n)+" events have arrived", func() bool { return len(s.Events()) >= n })
	return s.Events()
}

// Of waits for an event of a kind, and gives the first.
func (s *Sink) Of(kind string) Event {
	s.t.Helper()
	var found Event
	Eventually(s.t, "a "+kind+" event has arrived", func() bool {
		events := s.Events()
		at := slices.IndexFunc(events, func(e Event) bool { return e.Kind() == kind })
		if at >= 0 {
			found = events[at]
		}
		return at >= 0
	})
	return found
}
