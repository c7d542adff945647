/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

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

// Guard has the applied patterns of values that must not reach an event. It is safe
// for concurrent use.
type Guard struct {
	file     file
	logger   *zap.Logger
	fallback metadata.DeniedValues
	current  atomic.Pointer[metadata.DeniedValues]
	failures atomic.Uint64
}

// NewGuard returns a guard of the patterns in a directory. Where dir is empty or has
// no such file, the guard has the given patterns. NewGuard reads the directory once.
func NewGuard(dir string, given metadata.DeniedValues, logger *zap.Logger) *Guard {
	g := &Guard{logger: logger, fallback: given}
	g.current.Store(&given)
	if dir != "" {
		g.file.path = filepath.Join(dir, metadata.DeniedValuesFileName)
		g.refresh()
	}
	return g
}

// DeniedValues returns the applied patterns. The caller must not change them.
func (g *Guard) DeniedValues() metadata.DeniedValues { return *g.current.Load() }

// Failures counts contents that could not be applied.
func (g *Guard) Failures() uint64 { return g.failures.Load() }

// Run reads the directory at each Interval until ctx is done.
func (g *Guard) Run(ctx context.Context) {
	if g.file.path == "" {
		return
	}
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if place := panics.Catch(g.refresh); place != "" {
				g.failures.Add(1)
				g.logger.Error("a panic while reading the denied values: the last valid ones remain in use", zap.String("place", string(place)))
			}
		}
	}
}

// refresh applies the content of the directory. Content that can't be read or isn't
// valid changes nothing.
func (g *Guard) refresh() {
	content, kind, changed, err := g.file.read()
	if !changed {
		return
	}
	switch kind {
	case absent:
		g.apply(g.fallback)
	case unreadable:
		g.fail(err)
	case readable:
		denied, err := metadata.ParseDeniedValuesFile(content)
		if err != nil {
			g.fail(err)
			return
		}
		g.apply(denied)
	}
}

func (g *Guard) fail(err error) {
	g.failures.Add(1)
	g.logger.Warn("invalid file of denied values: the last valid ones remain in use", zap.Error(err))
}

func (g *Guard) apply(denied metadata.DeniedValues) {
	if g.DeniedValues().Equal(denied) {
		return
	}
	g.current.Store(&denied)
	g.logger.Info("denied values applied", zap.Int("patterns", len(denied)))
}
