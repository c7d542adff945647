/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package refresh keeps the metadata that goes into events up to date with a
// mounted directory, while the agent runs.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/pkg/agent/panics"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Interval is how often the directory is looked at. The kubelet brings a
// changed ConfigMap after a minute or more.
const Interval = time.Second

// maxFileBytes is well over what valid metadata takes.
const maxFileBytes = 64 << 10

// Source gives the metadata in force. It is safe for concurrent use.
type Source struct {
	path     string
	logger   *zap.Logger
	fallback []metadata.Attribute
	current  atomic.Pointer[snapshot]
	changes  atomic.Uint64
	failures atomic.Uint64
	// last is what was found last, so that it is judged once.
	last finding
}

// finding is what a look at the file gave: its content, or none of it.
type finding struct {
	kind    findingKind
	content string
}

type findingKind uint8

const (
	absent findingKind = iota
	unreadable
	readable
)

type snapshot struct {
	attributes []metadata.Attribute
	hash       string
}

// NewSource gives a source of the attributes in a directory, or of the given
// ones where dir is empty or has no such file. It reads the directory once.
func NewSource(dir string, given []metadata.Attribute, logger *zap.Logger) *Source {
	s := &Source{logger: logger, fallback: given}
	s.set(given)
	if dir != "" {
		s.path = filepath.Join(dir, metadata.FileName)
		s.refresh()
	}
	return s
}

// Attributes gives the metadata in force. It must not be changed.
func (s *Source) Attributes() []metadata.Attribute { return s.current.Load().attributes }

// Hash names the metadata in force, as the control plane does.
func (s *Source) Hash() string { return s.current.Load().hash }

// Changes counts changes that were put in force.
func (s *Source) Changes() uint64 { return s.changes.Load() }

// Failures counts contents that could not be put in force.
func (s *Source) Failures() uint64 { return s.failures.Load() }

// Run looks at the directory until ctx is done.
func (s *Source) Run(ctx context.Context) {
	if s.path == "" {
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
				s.logger.Error("a panic: the last good metadata stays in force", zap.String("place", string(place)))
			}
		}
	}
}

// refresh puts in force what the directory has now. What can't be read or
// isn't valid leaves the last good metadata in force.
func (s *Source) refresh() {
	content, err := s.readFile()
	found := finding{kind: readable, content: string(content)}
	if err != nil {
		found = finding{kind: unreadable}
		if errors.Is(err, fs.ErrNotExist) {
			found.kind = absent
		}
	}
	if found == s.last {
		return
	}
	s.last = found
	switch found.kind {
	case absent:
		s.apply(s.fallback, "the metadata file is gone: the arguments hold")
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

func (s *Source) readFile() ([]byte, error) {
	file, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("the metadata file has more than %d bytes", maxFileBytes)
	}
	return content, err
}

func (s *Source) fail(err error) {
	s.failures.Add(1)
	s.logger.Warn("the metadata file can't be used: the last good metadata holds", zap.Error(err))
}

func (s *Source) apply(attributes []metadata.Attribute, message string) {
	before := s.Hash()
	s.set(attributes)
	if s.Hash() == before {
		return
	}
	s.changes.Add(1)
	names := make([]string, 0, len(attributes))
	for _, attribute := range attributes {
		names = append(names, attribute.Name)
	}
	s.logger.Info(message, zap.Strings("attributes", names), zap.String("hash", s.Hash()))
}

func (s *Source) set(attributes []metadata.Attribute) {
	s.current.Store(&snapshot{attributes: attributes, hash: metadata.Hash(attributes)})
}
