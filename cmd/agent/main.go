/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// The agent is a proxy in front of a model that sends every request and
// response as a CloudEvent.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/sidenote-dev/sidenote/internal/agent"
	"github.com/sidenote-dev/sidenote/internal/agent/procs"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// exitUsage tells a wrong argument from a failure.
const exitUsage = 2

// collectAt is the growth of the heap, in percent, at which garbage is
// collected. At rest the heap has about 1 MiB, so with the runtime's own 100 a
// collection would follow each 4 MiB of bodies (docs/performance.md). GOGC
// replaces it, and GOMEMLIMIT still bounds the memory.
const collectAt = 200

func main() {
	// First of all, or a signal would be lost while it starts.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)

	if _, given := os.LookupEnv("GOGC"); !given {
		debug.SetGCPercent(collectAt)
	}
	given, err := agentconfig.Parse(os.Args[1:])
	if errors.Is(err, agentconfig.ErrHelp) {
		agentconfig.Usage(os.Stdout)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	logger := agent.NewLogger(os.Stderr, given.LogLevel)
	runner, err := agent.New(given, agent.Environment{
		Stdout:   os.Stdout,
		Logger:   logger,
		Revision: os.Getenv("K_REVISION"),
		Procs:    procs.New(),
	})
	if err == nil {
		err = runner.Run(signals)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
