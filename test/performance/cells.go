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
	// tunnel says that exchanges are messages in tunnels, which give an event
	// when they end.
	tunnel bool
	arms   []string
	// environment is given to every process, and line to every agent.
	environment, line []string
	// target is the model that speaks the cell's protocol.
	target func(*models) string
	// connect gives so many senders.
	connect func(address string, size, count int) ([]load.Sender, error)
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

// oneProcessor has a Go process run Go code on one processor at a time.
const oneProcessor = "GOMAXPROCS=1"

// cells are all there are, in the order in which they are measured. At their
// rates the bare proxy is far from its limit on two processors.
func cells(full bool) []cell {
	arms := mainArms
	if full {
		arms = everyArm
	}
	return []cell{
		unary(1<<10, 1000, everyArm),
		unary(16<<10, 500, arms),
		unary(64<<10, 500, everyArm),
		unary(256<<10, 100, arms),
		unary(4<<20, 10, arms),
		http2(1<<10, 1000),
		grpc(1<<10, 1000),
		eventStream(),
		webSocket(),
		saturation("saturation-1KB", "both processors"),
		saturation("saturation-1KB-1p", oneProcessor, oneProcessor),
		onlyFull(named(unary(1<<10, 100, mainArms), "http1-1KB-100")),
		onlyFull(named(unary(1<<10, 1000, mainArms), "http1-1KB-1p", oneProcessor)),
		onlyFull(named(unary(1<<10, 100, mainArms), "http1-1KB-100-1p", oneProcessor)),
		onlyFull(http2(64<<10, 300)),
		onlyFull(grpc(64<<10, 300)),
	}
}

func unary(size int, rate float64, arms []string) cell {
	return cell{
		name: "http1-" + sizeName(size), what: "HTTP/1.1, " + sizeName(size) + " both ways",
		unit: "an exchange", units: 1,
		size: size, rate: rate, connections: 32, arms: arms,
		target: func(m *models) string { return m.http1.Address() },
		connect: eachOf(func(address string, size int) (load.Sender, error) {
			return load.NewHTTP1(address, load.Body(size))
		}),
	}
}

func http2(size int, rate float64) cell {
	return cell{
		name: "h2c-" + sizeName(size), what: "HTTP/2 without TLS, " + sizeName(size) + " both ways",
		unit: "an exchange", units: 1,
		size: size, rate: rate, connections: 32, arms: mainArms,
		target: func(m *models) string { return m.streams.Address() },
		connect: func(address string, size, count int) ([]load.Sender, error) {
			return load.NewHTTP2(address, load.Body(size), count), nil
		},
	}
}

func grpc(size int, rate float64) cell {
	return cell{
		name: "grpc-" + sizeName(size), what: "gRPC, unary, " + sizeName(size) + " both ways",
		unit: "a call", units: 1,
		size: size, rate: rate, connections: 32, arms: mainArms,
		target:  func(m *models) string { return m.grpc.Address() },
		connect: load.NewGRPC,
	}
}

func eventStream() cell {
	return cell{
		name: fmt.Sprintf("sse-%d", load.Chunks), what: fmt.Sprintf("server-sent events, %d chunks a stream", load.Chunks),
		unit: "a chunk", units: load.Chunks,
		rate: 10, connections: 32, arms: mainArms,
		target: func(m *models) string { return m.streams.Address() },
		connect: eachOf(func(address string, _ int) (load.Sender, error) {
			return load.NewEventStream(address)
		}),
	}
}

func webSocket() cell {
	return cell{
		name: "websocket-1KB", what: "WebSocket, messages of 1KB and their echoes",
		unit: "a message and its echo", units: 1, tunnel: true,
		size: 1 << 10, rate: 1000, connections: 32, arms: mainArms,
		line:    []string{"--events=request,response,tunnel"},
		target:  func(m *models) string { return m.streams.Address() },
		connect: eachOf(load.NewWebSocket),
	}
}

func saturation(name, what string, environment ...string) cell {
	c := unary(1<<10, 0, mainArms)
	c.name, c.what, c.connections, c.environment = name, c.what+", "+what, 256, environment
	return c
}

func named(c cell, name string, environment ...string) cell {
	c.name, c.environment = name, environment
	if len(environment) > 0 {
		c.what = fmt.Sprintf("%s, %s", c.what, environment[0])
	}
	return c
}

func onlyFull(c cell) cell {
	c.full = true
	return c
}

// eachOf connects one sender after the other.
func eachOf(one func(address string, size int) (load.Sender, error)) func(string, int, int) ([]load.Sender, error) {
	return func(address string, size, count int) ([]load.Sender, error) {
		var senders []load.Sender
		for range count {
			sender, err := one(address, size)
			if err != nil {
				return senders, err
			}
			senders = append(senders, sender)
		}
		return senders, nil
	}
}

func sizeName(size int) string {
	if size >= 1<<20 {
		return fmt.Sprintf("%dMB", size>>20)
	}
	return fmt.Sprintf("%dKB", size>>10)
}
