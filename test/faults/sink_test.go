/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// reply is a sink's response to an attempt.
type reply struct {
	status int
	header http.Header
	body   []byte
}

var accepted = reply{status: http.StatusAccepted}

// sink keeps a ledger of the events that it took.
type sink struct {
	*agenttest.Sink
	t *testing.T

	mu    sync.Mutex
	taken []taken
	// statements are the ledger events among what it took.
	statements []told
	// credentials are the Authorization headers that came.
	credentials map[string]bool
	// heard is every request as it came, head and body, where heeds says so.
	heeds bool
	heard []string
}

func newSink(t *testing.T, options ...agenttest.SinkOption) *sink {
	s := &sink{t: t, credentials: make(map[string]bool)}
	s.Sink = agenttest.NewSink(t, append(options, agenttest.Keeping(s.take))...)
	s.responding(nil)
	return s
}

// responding sets the replies: response gives the one to the nth attempt, from 1,
// to deliver an event. It is never called twice at once.
func (s *sink) responding(response func(n int) reply) {
	s.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, r *http.Request) {
		given := accepted
		s.mu.Lock()
		if s.heeds {
			body, _ := io.ReadAll(r.Body)
			s.heard = append(s.heard, fmt.Sprintf("%s %s %v %v\n%s", r.Method, r.RequestURI, r.Header, r.Trailer, body))
		}
		s.credentials[r.Header.Get("Authorization")] = true
		if response != nil {
			given = response(attempt.Try)
		}
		s.mu.Unlock()
		maps.Copy(w.Header(), given.header)
		w.WriteHeader(given.status)
		_, _ = w.Write(given.body)
	})
}

// take puts an event, or what a ledger event states, into the ledger.
func (s *sink) take(e agenttest.Event) {
	sequence, err := strconv.ParseUint(e.Attribute("agentsequence"), 10, 64)
	if err != nil {
		s.t.Errorf("an event's agentsequence: %v", err)
	}
	event := taken{
		source:   e.Source(),
		id:       e.ID(),
		kind:     e.Kind(),
		exchange: e.Attribute("clientrequestid"),
		instance: e.Attribute("agentinstance"),
		sequence: sequence,
		sum:      sum(e.Data()),
	}
	if strings.HasSuffix(event.kind, ".oversize") {
		event.sum = e.Attribute("bodysha256")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if event.kind != "ledger" {
		s.taken = append(s.taken, event)
		return
	}
	var says ledger.Statement
	if err := e.DataAs(&says); err != nil {
		s.t.Errorf("a ledger event's statement: %v", err)
	}
	s.statements = append(s.statements, told{event: event, says: says})
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

// authorized says whether an attempt came with these credentials.
func (s *sink) authorized(credentials string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.credentials[credentials]
}
