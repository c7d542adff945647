/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package refresh keeps the metadata that goes into events, and the patterns of
// values that must not, up to date with a mounted directory, while the agent runs.
package refresh

import (
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Source has the applied metadata. It is safe for concurrent use.
type Source struct {
	file[[]metadata.Attribute]
	current atomic.Pointer[snapshot]
	changes atomic.Uint64
}

type snapshot struct {
	attributes []metadata.Attribute
	names      []string
	hash       string
}

// Status names the applied metadata, and never its values.
type Status struct {
	// Hash is the same as the control plane's.
	Hash       string   `json:"hash"`
	Attributes []string `json:"attributes"`
	// Changes counts changes that were applied, Failures contents that could not be
	// applied.
	Changes  uint64 `json:"changes"`
	Failures uint64 `json:"failures"`
}

// NewSource returns a source of the attributes in a directory. Where dir is empty
// or has no such file, the source has the given attributes. NewSource reads the
// directory once.
func NewSource(dir string, given []metadata.Attribute, logger *zap.Logger) *Source {
	s := &Source{file: file[[]metadata.Attribute]{logger: logger, parse: metadata.ParseFile, given: given}}
	s.apply = s.change
	s.set(given)
	s.in(dir, metadata.FileName)
	return s
}

// Attributes returns the applied metadata. The caller must not change it.
func (s *Source) Attributes() []metadata.Attribute { return s.current.Load().attributes }

// Status says what is applied now.
func (s *Source) Status() Status {
	current := s.current.Load()
	return Status{Hash: current.hash, Attributes: current.names, Changes: s.changes.Load(), Failures: s.Failures()}
}

func (s *Source) change(attributes []metadata.Attribute, removed bool) {
	before := s.current.Load()
	now := s.set(attributes)
	if now.hash == before.hash {
		return
	}
	s.changes.Add(1)
	message := "metadata applied"
	if removed {
		message = "the metadata file was removed: using the metadata of the arguments"
	}
	s.logger.Info(message, zap.Strings("attributes", now.names), zap.String("hash", now.hash))
}

func (s *Source) set(attributes []metadata.Attribute) *snapshot {
	now := &snapshot{attributes: attributes, hash: metadata.Hash(attributes)}
	for _, attribute := range attributes {
		now.names = append(now.names, attribute.Name)
	}
	s.current.Store(now)
	return now
}
