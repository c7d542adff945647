/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/exchange"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// enrichingSink adds attributes to each event, between its being built and its
// delivery. Every event is looked up on its own, so that no request and no other
// event waits. What bounds the events bounds the lookups: the agent's budget.
type enrichingSink struct {
	exchange.Sink
	lookup lookup
	group  sync.WaitGroup
}

// Accept takes an item over and never blocks.
func (s *enrichingSink) Accept(item *delivery.Item) func() {
	s.group.Go(func() {
		if err := s.enrich(item); err != nil {
			// Whoever measures misses the event.
			fmt.Fprintln(os.Stderr, "an event is lost:", err)
			item.Release()
			return
		}
		if attempt := s.Sink.Accept(item); attempt != nil {
			go attempt()
		}
	})
	return nil
}

func (s *enrichingSink) enrich(item *delivery.Item) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	attributes, err := s.lookup(ctx)
	if err != nil {
		return err
	}
	item.Event, err = withAttributes(item.Event, attributes)
	return err
}

// withAttributes returns an event with further attributes, by its stored form
// (internal/agent/event, stored.go), which spools have too and so seldom changes.
func withAttributes(e *event.Event, attributes []metadata.Attribute) (*event.Event, error) {
	stored, data := e.Stored(nil)
	count, err := extensionCount(stored)
	if err != nil {
		return nil, err
	}
	little := binary.LittleEndian
	little.PutUint16(count, little.Uint16(count)+uint16(len(attributes)))
	for _, attribute := range attributes {
		stored = appendText(stored, attribute.Name)
		stored = append(stored, 's')
		stored = appendText(stored, attribute.Value)
	}
	return event.ReadStored(append(stored, data...))
}

func appendText(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
}

// extensionCount returns the two bytes that count an event's extension attributes.
func extensionCount(stored []byte) ([]byte, error) {
	rest := stored
	skip := func(n int) {
		if n > len(rest) {
			n = len(rest)
		}
		rest = rest[n:]
	}
	skipText := func() {
		if len(rest) >= 4 {
			skip(4 + int(binary.LittleEndian.Uint32(rest)))
		}
	}
	skip(2) // The version and the content mode in use.
	for range 4 {
		skipText()
	}
	skip(12) // The time.
	for range 2 {
		present := len(rest) > 0 && rest[0] == 1
		skip(1)
		if present {
			skipText()
		}
	}
	if len(rest) < 2 {
		return nil, errors.New("the stored form of events is another than the enricher knows")
	}
	return rest[:2], nil
}
