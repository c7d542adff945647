/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

const requestIDHeader = "X-Request-Id"

// pace is how long the model takes over each piece of a stream.
const pace = 20 * time.Millisecond

// model responds to each exchange by what its id says, and keeps a ledger.
type model struct {
	book[served]
	// goesOn is closed when idle streams go on.
	goesOn chan struct{}
}

func newModel() *model { return &model{goesOn: make(chan struct{})} }

var contentTypes = map[kind]string{
	unary: "application/octet-stream",
	sse:   "text/event-stream",
	idle:  "text/event-stream",
	grpc:  "application/grpc",
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "websocket" {
		agenttest.EchoTunnel(w, r)
		return
	}
	if r.URL.Path == reflecting {
		giveBack(w, r)
		return
	}
	planned, ok := planOf(r.Header.Get(requestIDHeader))
	if !ok {
		// Readiness, or a request that is not counted.
		_, _ = io.Copy(io.Discard, r.Body)
		return
	}
	if planned.kind == endless {
		m.goOn(w, r, planned)
		return
	}
	body, err := io.ReadAll(r.Body)
	intact := err == nil && bytes.Equal(body, planned.body(request))
	m.set(planned.id(), func(s *served) { s.intact, s.responded = intact, true })

	w.Header().Set("Content-Type", contentTypes[planned.kind])
	if planned.kind == grpc {
		w.Header().Set("Trailer", "Grpc-Status")
	}
	control := http.NewResponseController(w)
	for _, piece := range planned.pieces(response) {
		if _, err := w.Write(piece); err != nil {
			return
		}
		if planned.kind == unary {
			break
		}
		if err := control.Flush(); err != nil {
			return
		}
		wait := time.After(pace)
		if planned.kind == idle {
			wait = nil
		}
		select {
		case <-wait:
		case <-m.mayGoOn(planned):
		case <-r.Context().Done():
			return
		}
	}
	if planned.kind == grpc {
		w.Header().Set("Grpc-Status", "0")
	}
}

// mayGoOn is closed when an idle stream goes on, and nil for any other.
func (m *model) mayGoOn(planned plan) <-chan struct{} {
	if planned.kind == idle {
		return m.goesOn
	}
	return nil
}

// reflecting is where the model responds with the request, in its coding.
const reflecting = "/v1/models/m:reflect"

func giveBack(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Grpc-Encoding"} {
		w.Header()[name] = r.Header[name]
	}
	if r.Header.Get("Content-Type") == contentTypes[grpc] {
		w.Header().Set("Grpc-Status", "0")
	}
	_, _ = w.Write(body)
}

// goOn responds to every message of a stream that its client never ends.
func (m *model) goOn(w http.ResponseWriter, r *http.Request, planned plan) {
	m.set(planned.id(), func(s *served) { s.responded = true })
	w.Header().Set("Content-Type", contentTypes[grpc])
	control := http.NewResponseController(w)
	message := planned.pieces(response)[0]
	received := make([]byte, len(planned.pieces(request)[0]))
	for {
		if _, err := io.ReadFull(r.Body, received); err != nil {
			return
		}
		if _, err := w.Write(message); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
	}
}

var errCut = errors.New("the stream was cut")

// endlessBody gives a message every now and then, until it is closed.
type endlessBody struct {
	message []byte
	closed  chan struct{}
	left    []byte
	begun   bool
}

func (b *endlessBody) Read(p []byte) (int, error) {
	if len(b.left) == 0 {
		if b.begun {
			select {
			case <-time.After(pace):
			case <-b.closed:
				return 0, errCut
			}
		}
		b.begun, b.left = true, b.message
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

func (b *endlessBody) Close() error { return nil }
