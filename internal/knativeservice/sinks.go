/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// AppliedPair is a sink in a template and its dead letter sink.
type AppliedPair struct {
	// Name is unique among the sinks of a template.
	Name string `json:"name"`
	// Sink is nil if the template has no such destination. Its events are counted as
	// dropped.
	Sink *AppliedSink `json:"sink,omitempty"`
	// DeadLetterSink is the destination of events that the sink refuses. If it is
	// nil, they are counted as dropped.
	DeadLetterSink *AppliedSink `json:"deadLetterSink,omitempty"`
}

// Pair returns the sink of a name, or one without destinations.
func (a Applied) Pair(name string) AppliedPair {
	if i := slices.IndexFunc(a.Sinks, func(p AppliedPair) bool { return p.Name == name }); i >= 0 {
		return a.Sinks[i]
	}
	return AppliedPair{Name: name}
}

// sinkRecord is the form of sinks in a record. Names are kept once released.
type sinkRecord struct {
	// Sink and DeadLetterSink are those of one sink that has the default name. A
	// release that knows no other reads them, too.
	Sink           *AppliedSink `json:"sink,omitempty"`
	DeadLetterSink *AppliedSink `json:"deadLetterSink,omitempty"`
	// Sinks are those of any other list.
	Sinks []AppliedPair `json:"sinks,omitempty"`
}

// MarshalJSON writes the record of one sink with the default name as releases
// before there were several sinks did, so that it holds also for them.
func (a Applied) MarshalJSON() ([]byte, error) {
	type others Applied
	record := struct {
		others
		sinkRecord
	}{others: others(a)}
	if len(a.Sinks) == 1 && a.Sinks[0].Name == v1beta1.DefaultSinkName {
		record.Sink, record.DeadLetterSink = a.Sinks[0].Sink, a.Sinks[0].DeadLetterSink
	} else {
		record.sinkRecord.Sinks = a.Sinks
	}
	return json.Marshal(record)
}

// UnmarshalJSON reads a record of this release or of an earlier one.
func (a *Applied) UnmarshalJSON(data []byte) error {
	type others Applied
	var record struct {
		others
		sinkRecord
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return err
	}
	*a = Applied(record.others)
	a.Sinks = record.sinkRecord.Sinks
	if record.Sink != nil || record.DeadLetterSink != nil {
		a.Sinks = []AppliedPair{{v1beta1.DefaultSinkName, record.Sink, record.DeadLetterSink}}
	}
	return nil
}

// AppliedSink is a destination of events in a template.
type AppliedSink struct {
	// Destination is the destination as the owner or the cluster wrote it, with a
	// namespace.
	Destination duckv1.Destination `json:"destination"`
	// ByDefault says that the cluster's default named it, not the owner.
	ByDefault bool `json:"byDefault,omitempty"`
	// Address is the sink's address when the template was made. It is in the
	// agent's arguments. It has no URL if the sink had no address, and never
	// CACerts: MakeTrust carries them to running agents.
	Address duckv1.Addressable `json:"address"`
	// Key is in the names of the files with the sink's current address and
	// CACerts, so that a Revision of another sink doesn't read them. It is empty in
	// a template of a release without these files: there a new address of the sink
	// makes a Revision.
	Key string `json:"key,omitempty"`
	// TokenAudience is the audience of the mounted token, or "" for none. In a
	// template without Key it is Address.Audience.
	TokenAudience string `json:"tokenAudience,omitempty"`
}

// audience returns the audience of the mounted token, or "".
func (s *AppliedSink) audience() string {
	switch {
	case s == nil:
		return ""
	case s.Key == "" && s.Address.Audience != nil:
		return *s.Address.Audience
	default:
		return s.TokenAudience
	}
}

// withoutCACerts copies an address without its CACerts.
func withoutCACerts(address *duckv1.Addressable) duckv1.Addressable {
	without := *address.DeepCopy()
	without.CACerts = nil
	return without
}

// DesiredSink is the sink that the owner or the cluster's default names now.
type DesiredSink struct {
	Destination duckv1.Destination
	ByDefault   bool
	// Address is the resolved address, or nil if the destination has none.
	Address *duckv1.Addressable
	// Refused says that no event may go to the destination.
	Refused bool
}

// DesiredPair is a sink that the owner or the cluster's default names now, and its
// dead letter sink.
type DesiredPair struct {
	// Name is unique among the sinks of a logger.
	Name string
	Sink DesiredSink
	// DeadLetterSink is nil if none is named.
	DeadLetterSink *DesiredSink
}

// pair returns the sink of a name, or nil.
func (d Desired) pair(name string) *DesiredPair {
	if i := slices.IndexFunc(d.Sinks, func(p DesiredPair) bool { return p.Name == name }); i >= 0 {
		return &d.Sinks[i]
	}
	return nil
}

// Each calls a function with each sink that is named and what the template has of
// it.
func (d Desired) Each(applied Applied, call func(AppliedPair, DesiredPair)) {
	for _, pair := range d.Sinks {
		call(applied.Pair(pair.Name), pair)
	}
}

