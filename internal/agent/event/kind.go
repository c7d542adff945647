/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package event maps what was seen of one exchange to CloudEvents and those to
// their wire form. It is pure: values in, values out, no clock and no I/O.
package event

import (
	"slices"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TypePrefix begins the CloudEvents type of every event in the profile sidenote.
const TypePrefix = agentconfig.TypePrefix

// Side is one direction of an exchange, the tunnel that it became, the whole of
// one that may be part of a loop, or the agent that tells of itself.
type Side uint8

// The two directions, what has both, and what has neither.
const (
	Request Side = iota
	Response
	Tunnel
	Looped
	Agent
)

func (s Side) String() string {
	switch s {
	case Request:
		return "request"
	case Response:
		return "response"
	case Tunnel:
		return "tunnel"
	case Looped:
		return "loop"
	default:
		return "agent"
	}
}

func (s Side) plain() agentconfig.Kind { return agentconfig.Kind(s.String()) }

func (s Side) failure() agentconfig.Kind { return s.plain() + ".failure" }

func (s Side) oversize() agentconfig.Kind { return s.plain() + ".oversize" }

func (s Side) encoded() agentconfig.Kind { return s.plain() + ".encoded" }

// SideOf says what a kind tells of.
func SideOf(k agentconfig.Kind) Side {
	switch {
	case k == agentconfig.KindTunnel:
		return Tunnel
	case k == agentconfig.KindLoop:
		return Looped
	case k == agentconfig.KindLedger:
		return Agent
	case strings.HasPrefix(string(k), "request"):
		return Request
	default:
		return Response
	}
}

// Selection is the set of kinds that go out.
type Selection map[agentconfig.Kind]bool

// Select returns the kinds that are both listed and of a side that the mode
// wants. A tunnel and a loop are of both sides, and the agent of none.
func Select(mode agentconfig.Mode, kinds []agentconfig.Kind) Selection {
	selection := make(Selection, len(kinds))
	for _, kind := range kinds {
		if mode.Sends(kind) {
			selection[kind] = true
		}
	}
	return selection
}

// Kinds lists what is selected, in the order of Kinds.
func (s Selection) Kinds() []agentconfig.Kind {
	return slices.DeleteFunc(agentconfig.Kinds(), func(kind agentconfig.Kind) bool { return !s[kind] })
}

// Wants reports whether any kind of a side is selected.
func (s Selection) Wants(side Side) bool {
	for kind := range s {
		if SideOf(kind) == side {
			return true
		}
	}
	return false
}

// WantsFailure reports whether the failure of a side is selected.
func (s Selection) WantsFailure(side Side) bool { return s[side.failure()] }

// WantsPartial reports whether a kind of a side is selected that may go out
// without its whole body, so that the body's hash is wanted.
func (s Selection) WantsPartial(side Side) bool {
	return s[side.failure()] || s[side.oversize()]
}
