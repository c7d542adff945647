/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/report"
)

const (
	countedStarts = 10
	// pollInterval is how often a starting process is tried: the resolution of
	// its time to serving.
	pollInterval = 200 * time.Microsecond
)

// starts returns how long an agent takes from its start to its first exchange
// with the model, in milliseconds, some times.
func (p *plan) starts(ctx context.Context) ([]float64, error) {
	m, err := startModels()
	if err != nil {
		return nil, err
	}
	defer m.close()
	c := unary(1<<10, 0, mainArms)
	var agent arm
	for _, a := range arms(p.binaries) {
		if a.name == report.All {
			agent = a
		}
	}
	var took []float64
	for range countedStarts {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		once, err := startOnce(ctx, agent, &c, m)
		if err != nil {
			return nil, fmt.Errorf("measuring starts: %w", err)
		}
		took = append(took, microseconds(once)/1e3)
	}
	return took, nil
}

func startOnce(ctx context.Context, a arm, c *cell, m *models) (time.Duration, error) {
	r, err := prepare(a, c)
	if err != nil {
		return 0, err
	}
	defer r.end()
	begun := time.Now()
	err = r.startProcess(ctx, c.target(m), pollInterval)
	return time.Since(begun), err
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
