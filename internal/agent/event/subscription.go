/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/eventfilter"
)

// Subscription says which events a sink gets, and in which form.
type Subscription struct {
	// Selection is of the kinds in the sink's events and on the sides of Mode.
	Mode      agentconfig.Mode
	Selection Selection
	// Filter is nil where every event of these kinds passes.
	Filter *eventfilter.Filter
	// Profile is the form of the events. Empty is ProfileSidenote.
	Profile agentconfig.Profile
}

// SubscriptionOf returns the subscription of a sink.
func SubscriptionOf(sink *agentconfig.Sink) (Subscription, error) {
	s := Subscription{Mode: sink.Mode, Selection: Select(sink.Mode, sink.Events), Profile: sink.Profile}
	if sink.Filter != "" {
		var err error
		if s.Filter, err = eventfilter.Compile(sink.Filter); err != nil {
			return Subscription{}, fmt.Errorf("argument filter: %w", err)
		}
	}
	return s, nil
}

// Passes reports whether the filter lets an event of a selected kind through. It
// judges the event as it is before the profile.
func (s *Subscription) Passes(e *Event) bool { return s.Filter == nil || s.Filter.Matches(e) }

// Reshapes reports whether the sink gets events in another form than the agent's
// own.
func (s *Subscription) Reshapes() bool {
	return s.Profile != "" && s.Profile != agentconfig.ProfileSidenote
}

// Union returns the kinds that are in at least one of the subscriptions.
func Union(subscriptions []Subscription) Selection {
	union := make(Selection)
	for i := range subscriptions {
		for kind := range subscriptions[i].Selection {
			union[kind] = true
		}
	}
	return union
}

// Attribute returns an attribute as a string, and whether the event has it. The
// agentsequence isn't among them, because a sink's filter comes before it.
func (e *Event) Attribute(name string) (value string, found bool) {
	switch name {
	case "specversion":
		return specVersion, true
	case "id":
		return e.id, true
	case "source":
		return e.source, true
	case "type":
		return TypePrefix + string(e.Kind), true
	case "time":
		return e.at.Format(time.RFC3339Nano), true
	case "subject":
		return e.subject, e.subject != ""
	case "datacontenttype":
		return e.contentType, e.contentType != ""
	}
	if value, found = e.own.lookup(name); !found {
		value, found = e.shared.extensions.lookup(name)
	}
	return value, found
}

// Attributes returns each attribute that Attribute finds.
func (e *Event) Attributes() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, name := range []string{"specversion", "id", "source", "type", "time", "subject", "datacontenttype"} {
			if value, found := e.Attribute(name); found && !yield(name, value) {
				return
			}
		}
		for extension := range e.extensions() {
			if !yield(extension.name, extension.value()) {
				return
			}
		}
	}
}

// value returns the extension as a header has it.
func (e *extension) value() string {
	if e.integer {
		return strconv.FormatInt(int64(e.number), 10)
	}
	return e.text
}
