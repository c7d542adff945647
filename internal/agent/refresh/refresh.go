/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package refresh keeps the metadata that goes into events up to date with a
// mounted directory, while the agent runs.
package refresh

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Interval is the time between two reads of the directory. The kubelet needs a
// minute or more to update a changed ConfigMap.
const Interval = time.Second

// Source has the applied metadata. It is safe for concurrent use.
type Source struct {
	file     file
	logger   *zap.Logger
	fallback []metadata.Attribute
	current  atomic.Pointer[snapshot]
	changes  atomic.Uint64
	failures atomic.Uint64
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
	s := &Source{logger: logger, fallback: given}
	s.set(given)
	if dir != "" {
		s.file.path = filepath.Join(dir, metadata.FileName)
		s.refresh()
	}
	return s
}

// Attributes returns the applied metadata. The caller must not change it.
func (s *Source) Attributes() []metadata.Attribute { return s.current.Load().attributes }

// Status says what is applied now.
func (s *Source) Status() Status {
	current := s.current.Load()
	return Status{Hash: current.hash, Attributes: current.names, Changes: s.changes.Load(), Failures: s.failures.Load()}
}

// Run reads the directory at each Interval until ctx is done.
func (s *Source) Run(ctx context.Context) {
	if s.file.path == "" {
		return
	}
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if place := panics.Catch(s.refresh); place != "" {
				s.failures.Add(1)
				s.logger.Error("a panic while reading the metadata: the last valid metadata remains in use", zap.String("place", string(place)))
			}
		}
	}
}

// refresh applies the content of the directory. Content that can't be read or
// isn't valid changes nothing.
func (s *Source) refresh() {
	content, kind, changed, err := s.file.read()
	if !changed {
		return
	}
	switch kind {
	case absent:
		s.apply(s.fallback, "the metadata file was removed: using the metadata of the arguments")
	case unreadable:
		s.fail(err)
	case readable:
		attributes, err := metadata.ParseFile(content)
		if err != nil {
			s.fail(err)
			return
		}
		s.apply(attributes, "metadata applied")
	}
}

func (s *Source) fail(err error) {
	s.failures.Add(1)
	s.logger.Warn("invalid metadata file: the last valid metadata remains in use", zap.Error(err))
}

func (s *Source) apply(attributes []metadata.Attribute, message string) {
	before := s.current.Load()
	now := s.set(attributes)
	if now.hash == before.hash {
		return
	}
	s.changes.Add(1)
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
