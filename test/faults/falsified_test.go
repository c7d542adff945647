/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

// sound is evidence that every property holds for: five exchanges, one event
// lost to the budget, one that came twice.
func sound() evidence {
	e := evidence{
		clients: make(map[string]sent),
		model:   make(map[string]served),
		sides:   []side{request, response},
		agent:   ledger.Snapshot{Counts: ledger.Counts{Observed: 10, Delivered: 9, Dropped: map[ledger.Reason]uint64{ledger.ReasonBudget: 1}}},
	}
	for n := range uint64(5) {
		planned := small().plan
		planned.run, planned.number = "sound", n
		id := planned.id()
		e.clients[id] = sent{whole: true, status: 200, sum: sum(planned.body(response)), header: map[string][]string{"A": {"b"}}}
		e.model[id] = served{intact: true, responded: true}
		for i, s := range e.sides {
			e.sink = append(e.sink, taken{
				source: "m", id: id + string(s), kind: map[side]string{request: "request", response: "response"}[s],
				exchange: id, instance: "one", sequence: 2*n + uint64(i) + 1, sum: sum(planned.body(s)),
			})
		}
	}
	e.sink = append(e.sink[:9], e.sink[3])
	return e
}

// stated is sound evidence with two ledger events, the second of which a dead
// letter sink has, and two exchanges that their clients broke off: one within
// its request, one within its response.
func stated() evidence {
	e := sound()
	says := func(sequence, delivered uint64) ledger.Statement {
		return ledger.Statement{
			AgentInstance: "one", Sequence: sequence, Counts: ledger.Counts{Observed: sequence, Delivered: delivered, Pending: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonBudget: 1}},
			SkippedEvents: map[string]uint64{"request.failure": 1, "response.failure": 1},
		}
	}
	for n := range uint64(2) {
		planned := small().plan
		planned.run, planned.number = "broken", n
		e.clients[planned.id()] = sent{err: "broken off"}
		e.model[planned.id()] = served{intact: n == 1, responded: true}
		if n == 1 {
			e.sink = append(e.sink, taken{
				source: "m", id: planned.id(), kind: "request", exchange: planned.id(), instance: "one", sequence: 12, sum: sum(planned.body(request)),
			})
		}
	}
	first, second := says(11, 9), says(13, 11)
	first.SkippedEvents = nil
	second.SkippedEvents["response.failure"] = 2
	e.statements = []told{
		{event: taken{source: "m", id: "first", kind: "ledger", instance: "one", sequence: 11, sum: "1"}, says: first},
		{event: taken{source: "m", id: "second", kind: "ledger", instance: "one", sequence: 13, sum: "2"}, says: second, letter: true},
	}
	heard, _ := e.heard(13)
	return heard
}

// TestPropertiesDetectFalseLedgerEvents by the properties that a ledger event takes part
// in.
func TestPropertiesDetectFalseLedgerEvents(t *testing.T) {
	properties := map[string]property{
		"theLawHolds": theLawHolds, "nothingIsUnexpected": nothingIsUnexpected, "theLedgerIsTrue": theLedgerIsTrue,
		"everyBodyIsTheirs": everyBodyIsTheirs, "aDuplicateIsTheSame": aDuplicateIsTheSame,
		"statementsAreTrue": statementsAreTrue, "lossesAreCountable": lossesAreCountable, "skipsAreCountable": skipsAreCountable,
	}
	for name, property := range properties {
		if err := property(stated()); err != nil {
			t.Errorf("%s, of sound evidence: %v", name, err)
		}
	}
	if got := stated().agent; got.Observed != 13 || got.Delivered != 11 || got.DeadLettered != 1 || got.Pending != 0 {
		t.Errorf("the ledger is %+v", got)
	}
	for _, test := range []struct {
		name    string
		falsify func(e *evidence, last *ledger.Statement)
		by      string
	}{
		{"one more is delivered", func(_ *evidence, last *ledger.Statement) { last.Delivered++ }, "statementsAreTrue"},
		{"one more is delivered, and the law holds", func(_ *evidence, last *ledger.Statement) { last.Delivered++; last.Dropped = nil }, "statementsAreTrue"},
		{"a reason is left out", func(_ *evidence, last *ledger.Statement) { last.Dropped = nil }, "statementsAreTrue"},
		{"a drop is called pending", func(_ *evidence, last *ledger.Statement) { last.Dropped = nil; last.Pending++ }, "statementsAreTrue"},
		{"another place", func(_ *evidence, last *ledger.Statement) { last.Sequence-- }, "statementsAreTrue"},
		{"another agent", func(_ *evidence, last *ledger.Statement) { last.AgentInstance = "two" }, "statementsAreTrue"},
		{"a skip is taken back", func(e *evidence, last *ledger.Statement) {
			e.statements[0].says.SkippedEvents = map[string]uint64{"request": 1}
		}, "statementsAreTrue"},
		{"an event is missing that it calls delivered", func(e *evidence, _ *ledger.Statement) { e.sink = e.sink[1:] }, "statementsAreTrue"},
		{"a kind is not counted", func(e *evidence, _ *ledger.Statement) { delete(e.skipped, "request.failure") }, "skipsAreCountable"},
		{"a skip too many", func(e *evidence, _ *ledger.Statement) { e.skipped["response"]++ }, "skipsAreCountable"},
		{"a skip too few", func(e *evidence, _ *ledger.Statement) { e.skipped["response.failure"]-- }, "skipsAreCountable"},
		{"a loss called a skip", func(e *evidence, _ *ledger.Statement) { e.skipped["response"]++; e.agent.Dropped = nil }, "skipsAreCountable"},
		{"a ledger event is not there", func(e *evidence, _ *ledger.Statement) { e.statements = e.statements[1:] }, "lossesAreCountable"},
		{"the ledger event of a dead letter sink is not there", func(e *evidence, _ *ledger.Statement) { e.statements = e.statements[:1] }, "theLedgerIsTrue"},
		{"two ledger events of one id", func(e *evidence, _ *ledger.Statement) { e.statements[1].event.id = "first" }, "aDuplicateIsTheSame"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := stated().clone()
			test.falsify(&e, &e.statements[1].says)
			if properties[test.by](e) == nil {
				t.Errorf("%s does not see it", test.by)
			}
		})
	}
}

