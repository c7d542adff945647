/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// T is what a step needs of a test. Both testing.T and reconciler-test's feature.T
// have it.
type T interface {
	Errorf(format string, arguments ...any)
	Fatalf(format string, arguments ...any)
	Logf(format string, arguments ...any)
	Cleanup(func())
}

// Step checks some statements of the contract.
type Step struct {
	Name string
	// Statements are the sentences and rows of the contract that the step checks.
	Statements []string
	// Logger configures the agent of Run.
	Logger Logger
	// Run uses an agent that other steps use at the same time.
	Run func(s *Stage)
	// Beside says why Run can't be run through a cluster. It is empty if it can.
	Beside string
	// Alone runs with agents of its own, and never on a cluster: it restarts an agent,
	// reads its admin port, or sees its requests to the sink.
	Alone func(t *testing.T, start Start)
}

// Start runs the agent under test in front of the test model.
type Start func(t testing.TB, options ...agenttest.Option) *agenttest.Rig

// Place is where an agent with one logger runs.
type Place interface {
	// URL is the model's, without a path.
	URL() string
	// Client speaks HTTP/1.1 or HTTP/2 to it, as its argument says.
	Client(protocol string) *http.Client
	// Speaks says whether the protocol reaches the agent as it is.
	Speaks(protocol string) bool
	// Dial connects to it.
	Dial(ctx context.Context) (net.Conn, error)
	// Received are the agent's events that the subscriber got so far.
	Received() []agenttest.Event
	// AsReceived is how the subscriber shows data: a recorder may keep it as text.
	AsReceived(data string) string
	// Await calls check until it gives no error.
	Await(t T, what string, check func() error)
	// RecordsSlowly says that the subscriber takes few events a second. Then only an
	// exchange that should give no event is followed by another one, after which none
	// may be there.
	RecordsSlowly() bool
	// Identity are attributes that every event has.
	Identity() map[string]string
}

// Stage is a place with one step's test.
type Stage struct {
	T
	Place
	Logger Logger
	Ctx    context.Context
}

// ofExchange are the events that arrived of an exchange.
func (s *Stage) ofExchange(id string) []agenttest.Event {
	var found []agenttest.Event
	for _, e := range s.Received() {
		if e.Attribute("clientrequestid") == id {
			found = append(found, e)
		}
	}
	return found
}

// events returns the events of an exchange by their kind. There must be exactly one of
// each of the kinds, and no other.
func (s *Stage) events(x exchange, kinds ...string) map[string]agenttest.Event {
	thorough := len(kinds) == 0 || !s.RecordsSlowly()
	var before agenttest.Event
	if thorough {
		before = s.mark()
	}
	id := uuid.NewString()
	if x.header == nil {
		x.header = make(http.Header)
	} else {
		x.header = x.header.Clone()
	}
	x.header.Set("X-Request-Id", id)
	x.play(s)
	s.Await(s.T, fmt.Sprintf("events of the kinds %v", kinds), func() error {
		for _, kind := range kinds {
			if !slices.ContainsFunc(s.ofExchange(id), func(e agenttest.Event) bool { return e.Kind() == kind }) {
				return fmt.Errorf("there is none of %s among %v", kind, kindsOf(s.ofExchange(id)))
			}
		}
		return nil
	})
	if thorough {
		s.settle(before, s.mark())
	}
	found := make(map[string]agenttest.Event)
	for _, e := range s.ofExchange(id) {
		found[e.Kind()] = e
	}
	if got := kindsOf(s.ofExchange(id)); len(got) != len(kinds) {
		s.Errorf("an exchange gave events of the kinds %v, want %v", got, kinds)
	}
	return found
}

func kindsOf(events []agenttest.Event) []string {
	kinds := make([]string, 0, len(events))
	for _, e := range events {
		kinds = append(kinds, e.Kind())
	}
	return kinds
}

// mark makes a prediction, or an exchange that fails where chance selects predictions,
// and returns an event of it: a place in the agent's sequence.
func (s *Stage) mark() agenttest.Event {
	id := uuid.NewString()
	x := exchange{request: jsonBody(instances), header: http.Header{"X-Request-Id": {id}}, predicts: true}
	if s.Logger.NoModel {
		x.badGateway, x.status = true, http.StatusBadGateway
	}
	if s.Logger.Sampling != nil {
		// Chance doesn't decide on a failure that is kept.
		x.predicts, x.status = false, http.StatusInternalServerError
	}
	x.play(s)
	var found agenttest.Event
	s.Await(s.T, "an event of a prediction", func() error {
		for _, e := range s.ofExchange(id) {
			if e.Kind() == s.Logger.sentinel() {
				found = e
				return nil
			}
		}
		return fmt.Errorf("there is none")
	})
	return found
}

// settle waits until every event between two of the same agent has arrived: a gap in
// agentsequence would be a loss.
func (s *Stage) settle(from, to agenttest.Event) {
	instance := from.Attribute("agentinstance")
	if instance != to.Attribute("agentinstance") {
		s.Fatalf("the agent was started anew during the step")
	}
	s.Await(s.T, "every event of the agent's sequence", func() error {
		seen := make(map[int]bool)
		for _, e := range s.Received() {
			if e.Attribute("agentinstance") == instance {
				seen[sequenceOf(e)] = true
			}
		}
		for i := sequenceOf(from); i <= sequenceOf(to); i++ {
			if !seen[i] {
				return fmt.Errorf("number %d of %s is missing", i, instance)
			}
		}
		return nil
	})
}

func sequenceOf(e agenttest.Event) int {
	number, err := strconv.Atoi(e.Attribute("agentsequence"))
	if err != nil {
		return -1
	}
	return number
}

// expect compares what an event has.
func (s *Stage) expect(what, got, want string) {
	if got != want {
		s.Errorf("%s is %.200q, want %.200q", what, got, want)
	}
}

// host is the Host of the place.
func (s *Stage) host() string { return strings.TrimPrefix(s.URL(), "http://") }
