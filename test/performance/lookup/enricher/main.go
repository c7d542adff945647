/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Enricher is the agent with one difference: the annotations in its events are
// looked up for each event. It takes the agent's arguments, and what to look up
// from the environment. It is for measurements only.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sidenote-dev/sidenote/internal/agent"
	"github.com/sidenote-dev/sidenote/internal/agent/exchange"
	"github.com/sidenote-dev/sidenote/internal/agent/procs"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	if err := run(os.Args[1:], os.Getenv, signals); err != nil {
		fmt.Fprintln(os.Stderr, "enricher:", err)
		os.Exit(1)
	}
}

// run serves until a signal comes. The environment says what to look up.
func run(line []string, environment func(string) string, signals <-chan os.Signal) error {
	given, err := agentconfig.Parse(line)
	if err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	lookup, err := newLookup(ctx, &group, settingsOf(environment))
	if err != nil {
		return err
	}
	enriching := enrichingSink{lookup: lookup}
	defer enriching.group.Wait()
	enricher, err := agent.New(given, agent.Environment{
		Stdout: os.Stdout,
		Logger: agent.NewLogger(os.Stderr, given.LogLevel),
		Procs:  procs.New(),
		WrapSink: func(sink exchange.Sink) exchange.Sink {
			enriching.Sink = sink
			return &enriching
		},
	})
	if err != nil {
		return err
	}
	return enricher.Run(signals)
}