// TestPropertiesDetectFalseEvidence: each falsification of the evidence breaks a property,
// and none is broken without one.
func TestPropertiesDetectFalseEvidence(t *testing.T) {
	for _, property := range append(always(), lossesAreCountable, arrived(sound().sink[0].exchange)) {
		if err := property(sound()); err != nil {
			t.Errorf("of sound evidence: %v", err)
		}
	}
	first := sound().sink[0].exchange
	for _, test := range []struct {
		name    string
		falsify func(*evidence)
		caughtBy
	}{
		{"an event is dropped silently", func(e *evidence) { e.sink = e.sink[1:9] }, caughtBy{"theLedgerIsTrue", theLedgerIsTrue}},
		{"and its gap is seen", func(e *evidence) { e.sink = e.sink[1:9] }, caughtBy{"lossesAreCountable", lossesAreCountable}},
		{"an event is dropped, and called delivered", func(e *evidence) { e.agent.Delivered, e.agent.Dropped = 10, nil }, caughtBy{"theLedgerIsTrue", theLedgerIsTrue}},
		{"an exchange is not observed at all", func(e *evidence) {
			e.sink = e.sink[2:9]
			e.agent = ledger.Snapshot{Counts: ledger.Counts{Observed: 8, Delivered: 7, Dropped: e.agent.Dropped}}
		}, caughtBy{"theLedgerIsTrue", theLedgerIsTrue}},
		{"observed is off by one", func(e *evidence) { e.agent.Observed++ }, caughtBy{"theLawHolds", theLawHolds}},
		{"delivered is off by one", func(e *evidence) { e.agent.Delivered-- }, caughtBy{"theLawHolds", theLawHolds}},
		{"dropped is off by one", func(e *evidence) { e.agent.Dropped[ledger.ReasonBudget]++ }, caughtBy{"theLawHolds", theLawHolds}},
		{"pending is off by one", func(e *evidence) { e.agent.Pending++ }, caughtBy{"theLawHolds", theLawHolds}},
		{"an event of nobody", func(e *evidence) { e.sink[0].exchange = "x.1.unary.1.1" }, caughtBy{"nothingIsUnexpected", nothingIsUnexpected}},
		{"a response that the model never gave", func(e *evidence) { delete(e.model, first) }, caughtBy{"nothingIsUnexpected", nothingIsUnexpected}},
		{"an event of a side that nobody wants", func(e *evidence) { e.sides = []side{response} }, caughtBy{"nothingIsUnexpected", nothingIsUnexpected}},
		{"a body is flipped", func(e *evidence) { e.sink[4].sum = sum([]byte("x")) }, caughtBy{"everyBodyIsTheirs", everyBodyIsTheirs}},
		{"two bodies are exchanged", func(e *evidence) { e.sink[0].sum, e.sink[1].sum = e.sink[1].sum, e.sink[0].sum }, caughtBy{"everyBodyIsTheirs", everyBodyIsTheirs}},
		{"the model got another body", func(e *evidence) { e.model[first] = served{responded: true} }, caughtBy{"everyBodyIsTheirs", everyBodyIsTheirs}},
		{"a duplicate has another id", func(e *evidence) { e.sink[9].id = "other" }, caughtBy{"aDuplicateIsTheSame", aDuplicateIsTheSame}},
		{"a duplicate has another source", func(e *evidence) { e.sink[9].source = "other" }, caughtBy{"aDuplicateIsTheSame", aDuplicateIsTheSame}},
		{"a duplicate has another place", func(e *evidence) { e.sink[9].sequence = 10 }, caughtBy{"aDuplicateIsTheSame", aDuplicateIsTheSame}},
		{"two events have one id", func(e *evidence) { e.sink[1].id = e.sink[0].id }, caughtBy{"aDuplicateIsTheSame", aDuplicateIsTheSame}},
		{"a dead letter is not there", func(e *evidence) { e.agent.Delivered, e.agent.DeadLettered = 8, 1 }, caughtBy{"theLedgerIsTrue", theLedgerIsTrue}},
		{"a dead letter of nobody", func(e *evidence) { e.letters = []taken{{exchange: "x.1.unary.1.1"}} }, caughtBy{"nothingIsUnexpected", nothingIsUnexpected}},
		{"a dead letter with another body", func(e *evidence) { e.letters = e.sink[:1]; e.letters[0].sum = "x" }, caughtBy{"everyBodyIsTheirs", everyBodyIsTheirs}},
		{"a dead letter that is another event", func(e *evidence) { e.letters = slices.Clone(e.sink[:1]); e.letters[0].id = "x" }, caughtBy{"aDuplicateIsTheSame", aDuplicateIsTheSame}},
		{"an event never arrives", func(e *evidence) { e.sink = e.sink[1:] }, caughtBy{"arrived", arrived(first)}},
		{"a client got an error", func(e *evidence) { e.clients[first] = sent{status: 502} }, caughtBy{"everyClientWasServed", everyClientWasServed}},
		{"two events have one place", func(e *evidence) { e.sink[0].sequence = 2 }, caughtBy{"lossesAreCountable", lossesAreCountable}},
		{"an event has no place", func(e *evidence) { e.sink[0].sequence = 0 }, caughtBy{"lossesAreCountable", lossesAreCountable}},
		{"an agent has two names", func(e *evidence) { e.sink[0].instance = "two" }, caughtBy{"lossesAreCountable", lossesAreCountable}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := sound().clone()
			test.falsify(&e)
			if test.property(e) == nil {
				t.Errorf("%s does not see it", test.by)
			}
		})
	}
}

