/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"

	"github.com/sidenote-dev/sidenote/test/performance/load"
	"github.com/sidenote-dev/sidenote/test/performance/report"
)

// cell is one kind of load. Each of its arms is put under it.
type cell struct {
	name, what string
	// unit is what costs are for, and units how many an exchange has.
	unit  string
	units int
	size  int
	// rate is how many exchanges are begun a second; 0 is a closed loop.
	rate        float64
	connections int
	arms        []string
	// environment and line are given to every process and to every agent.
	environment, line []string
	// target is the model that speaks the cell's protocol.
	target func(*models) string
	sender func(address string, size int) (load.Sender, error)
	// full says that the cell is not for the short run.
	full bool
}

var (
	// everyArm is for the sizes that goals are about.
	everyArm = []string{
		report.Direct, report.Unpooled, report.Bare, report.Again, report.Nothing, report.Requests, report.All,
		report.SlowSink, report.DeadSink, report.HangingSink, report.Spooling, report.Peer,
	}
	// mainArms are those that every cell has.
	mainArms = []string{report.Bare, report.Again, report.Nothing, report.All, report.Peer}
)

// cells are all there are, in the order in which they are measured. A rate is
// one at which the bare proxy is far from its limit on two processors.
func cells() []cell {
	all := []cell{
		unary(1<<10, 1000, everyArm),
		unary(64<<10, 500, everyArm),
	}
	return all
}

func unary(size int, rate float64, arms []string) cell {
	return cell{
		name: "http1-" + sizeName(size), what: "HTTP/1.1, " + sizeName(size) + " both ways",
		unit: "an exchange", units: 1,
		size: size, rate: rate, connections: 32, arms: arms,
		target: func(m *models) string { return m.http1.Address() },
		sender: func(address string, size int) (load.Sender, error) { return load.NewHTTP1(address, load.Body(size)) },
	}
}

func sizeName(size int) string {
	if size >= 1<<20 {
		return fmt.Sprintf("%dMB", size>>20)
	}
	return fmt.Sprintf("%dKB", size>>10)
}
