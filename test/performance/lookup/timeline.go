/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// side is which half of an exchange an event has.
type side int

const (
	request side = iota
	response
)

// timeline has the times of one round's exchanges, on this process's monotonic
// clock. Exchanges are known by their X-Request-Id.
type timeline struct {
	mu sync.Mutex
	// sent are when the client sent the request, and when the model sent the
	// response, which both are one write. arrivals are when the sink had the event.
	sent, arrivals [2]map[string]time.Time
	// odd is the first event that isn't as it should be.
	odd error
}

func newTimeline() *timeline {
	t := new(timeline)
	for of := range t.sent {
		t.sent[of], t.arrivals[of] = make(map[string]time.Time), make(map[string]time.Time)
	}
	return t
}

// sends notes when one side of an exchange is sent.
func (t *timeline) sends(of side, id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent[of][id] = at
}

// event notes the arrival of an event.
func (t *timeline) event(header http.Header, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of, err := check(header)
	id := header.Get("Ce-Clientrequestid")
	if _, twice := t.arrivals[of][id]; err == nil && twice {
		err = fmt.Errorf("the event of exchange %q came twice", id)
	}
	if err != nil {
		if t.odd == nil {
			t.odd = err
		}
		return
	}
	t.arrivals[of][id] = at
}

// state returns how many events have arrived, and what was wrong with one.
func (t *timeline) state() (arrived int, odd error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.arrivals[request]) + len(t.arrivals[response]), t.odd
}

// delays returns how long after its side was sent each event arrived.
func (t *timeline) delays(of side) ([]time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delays := make([]time.Duration, 0, len(t.arrivals[of]))
	for id, arrival := range t.arrivals[of] {
		sent, known := t.sent[of][id]
		if !known {
			return nil, fmt.Errorf("an event of the unknown exchange %q", id)
		}
		delays = append(delays, arrival.Sub(sent))
	}
	return delays, nil
}

// check says which side an event has, and whether the annotations are in it.
func check(header http.Header) (side, error) {
	for _, a := range attributes {
		if got := header.Get("Ce-" + a.name); got != a.value {
			return 0, fmt.Errorf("an event has the attribute %s with the value %q, want %q", a.name, got, a.value)
		}
	}
	kind := header.Get("Ce-Type")
	switch {
	case strings.HasSuffix(kind, ".request"):
		return request, nil
	case strings.HasSuffix(kind, ".response"):
		return response, nil
	}
	return 0, fmt.Errorf("an event of the type %q", kind)
}

// peers are the model and the sink of all arms, in this process.
type peers struct {
	model, sink *http.Server
	modelURL    string
	sinkURL     string

	mu  sync.Mutex
	now *timeline
}

func startPeers(response []byte) (*peers, error) {
	p := new(peers)
	var err error
	if p.model, p.modelURL, err = listen(func(w http.ResponseWriter, r *http.Request) { p.predict(w, r, response) }); err != nil {
		return nil, err
	}
	if p.sink, p.sinkURL, err = listen(p.take); err != nil {
		p.model.Close()
		return nil, err
	}
	return p, nil
}

func (p *peers) close() {
	p.model.Close()
	p.sink.Close()
}

// begin begins a new timeline.
func (p *peers) begin() *timeline {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = newTimeline()
	return p.now
}

func (p *peers) current() *timeline {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// predict responds with a small body, in one write after the handler's end.
func (p *peers) predict(w http.ResponseWriter, r *http.Request, reply []byte) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	p.current().sends(response, r.Header.Get("X-Request-Id"), time.Now())
	_, _ = w.Write(reply)
}

func (p *peers) take(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	p.current().event(r.Header, time.Now())
	w.WriteHeader(http.StatusAccepted)
}

func listen(handler http.HandlerFunc) (*http.Server, string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return server, "http://" + listener.Addr().String(), nil
}
