/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
)

const typePrefix = "io.kubeflow.serving.inference."

// reply is what a sink answers an attempt.
type reply struct {
	status int
	header http.Header
	body   []byte
}

var accepted = reply{status: http.StatusAccepted}

// sink reads events by the CloudEvents SDK, as Knative's own receivers do, and
// keeps a ledger of those that it took.
type sink struct {
	t *testing.T

	mu sync.Mutex
	// answer gives the reply to the nth attempt, from 1, to deliver an event.
	answer   func(e taken, n int) reply
	attempts map[string]int
	taken    []taken
	// statements are the ledger events among what it took.
	statements []told
	// credentials are the Authorization headers that came.
	credentials map[string]bool
	// heard is every request as it came, head and body, where heeds says so.
	heeds bool
	heard []string
}

func newSink(t *testing.T) *sink {
	return &sink{t: t, attempts: make(map[string]int), credentials: make(map[string]bool)}
}

// answering sets the replies.
func (s *sink) answering(answer func(e taken, n int) reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	event, says, err := readEvent(r)
	if err != nil {
		s.t.Errorf("the sink can't read an event: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	if s.heeds {
		s.heard = append(s.heard, fmt.Sprintf("%s %s %v %v\n%s", r.Method, r.RequestURI, r.Header, r.Trailer, body))
	}
	s.credentials[r.Header.Get("Authorization")] = true
	s.attempts[event.id]++
	given := accepted
	if s.answer != nil {
		given = s.answer(event, s.attempts[event.id])
	}
	switch {
	case given.status < 200 || given.status > 299:
	case says != nil:
		s.statements = append(s.statements, told{event: event, says: *says})
	default:
		s.taken = append(s.taken, event)
	}
	s.mu.Unlock()
	for name, values := range given.header {
		w.Header()[name] = values
	}
	w.WriteHeader(given.status)
	_, _ = w.Write(given.body)
}

// readEvent gives an event, and what it states where it is a ledger event.
func readEvent(r *http.Request) (taken, *ledger.Statement, error) {
	parsed, err := binding.ToEvent(context.Background(), cehttp.NewMessageFromHttpRequest(r))
	if err != nil {
		return taken{}, nil, fmt.Errorf("by the SDK: %w", err)
	}
	if err := parsed.Validate(); err != nil {
		return taken{}, nil, fmt.Errorf("as an event: %w", err)
	}
	text := func(name string) string { return fmt.Sprint(parsed.Extensions()[name]) }
	sequence, err := strconv.ParseUint(text("agentsequence"), 10, 64)
	if err != nil {
		return taken{}, nil, fmt.Errorf("its agentsequence: %w", err)
	}
	event := taken{
		source:   parsed.Source(),
		id:       parsed.ID(),
		kind:     strings.TrimPrefix(parsed.Type(), typePrefix),
		exchange: text("clientrequestid"),
		instance: text("agentinstance"),
		sequence: sequence,
		sum:      sum(parsed.Data()),
	}
	if strings.HasSuffix(event.kind, ".oversize") {
		event.sum = text("bodysha256")
	}
	if event.kind != "ledger" {
		return event, nil, nil
	}
	says := new(ledger.Statement)
	if err := parsed.DataAs(says); err != nil {
		return taken{}, nil, fmt.Errorf("its statement: %w", err)
	}
	return event, says, nil
}

// events is the ledger.
func (s *sink) events() []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]taken(nil), s.taken...)
}

// told are the ledger events that it took.
func (s *sink) told() []told {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statements)
}

// has says whether the sink took the event of a side of an exchange.
func (s *sink) has(exchange string, of side) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.taken, func(e taken) bool { return e.exchange == exchange && e.side() == of })
}

// heed has the sink keep every request from now on.
func (s *sink) heed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heeds = true
}

// all is what it kept.
func (s *sink) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.heard, "\n")
}

// server is an HTTP server on the loopback, over HTTP/1.1 and HTTP/2.
type server struct {
	address string
	server  *http.Server
	group   sync.WaitGroup
}

// serve runs a handler, over TLS where a certificate is given.
func serve(t *testing.T, handler http.Handler, certificate *tls.Certificate) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	s := &server{address: listener.Addr().String()}
	s.server = &http.Server{Handler: handler, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetUnencryptedHTTP2(true)
	if certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}})
	}
	s.group.Go(func() { _ = s.server.Serve(listener) })
	t.Cleanup(s.close)
	return s
}

// close cuts every connection.
func (s *server) close() {
	s.server.Close()
	s.group.Wait()
}

// authorized says whether an attempt came with these credentials.
func (s *sink) authorized(credentials string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.credentials[credentials]
}
