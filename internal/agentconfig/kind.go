/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is an event's type without its prefix, as --events names it.
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

// DefaultKinds lists the kinds that are sent by default: those of complete
// exchanges. The oversize and encoded kinds are among them, because a large
// prediction would leave nothing without them, and loop, because a client
// could keep its exchange from the log. Those of half a body are not.
func DefaultKinds() []Kind {
	return slices.DeleteFunc(Kinds(), func(kind Kind) bool {
		return kind == KindRequestFailure || kind == KindResponseFailure || kind == KindTunnel || kind == KindLedger
	})
}

// ParseKind reads a Kind.
func ParseKind(text string) (Kind, error) { return parseOneOf("event", text, Kinds()) }

// ParseKinds reads a comma-separated list of kinds.
func ParseKinds(text string) ([]Kind, error) {
	var kinds []Kind
	for name := range strings.SplitSeq(text, ",") {
		kind, err := ParseKind(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// FormatKinds writes kinds as ParseKinds reads them.
func FormatKinds(kinds []Kind) string { return join(kinds, ",") }

// Mode says which sides of an exchange are sent.
type Mode string

// The modes.
const (
	ModeAll      Mode = "all"
	ModeRequest  Mode = "request"
	ModeResponse Mode = "response"
)

// Sends reports whether a mode sends events of a kind. Tunnels, loops and ledger
// events belong to no side of an exchange: every mode sends them.
func (m Mode) Sends(kind Kind) bool {
	switch side, _, _ := strings.Cut(string(kind), "."); side {
	case string(KindRequest):
		return m != ModeResponse
	case string(KindResponse), string(KindStream):
		return m != ModeRequest
	default:
		return true
	}
}

// Modes lists the modes.
func Modes() []Mode { return []Mode{ModeAll, ModeRequest, ModeResponse} }

// Profile says which types, ids and attributes events have.
type Profile string

// The profiles.
const (
	ProfileSidenote Profile = "sidenote"
	ProfileKServe   Profile = "kserve"
)

// Profiles lists the profiles.
func Profiles() []Profile { return []Profile{ProfileSidenote, ProfileKServe} }

// The prefixes of the types of events.
const (
	TypePrefix       = "io.kubeflow.serving.inference."
	KServeTypePrefix = "org.kubeflow.serving.inference."
)

// Reshapes reports whether events of a kind have another form in the profile than in
// the profile sidenote.
func (p Profile) Reshapes(kind Kind) bool {
	return p == ProfileKServe && (kind == KindRequest || kind == KindResponse)
}

// Type is the CloudEvents type of a kind in the profile.
func (p Profile) Type(kind Kind) string {
	if p.Reshapes(kind) {
		return KServeTypePrefix + string(kind)
	}
	return TypePrefix + string(kind)
}

// DefaultKinds lists the kinds that are sent by default in a profile. Subscribers
// of KServe's logger take each body for a complete one, and most of them for JSON:
// they get what KServe's logger sends, a request and a response.
func (p Profile) DefaultKinds() []Kind {
	if p == ProfileKServe {
		return []Kind{KindRequest, KindResponse}
	}
	return DefaultKinds()
}

// Streams says which data a stream event has.
type Streams string

// The data of a stream event: the frames as the model sent them, or the merged
// response.
const (
	StreamFrames Streams = "frames"
	StreamMerged Streams = "merged"
)

// StreamForms lists the forms of a stream event's data.
func StreamForms() []Streams { return []Streams{StreamFrames, StreamMerged} }

// ContentMode says how an event goes into an HTTP message (CloudEvents HTTP
// protocol binding, section 3).
type ContentMode string

// The content modes. Auto is binary, but structured where a header can't
// carry an attribute unchanged.
const (
	ContentModeAuto       ContentMode = "auto"
	ContentModeBinary     ContentMode = "binary"
	ContentModeStructured ContentMode = "structured"
)

// ParseContentMode reads a ContentMode.
func ParseContentMode(text string) (ContentMode, error) {
	return parseOneOf("content mode", text, ContentModes())
}

// ContentModes lists the content modes.
func ContentModes() []ContentMode {
	return []ContentMode{ContentModeAuto, ContentModeBinary, ContentModeStructured}
}

func parseOneOf[V ~string](what, text string, values []V) (V, error) {
	if value := V(text); slices.Contains(values, value) {
		return value, nil
	}
	return "", fmt.Errorf("invalid %s %q: must be one of %s", what, text, join(values, ", "))
}

func join[V ~string](values []V, separator string) string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		texts = append(texts, string(value))
	}
	return strings.Join(texts, separator)
}