type caughtBy struct {
	by       string
	property property
}

// TestOtherPropertiesCanFail: those over something else than the ledgers.
func TestOtherPropertiesCanFail(t *testing.T) {
	first := sound().sink[0].exchange
	changed := func(change func(*sent)) error {
		other := maps.Clone(sound().clients)
		entry := other[first]
		change(&entry)
		other[first] = entry
		return sameForClients(sound().clients, other)
	}
	none := errors.New("none")
	for name, err := range map[string]error{
		"same responses":       invert(changed(func(*sent) {}), none),
		"another Date":         invert(changed(func(s *sent) { s.header = map[string][]string{"A": {"b"}, "Date": {"x"}} }), none),
		"another status":       changed(func(s *sent) { s.status = 502 }),
		"another header":       changed(func(s *sent) { s.header = map[string][]string{"A": {"c"}} }),
		"another body":         changed(func(s *sent) { s.sum = "x" }),
		"fewer exchanges":      sameForClients(sound().clients, nil),
		"within bounds":        invert(isBounded(usage{1, 20, 20}, usage{1, 30, 30}, 100, 100), none),
		"too much memory":      isBounded(usage{}, usage{}, 101, 100),
		"a leak of sockets":    isBounded(usage{1, 20, 20}, usage{1, 31, 20}, 1, 100),
		"a leak of goroutines": isBounded(usage{1, 20, 20}, usage{1, 20, 31}, 1, 100),
		"no canary":            invert(keepsSecrets([]string{"canary"}, map[string]string{"log": "can"}), none),
		"a canary in base64":   keepsSecrets([]string{"canary"}, map[string]string{"log": base64.StdEncoding.EncodeToString([]byte("x=canary!"))}),
		"a canary, escaped":    keepsSecrets([]string{"canary"}, map[string]string{"log": "/%63%61%6e%61%72%79"}),
		"a canary in digits":   keepsSecrets([]string{"canary"}, map[string]string{"log": hex.EncodeToString([]byte("a canary"))}),
		"a canary":             keepsSecrets([]string{"other", "canary"}, map[string]string{"log": "a canary!"}),
	} {
		if err == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}

// invert returns nil where there is an error, and none where there isn't.
func invert(err, none error) error {
	if err != nil {
		return nil
	}
	return none
}
