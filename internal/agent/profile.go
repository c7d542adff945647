/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/exchange"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// inProfiles gives each sink its events in its profile.
func inProfiles(given *agentconfig.Config, sinks []exchange.Sink) []exchange.Sink {
	for i, sink := range sinks {
		if profile := given.Sinks[i].Profile; profile == agentconfig.ProfileKServe {
			sinks[i] = profiledSink{Sink: sink, profile: profile}
		}
	}
	return sinks
}

// selectionOf returns the kinds that an agent of one sink sends.
func selectionOf(given *agentconfig.Config) event.Selection {
	if len(given.Sinks) == 1 {
		return event.Select(given.Sinks[0].Mode, given.Sinks[0].Events)
	}
	return event.Select(given.Mode, given.Events)
}

type profiledSink struct {
	exchange.Sink
	profile agentconfig.Profile
}

func (s profiledSink) Accept(item *delivery.Item) (attempt func()) {
	converted, err := item.Event.As(s.profile)
	if err != nil {
		s.Account().Drop(ledger.ReasonInvalid)
		item.Release()
		return nil
	}
	item.Event = converted
	return s.Sink.Accept(item)
}
