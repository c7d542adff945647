/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"maps"
	"slices"
	"sync"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
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
	// answered says that the model began its answer.
	answered bool
}

// taken is an event that the sink answered by 2xx.
type taken struct {
	source, id, kind string
	exchange         string
	instance         string
	sequence         uint64
	// sum is of the data; of an event without its body, what it says itself.
	sum string
}

// side says which direction an event tells of.
func (e taken) side() side {
	if len(e.kind) >= len("request") && e.kind[:len("request")] == "request" {
		return request
	}
	return answer
}

// evidence is what a scenario leaves: three ledgers, and the agent's own.
type evidence struct {
	clients map[string]sent
	model   map[string]served
	sink    []taken
	// letters are what the dead letter sink took.
	letters []taken
	agent   ledger.Snapshot
	// sides are those that events were asked for.
	sides []side
}

func (e evidence) clone() evidence {
	e.clients = maps.Clone(e.clients)
	e.model = maps.Clone(e.model)
	e.sink = slices.Clone(e.sink)
	e.letters = slices.Clone(e.letters)
	e.agent.Dropped = maps.Clone(e.agent.Dropped)
	return e
}

// arrivals are the events that came to either sink.
func (e evidence) arrivals() []taken { return slices.Concat(e.sink, e.letters) }

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
