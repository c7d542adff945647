/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package event maps what was seen of one exchange to CloudEvents and those to
// their wire form. It is pure: values in, values out, no clock and no I/O.
package event

import (
	"fmt"
	"slices"
	"strings"
)

// TypePrefix begins the CloudEvents type of every event of the agent.
const TypePrefix = "io.kubeflow.serving.inference."

// Kind is an event's type without TypePrefix, as --events names it.
type Kind string

// The kinds, as docs/event-contract.md defines them.
const (
	KindRequest          Kind = "request"
	KindResponse         Kind = "response"
	KindStream           Kind = "stream"
	KindRequestFailure   Kind = "request.failure"
	KindResponseFailure  Kind = "response.failure"
	KindRequestOversize  Kind = "request.oversize"
	KindResponseOversize Kind = "response.oversize"
	KindRequestEncoded   Kind = "request.encoded"
	KindResponseEncoded  Kind = "response.encoded"
	KindTunnel           Kind = "tunnel"
	KindLoop             Kind = "loop"
	KindLedger           Kind = "ledger"
)

// Kinds lists every kind there is.
func Kinds() []Kind {
	return []Kind{
		KindRequest, KindResponse, KindStream,
		KindRequestFailure, KindResponseFailure,
		KindRequestOversize, KindResponseOversize,
		KindRequestEncoded, KindResponseEncoded,
		KindTunnel, KindLoop, KindLedger,
	}
}

// DefaultKinds lists the kinds that go out where nobody chose any: those of
// complete exchanges. The oversize and encoded kinds are among them, because a
// large prediction would leave nothing without them, and loop, because a client
// could keep its exchange from the log. Those of half a body are not.
func DefaultKinds() []Kind {
	return []Kind{
		KindRequest, KindResponse, KindStream,
		KindRequestOversize, KindResponseOversize,
		KindRequestEncoded, KindResponseEncoded,
		KindLoop,
	}
}

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

func (s Side) plain() Kind { return Kind(s.String()) }

func (s Side) failure() Kind { return s.plain() + ".failure" }

func (s Side) oversize() Kind { return s.plain() + ".oversize" }

func (s Side) encoded() Kind { return s.plain() + ".encoded" }

// Side says what a kind tells of.
func (k Kind) Side() Side {
	switch {
	case k == KindTunnel:
		return Tunnel
	case k == KindLoop:
		return Looped
	case k == KindLedger:
		return Agent
	case strings.HasPrefix(string(k), "request"):
		return Request
	default:
		return Response
	}
}

// Mode says which sides of an exchange are wanted.
type Mode string

// The modes.
const (
	ModeAll      Mode = "all"
	ModeRequest  Mode = "request"
	ModeResponse Mode = "response"
)

// ParseMode reads a Mode.
func ParseMode(text string) (Mode, error) {
	switch mode := Mode(text); mode {
	case ModeAll, ModeRequest, ModeResponse:
		return mode, nil
	default:
		return "", fmt.Errorf("%q is no mode: write all, request or response", text)
	}
}

// Selection is the set of kinds that go out.
type Selection map[Kind]bool

// Select gives the kinds that are both listed and of a side that the mode
// wants. A tunnel and a loop are of both sides, and the agent of none.
func Select(mode Mode, kinds []Kind) Selection {
	selection := make(Selection, len(kinds))
	for _, kind := range kinds {
		side := kind.Side()
		if mode == ModeAll || side != Request && side != Response || string(mode) == side.String() {
			selection[kind] = true
		}
	}
	return selection
}

// Kinds lists what is selected, in the order of Kinds.
func (s Selection) Kinds() []Kind {
	return slices.DeleteFunc(Kinds(), func(kind Kind) bool { return !s[kind] })
}

// Wants says whether any kind of a side is selected.
func (s Selection) Wants(side Side) bool {
	for kind := range s {
		if kind.Side() == side {
			return true
		}
	}
	return false
}

// WantsFailure says whether the failure of a side is selected.
func (s Selection) WantsFailure(side Side) bool { return s[side.failure()] }

// WantsPartial says whether a kind of a side is selected that may go out
// without its whole body, so that the body's hash is wanted.
func (s Selection) WantsPartial(side Side) bool {
	return s[side.failure()] || s[side.oversize()]
}

// ParseKinds reads a comma-separated list of kinds.
func ParseKinds(text string) ([]Kind, error) {
	var kinds []Kind
	for name := range strings.SplitSeq(text, ",") {
		kind, err := parseKind(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// FormatKinds writes kinds as ParseKinds reads them.
func FormatKinds(kinds []Kind) string {
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		names = append(names, string(kind))
	}
	return strings.Join(names, ",")
}

func parseKind(name string) (Kind, error) {
	names := make([]string, 0, len(Kinds()))
	for _, kind := range Kinds() {
		if string(kind) == name {
			return kind, nil
		}
		names = append(names, string(kind))
	}
	return "", fmt.Errorf("%q is no event: write a comma-separated list of %s", name, strings.Join(names, ", "))
}
