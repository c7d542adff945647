/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Enricher is the agent's data path with one difference: the annotations in its
// events are looked up for each event. It takes the agent's arguments, and what
// to look up from the environment. It is for measurements only.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/exchange"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// As the agent has them.
const (
	firstInFlight = 4
	maxInFlight   = 128
	hangsAfter    = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "enricher:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	given, err := agentconfig.Parse(os.Args[1:])
	if err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()

	lookup, err := newLookup(ctx, &group, settingsOf(os.Getenv))
	if err != nil {
		return err
	}
	budget := capture.NewBudget(given.BufferBytes)
	delivers, err := newSink(given, budget)
	if err != nil {
		return err
	}
	enriching := &enrichingSink{Sink: delivers, lookup: lookup}
	defer enriching.group.Wait()
	pipeline := exchange.NewPipeline(settings(given), budget, []exchange.Sink{enriching}, new(ledger.Account))
	group.Go(func() { delivers.Run(ctx) })
	group.Go(func() { delivers.RunSpool(ctx) })
	group.Go(func() { pipeline.Run(ctx) })
	return serve(ctx, given, pipeline)
}

func settings(given *agentconfig.Config) exchange.Settings {
	return exchange.Settings{
		Paths:     given.Paths,
		Selection: event.Select(given.Mode, given.Events),
		Builder: &event.Builder{
			Identity: event.Identity{
				Source:           given.Source,
				InferenceService: given.InferenceService,
				Namespace:        given.Namespace,
				AgentInstance:    "enricher",
			},
			ContentMode:     given.ContentMode,
			MaxPayloadBytes: given.MaxPayloadBytes,
		},
		Deadline:   agentconfig.EventDeadline,
		Attributes: func() []metadata.Attribute { return nil },
	}
}

func newSink(given *agentconfig.Config, budget *capture.Budget) (*delivery.Sink, error) {
	if len(given.Sinks) != 1 || given.Sinks[0].URL == nil {
		return nil, fmt.Errorf("%d sinks are given: want one with a URL", len(given.Sinks))
	}
	to := given.Sinks[0]
	sender, err := delivery.NewHTTPSender(delivery.HTTPOptions{
		URL:           to.URL,
		ClusterDomain: given.ClusterDomain,
		MaxInFlight:   maxInFlight,
		RetryAfterMax: *to.RetryAfterMax,
		AllowLoopback: delivery.NamesLoopback(to.URL),
	})
	if err != nil {
		return nil, fmt.Errorf("setting up delivery: %w", err)
	}
	return delivery.NewSink(to.Name, sender, delivery.Options{
		Config: delivery.Config{
			FirstInFlight: firstInFlight,
			MaxInFlight:   maxInFlight,
			HangsAfter:    hangsAfter,
			MaxBytes:      delivery.Share(given.BufferBytes-budget.Used(), 1),
			Schedule:      to.Schedule,
			Random:        rand.Float64,
		},
		AttemptTimeout: to.Timeout,
		BeginAttempt: func(ctx context.Context, _ *event.Event, _ int) (context.Context, func(delivery.Result)) {
			return ctx, func(delivery.Result) {}
		},
		Panics: panics.Handler{},
	}), nil
}

// serve proxies until ctx is done.
func serve(ctx context.Context, given *agentconfig.Config, pipeline *exchange.Pipeline) error {
	begin := func(r *http.Request) (proxy.Watcher, http.Header) { return pipeline.Begin(r, nil) }
	handler := proxy.New(given.Target, begin, func(proxy.ErrorClass) {})
	handler.Limit(*given.MaxExchanges, func() {})
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(given.Port))))
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := proxy.NewServer(handler, log.New(io.Discard, "", 0))
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(proxy.ListenForHeads(listener)); ctx.Err() == nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
