/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"fmt"
	"net/url"
	"slices"
	"sync"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// shared has the attributes that are the same in all events of an agent while the
// same metadata are in use. They are encoded once. Events refer to it, and it
// doesn't change once it is made.
type shared struct {
	// It was made of identity and metadata.
	identity Identity
	metadata []metadata.Attribute
	// headers are those of the Builder.
	headers []agentconfig.HeaderSource

	source     string
	extensions extensions
	// members are the extensions as members of a JSON object, each with a comma
	// in front.
	members []string
	// header has the extensions as lines of a header, and fields for http.Header.
	header []byte
	fields []field
	// headerSize is that of the extensions, as measure takes it.
	headerSize int
	// headerSafe says that a header carries every extension unchanged.
	headerSafe bool

	// annotated is the same in the profile kserve, made at its first use.
	annotated     *shared
	annotatedOnce sync.Once
}

// field is one field of a header.
type field struct {
	key    string
	values []string
}

// noneShared is for events that share no attribute.
var noneShared = &shared{headerSafe: true}

// sharedBy returns the shared attributes of events with an owner's metadata. It keeps
// the last ones, because the metadata in use seldom change.
func (b *Builder) sharedBy(attributes []metadata.Attribute) (*shared, error) {
	last := b.lastShared.Load()
	if last != nil && last.identity == b.Identity && slices.Equal(last.metadata, attributes) {
		return last, nil
	}
	made, err := newShared(b.Identity, attributes)
	if err != nil {
		return nil, err
	}
	made.headers = b.MetadataHeaders
	b.lastShared.Store(made)
	return made, nil
}

func newShared(identity Identity, attributes []metadata.Attribute) (*shared, error) {
	source, err := NormalizeSource(identity.Source)
	if err != nil {
		return nil, err
	}
	s := &shared{identity: identity, metadata: slices.Clone(attributes), source: source, headerSafe: true}
	for _, attribute := range attributes {
		// The owner's attributes never replace ours, whether an event has ours or
		// not.
		if metadata.Reserved(attribute.Name) {
			continue
		}
		if !validExtensionName(attribute.Name) {
			return nil, fmt.Errorf("invalid attribute name %q", attribute.Name)
		}
		s.extensions.setText(attribute.Name, attribute.Value)
	}
	s.extensions.setText("inferenceservicename", identity.InferenceService)
	s.extensions.setText("namespace", identity.Namespace)
	s.extensions.setText("component", identity.Component)
	s.extensions.setText("revision", identity.Revision)
	s.extensions.setText("agentinstance", identity.AgentInstance)
	s.encode()
	return s, nil
}

// encode encodes the extensions.
func (s *shared) encode() {
	for i := range s.extensions {
		e := &s.extensions[i]
		s.members = append(s.members, string(appendMember(nil, e)))
		s.header = appendExtensionLine(s.header, e)
		value := e.inHeader()
		s.fields = append(s.fields, field{key: headerKey(e.name), values: []string{value}})
		s.headerSize += lineSize(e.name, len(value))
		s.headerSafe = s.headerSafe && value == e.text
	}
}

// NormalizeSource returns the form of a URI reference that is an event's source.
// Text that is no URI reference is an error.
func NormalizeSource(text string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil || text == "" {
		return "", fmt.Errorf("invalid source %q: must be a URI reference", text)
	}
	return parsed.String(), nil
}