// pairsOf returns the sinks of a template: of each that is named, what a function
// makes of it and of what the template had under this name.
func pairsOf(before *Applied, desired Desired, decide func(*AppliedSink, *DesiredSink) *AppliedSink) (pairs []AppliedPair) {
	desired.Each(*before, func(had AppliedPair, named DesiredPair) {
		pair := AppliedPair{named.Name, decide(had.Sink, &named.Sink), decide(had.DeadLetterSink, named.DeadLetterSink)}
		if pair.Sink != nil || pair.DeadLetterSink != nil {
			pairs = append(pairs, pair)
		}
	})
	return pairs
}

// decideSink returns the sink of a template that the owner left unchanged. If it
// differs from before, the template is replaced. It stays if the agent reads the
// sink's address from a file, if the address is the same, if the sink has no
// address now, or if only the cluster's default changed.
func decideSink(before *AppliedSink, desired *DesiredSink) *AppliedSink {
	if desired == nil {
		return nil
	}
	same := before != nil && equality.Semantic.DeepEqual(before.Destination, desired.Destination)
	switch {
	case before != nil && before.ByDefault && desired.ByDefault && !same, same && before.Key != "":
		return before
	case desired.Refused:
		// Even if the sink has got events until now.
		return nil
	case desired.Address != nil && same && keepsAudience(before, *desired):
		return before
	case desired.Address != nil && isRecordable(desired.Destination):
		return &AppliedSink{Destination: desired.Destination, ByDefault: desired.ByDefault, Address: withoutCACerts(desired.Address)}
	case same:
		return before
	default:
		return nil
	}
}

// newSink returns the sink of a new template, whose agents read the sink's address
// from a file. The arguments have the current address, or the last one of the
// same destination.
func newSink(before *AppliedSink, desired *DesiredSink) *AppliedSink {
	if desired == nil || !isRecordable(desired.Destination) {
		return nil
	}
	sink := &AppliedSink{
		Destination: desired.Destination, ByDefault: desired.ByDefault,
		Key: keyOf(desired.Destination), TokenAudience: v1beta1.ExpectedAudience(desired.Destination),
	}
	same := before != nil && equality.Semantic.DeepEqual(before.Destination, desired.Destination)
	switch {
	case desired.Refused:
	case desired.Address != nil:
		sink.Address = withoutCACerts(desired.Address)
		if audience := sink.Address.Audience; audience != nil {
			sink.TokenAudience = *audience
		}
	case same:
		sink.Address = before.Address
		if audience := before.audience(); audience != "" {
			sink.TokenAudience = audience
		}
	}
	sink.Address.Audience = nil
	return sink
}

// isRecordable reports whether a destination has a JSON form of a bounded size.
// A destination without one can't be a sink.
func isRecordable(destination duckv1.Destination) bool {
	return v1beta1.ValidateURL(destination.URI) == nil
}

// keyOf names a destination.
func keyOf(destination duckv1.Destination) string {
	sum := sha256.Sum256(mustMarshal(destination))
	return hex.EncodeToString(sum[:4])
}

// keepsAudience reports whether the template differs from a new one only in its
// token, and the owner wrote the audience of that token.
func keepsAudience(before *AppliedSink, desired DesiredSink) bool {
	audience := before.Address.Audience
	if audience == nil || desired.Address.Audience != nil || desired.Destination.Audience == nil || *desired.Destination.Audience != *audience {
		return false
	}
	address := withoutCACerts(desired.Address)
	address.Audience = audience
	return equality.Semantic.DeepEqual(address, before.Address)
}

// WithoutForeignAudiences removes the tokens that a sink's status asked for but
// may not have, and reports whether there were any. Such a token is somebody
// else's credential, so its template is replaced at once. An audience that the
// owner wrote stays until the owner's next change.
func WithoutForeignAudiences(applied *Applied, desired Desired, allowed []string) (*Applied, bool) {
	if applied == nil {
		return nil, false
	}
	without, changed := *applied, false
	revoke := func(sink *AppliedSink, named *duckv1.Destination) *AppliedSink {
		audience := sink.audience()
		if audience == "" {
			return sink
		}
		if v1beta1.PermitsAudience(sink.Destination, audience, allowed) ||
			(named != nil && named.Audience != nil && *named.Audience == audience) {
			return sink
		}
		changed = true
		revoked := *sink
		revoked.Address.Audience, revoked.TokenAudience = nil, ""
		return &revoked
	}
	without.Sinks = nil
	for _, pair := range applied.Sinks {
		var sink, letters *duckv1.Destination
		if named := desired.pair(pair.Name); named != nil {
			sink = &named.Sink.Destination
			if named.DeadLetterSink != nil {
				letters = &named.DeadLetterSink.Destination
			}
		}
		without.Sinks = append(without.Sinks, AppliedPair{pair.Name, revoke(pair.Sink, sink), revoke(pair.DeadLetterSink, letters)})
	}
	return &without, changed
}
