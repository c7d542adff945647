/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package refresh

import (
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Guard has the applied patterns of values that must not reach an event. It is safe
// for concurrent use.
type Guard struct {
	file[metadata.DeniedValues]
	current atomic.Pointer[metadata.DeniedValues]
}

// NewGuard returns a guard of the patterns in a directory. Where dir is empty or has
// no such file, the guard has the given patterns. NewGuard reads the directory once.
func NewGuard(dir string, given metadata.DeniedValues, logger *zap.Logger) *Guard {
	g := &Guard{file: file[metadata.DeniedValues]{logger: logger, parse: metadata.ParseDeniedValuesFile, given: given}}
	g.apply = g.set
	g.current.Store(&given)
	g.in(dir, metadata.DeniedValuesFileName)
	return g
}

// DeniedValues returns the applied patterns. The caller must not change them.
func (g *Guard) DeniedValues() metadata.DeniedValues { return *g.current.Load() }

func (g *Guard) set(denied metadata.DeniedValues, _ bool) {
	if g.DeniedValues().Equal(denied) {
		return
	}
	g.current.Store(&denied)
	g.logger.Info("denied values applied", zap.Int("patterns", len(denied)))
}
