/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package refresh

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/mounted"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
)

// Interval is the time between two reads of a file. The kubelet needs a minute or
// more to update a changed ConfigMap.
const Interval = time.Second

// maxFileBytes is well above the size of a valid file.
const maxFileBytes = 64 << 10

// file follows a mounted file that holds a T. It handles each content once.
type file[T any] struct {
	// path is empty if there is no directory to follow.
	path   string
	logger *zap.Logger
	parse  func(content []byte) (T, error)
	// given is in use while there is no file.
	given T
	// apply puts a T in use. Removed says that the file is gone.
	apply func(value T, removed bool)
	// failures counts contents that could not be applied.
	failures atomic.Uint64
	// last is the last result of reading.
	last finding
}

// finding is the result of reading the file: its content, or none.
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

// in follows the file of that name in a directory, and reads it once. If
// directory is empty, there is no file.
func (f *file[T]) in(directory, name string) {
	if directory != "" {
		f.path = filepath.Join(directory, name)
		f.refresh()
	}
}

// Failures counts contents that could not be applied.
func (f *file[T]) Failures() uint64 { return f.failures.Load() }

// Run reads the file at each Interval until ctx is done.
func (f *file[T]) Run(ctx context.Context) {
	if f.path == "" {
		return
	}
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if place := panics.Catch(f.refresh); place != "" {
				f.failures.Add(1)
				f.logger.Error("a panic while reading a mounted file: its last valid content remains in use",
					zap.String("file", filepath.Base(f.path)), zap.String("place", string(place)))
			}
		}
	}
}

// refresh applies the content of the file. Content that can't be read or isn't
// valid changes nothing.
func (f *file[T]) refresh() {
	content, err := mounted.ReadFile(f.path, maxFileBytes)
	found := finding{kind: readable, content: string(content)}
	if err != nil {
		found = finding{kind: unreadable}
		if errors.Is(err, fs.ErrNotExist) {
			found.kind = absent
		}
	}
	if found == f.last {
		return
	}
	f.last = found
	value := f.given
	if found.kind == readable {
		value, err = f.parse(content)
	}
	switch {
	case found.kind == absent:
		f.apply(f.given, true)
	case err != nil:
		f.failures.Add(1)
		f.logger.Warn("invalid mounted file: its last valid content remains in use", zap.String("file", filepath.Base(f.path)), zap.Error(err))
	default:
		f.apply(value, false)
	}
}
