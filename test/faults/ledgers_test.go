/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"maps"
	"slices"
	"sync"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

// sent is an exchange as its client saw it.
type sent struct {
	// whole says that the client sent all and got all: a 200 and every byte.
	whole  bool
	err    string
	status int
	header map[string][]string
	sum    string
}

// served is an exchange as the model saw it.
type served struct {
	// intact says that the request's body was the client's.
	intact bool
	// responded says that the model began its response.
	responded bool
}

// taken is an event to which the sink responded with 2xx.
type taken struct {
	source, id, kind string
	exchange         string
	instance         string
	sequence         uint64
	// sum is of the data; of an event without its body, what it says itself.
	sum string
}

// told is a ledger event to which a sink responded with 2xx.
type told struct {
	event taken
	says  ledger.Statement
	// letter says that the dead letter sink took it.
	letter bool
}

// side says which direction an event tells of.
func (e taken) side() side {
	if len(e.kind) >= len("request") && e.kind[:len("request")] == "request" {
		return request
	}
	return response
}

// evidence is what a scenario leaves: three ledgers, and the agent's own.
type evidence struct {
	clients map[string]sent
	model   map[string]served
	sink    []taken
	// letters are what the dead letter sink took.
	letters []taken
	// statements are the ledger events that either sink took, in order of their
	// arrival.
	statements []told
	// agent is the agent's ledger: from a ledger event, or from /status.
	agent ledger.Snapshot
	// skipped are the skipped events of that ledger event, by kind.
	skipped map[string]uint64
	// sides are those that events were asked for.
	sides []side
}

func (e evidence) clone() evidence {
	e.clients = maps.Clone(e.clients)
	e.model = maps.Clone(e.model)
	e.sink = slices.Clone(e.sink)
	e.letters = slices.Clone(e.letters)
	e.statements = slices.Clone(e.statements)
	e.agent.Dropped = maps.Clone(e.agent.Dropped)
	e.skipped = maps.Clone(e.skipped)
	return e
}

// heard returns the evidence with the agent's ledger as a statement has it that
// was made when every other event had its fate. The statement counts itself as
// pending, but a sink has it. There is none where events were observed since.
func (e evidence) heard(observed uint64) (evidence, bool) {
	for _, statement := range e.statements {
		says := statement.says
		if says.Observed != observed || says.Pending != 1 {
			continue
		}
		// A statement doesn't tell how often the agent tried again.
		e.agent = ledger.Snapshot{
			Counts: ledger.Counts{Observed: says.Observed, Recovered: says.Recovered, Delivered: says.Delivered, Dropped: says.Dropped, DeadLettered: says.DeadLettered}, Retried: e.agent.Retried,
		}
		if statement.letter {
			e.agent.DeadLettered++
		} else {
			e.agent.Delivered++
		}
		e.skipped = says.SkippedEvents
		return e, true
	}
	return e, false
}

// arrivals are the events that came to either sink.
func (e evidence) arrivals() []taken { return slices.Concat(e.sink, e.letters) }

// everything are the events that came to either sink, with the ledger events.
func (e evidence) everything() []taken {
	all := e.arrivals()
	for _, statement := range e.statements {
		all = append(all, statement.event)
	}
	return all
}

// statementsOf counts the ledger events that one of the sinks took.
func (e evidence) statementsOf(letters bool) uint64 {
	var events []taken
	for _, statement := range e.statements {
		if statement.letter == letters {
			events = append(events, statement.event)
		}
	}
	return uint64(len(byID(events)))
}

// book is a ledger for several goroutines.
type book[T any] struct {
	mu      sync.Mutex
	entries map[string]T
}

func (b *book[T]) set(id string, change func(*T)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries == nil {
		b.entries = make(map[string]T)
	}
	entry := b.entries[id]
	change(&entry)
	b.entries[id] = entry
}

func (b *book[T]) copy() map[string]T {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.entries)
}
