/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package agent wires the agent together: a proxy in front of a model that sends
// every request and response as a CloudEvent. It makes the parts, starts them,
// and ends them in order.
package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/adminport"
	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/exchange"
	"github.com/sidenote-dev/sidenote/internal/agent/export"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/metrics"
	"github.com/sidenote-dev/sidenote/internal/agent/procs"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/internal/agent/readiness"
	"github.com/sidenote-dev/sidenote/internal/agent/refresh"
	"github.com/sidenote-dev/sidenote/internal/agent/sampling"
	"github.com/sidenote-dev/sidenote/internal/agent/statement"
	"github.com/sidenote-dev/sidenote/internal/agent/tracing"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

const (
	// lastAttempts bounds the wait for attempts that were cut off, lastSpooling
	// the one for the spools' disks.
	lastAttempts = 2 * time.Second
	lastSpooling = 2 * time.Second
	// noSink names the account of an agent without sinks.
	noSink = "default"
)

// Environment is what an agent gets from its process.
type Environment struct {
	Stdout   io.Writer
	Logger   *zap.Logger
	Revision string
	// OpenSpool opens a spool's directory; nil is the operating system's.
	OpenSpool func(directory string) (delivery.SpoolDirectory, error)
	// Exit ends the process at once; nil is the operating system's.
	Exit func(code int)
	// WrapSink replaces what the pipeline gives a sink's events to; nil leaves the
	// sink. A benchmark puts a stage of its own before the delivery.
	WrapSink func(exchange.Sink) exchange.Sink
	// Procs governs the processors of the process; nil leaves them as they are.
	Procs *procs.Governor
}

// Agent is one agent, ready to run once.
type Agent struct {
	logger       *zap.Logger
	exit         func(code int)
	drainTimeout time.Duration
	instance     string

	listener, adminListener net.Listener
	server, adminServer     *http.Server

	handler  *proxy.Handler
	pipeline *exchange.Pipeline
	budget   *capture.Budget
	sinks    []*delivery.Sink
	// subscriptions has that of each sink.
	subscriptions []event.Subscription
	senders       []*delivery.HTTPSender
	// spools is what each spool takes of the budget.
	spools    delivery.SpoolShare
	openSpool func(directory string) (delivery.SpoolDirectory, error)
	// discard is the account of an agent without sinks.
	discard  *ledger.Account
	checker  *readiness.Checker
	metadata *refresh.Source
	// guard has the values that no header brings into an event, and headers makes
	// attributes of the others.
	guard   *refresh.Guard
	headers *event.Headers
	procs   *procs.Governor
	metrics *metrics.Metrics
	// statements are the ledger events.
	statements *statement.Issuer
	// exposition serves the metrics, or is nil.
	exposition http.Handler
	exports    *export.Exports
	// spans and tracer are nil where no traces are exported.
	spans  *sdktrace.TracerProvider
	tracer *tracing.Tracer
}

// New returns an agent that listens on its ports and does nothing else yet.
func New(given *agentconfig.Config, environment Environment) (*Agent, error) {
	a := &Agent{
		logger:       environment.Logger,
		drainTimeout: *given.DrainTimeout,
		instance:     uuid.NewString(),
		budget:       capture.NewBudget(given.BufferBytes),
		discard:      new(ledger.Account),
		openSpool:    environment.OpenSpool,
		exit:         environment.Exit,
		procs:        environment.Procs,
		metadata:     refresh.NewSource(given.MetadataDir, given.Metadata, environment.Logger),
	}
	if a.exit == nil {
		a.exit = os.Exit
	}
	if err := a.setUpHeaders(given); err != nil {
		return nil, err
	}
	if err := a.setUpTelemetry(given, environment); err != nil {
		return nil, err
	}
	a.reserveSpools(given)
	for _, sink := range given.Sinks {
		if err := a.addSink(given, sink, environment); err != nil {
			return nil, fmt.Errorf("sink %q: %w", sink.Name, err)
		}
	}
	settings := a.settings(given, environment)
	a.pipeline = exchange.NewPipeline(settings, a.budget, a.pipelineSinks(environment.WrapSink), a.discard)
	a.statements = statement.NewIssuer(statement.Settings{
		Builder:       settings.Builder,
		Subscriptions: settings.Subscriptions,
		Interval:      given.LedgerInterval,
		Deadline:      settings.Deadline,
		Started:       time.Now(),
		Skips:         a.pipeline.Skips(),
		Panics:        a.panics(),
	}, a.sinks)
	a.checker = readiness.NewChecker(given.Target.Hostname(), given.StartupProbe, given.ReadinessProbe,
		readiness.Observer{Changed: a.logReadiness, NotStarted: a.logNotStarted, Panics: a.panics()})
	a.handler = proxy.New(given.Target, a.begin, a.noResponse)
	a.handler.OnOverhead = a.metrics.Overhead
	a.handler.Limit(*given.MaxExchanges, a.refused)

	err := a.metrics.Observe(a.status)
	if err != nil {
		return nil, fmt.Errorf("setting up metrics: %w", err)
	}
	// Only queue-proxy is to reach the serving port, and it dials 127.0.0.1.
	if a.listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(given.Port)))); err != nil {
		return nil, fmt.Errorf("argument --port: %w", err)
	}
	if a.adminListener, err = net.Listen("tcp", ":"+strconv.Itoa(int(given.AdminPort))); err != nil {
		a.listener.Close()
		return nil, fmt.Errorf("argument --admin-port: %w", err)
	}
	a.listener = proxy.ListenForHeads(a.listener)
	a.server = proxy.NewServer(a.handler, serverLog(a.logger))
	a.adminListener = adminport.Listen(a.adminListener)
	a.adminServer = adminport.NewServer(a.adminHandler(), serverLog(a.logger))
	return a, nil
}

// Addr is where the agent serves the model.
func (a *Agent) Addr() string { return a.listener.Addr().String() }

// AdminPort is the port of the agent's own endpoints.
func (a *Agent) AdminPort() int { return a.adminListener.Addr().(*net.TCPAddr).Port }

func (a *Agent) settings(given *agentconfig.Config, environment Environment) exchange.Settings {
	return exchange.Settings{
		Paths:         given.Paths,
		Selection:     event.Select(given.Mode, given.Events),
		Subscriptions: a.subscriptions,
		Sampler:       sampling.New(sampling.NewKey(), given.Sampling),
		Ceiling:       sampling.NewCeiling(given.MaxEventsPerSecond),
		Builder: &event.Builder{
			Identity: event.Identity{
				Source:           given.Source,
				InferenceService: given.InferenceService,
				Namespace:        given.Namespace,
				Component:        given.Component,
				Revision:         environment.Revision,
				AgentInstance:    a.instance,
			},
			ContentMode:     given.ContentMode,
			MaxPayloadBytes: given.MaxPayloadBytes,
			Streams:         given.Streams,
			MetadataHeaders: given.MetadataHeaders,
		},
		Deadline:   agentconfig.EventDeadline,
		Attributes: a.metadata.Attributes,
		Headers:    a.headers,
		LongWork:   a.procs.LongWork,
		Panics:     a.panics(),
	}
}

// parts are what the agent runs, in the order of their start. They end in the
// opposite order.
func (a *Agent) parts(failed chan<- error) []*part {
	sinks, spools := new(part), new(part)
	for _, sink := range a.sinks {
		sinks.run = append(sinks.run, sink.Run)
		spools.run = append(spools.run, sink.RunSpool)
	}
	// Only the standard output can't be cut off.
	sinks.most, sinks.late = lastAttempts, "an attempt to deliver an event is still in flight"
	// An event may be dropped from now on while a spool still reads its data.
	sinks.end = a.budget.StopReuse
	spools.most, spools.late = lastSpooling, "a spool's disk does not respond"
	return []*part{
		{end: a.endTelemetry},
		{end: a.closeConnections},
		{run: []func(context.Context){a.checker.Run, a.metadata.Run, a.guard.Run, a.statements.Run, a.procs.Run}},
		serving(a.adminServer, a.adminListener, failed),
		{end: func() { a.logLedger("agent ends") }},
		// The spools end after the sinks, to acknowledge what was delivered last.
		spools,
		sinks,
		{run: []func(context.Context){a.pipeline.Run}},
		serving(a.server, a.listener, failed),
	}
}

// Run serves until a signal comes and the exchanges and deliveries are over, or
// until a second signal comes. An error means that the agent couldn't serve.
func (a *Agent) Run(signals <-chan os.Signal) error {
	failed := make(chan error, 2)
	parts := a.parts(failed)
	for _, p := range parts {
		p.Start(a.panics())
	}
	a.logger.Info("agent serves",
		zap.String("address", a.Addr()),
		zap.Int("adminPort", a.AdminPort()),
		zap.String("agentInstance", a.instance),
		zap.Int("sinks", len(a.sinks)),
		zap.String("metadataHash", a.metadata.Status().Hash))

	var err error
	select {
	case <-signals:
		a.drain(signals)
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	}
	for _, p := range slices.Backward(parts) {
		if !p.Shutdown() {
			a.logger.Warn(p.late)
		}
	}
	return err
}

// closeConnections closes the idle connections to the sinks and the model.
func (a *Agent) closeConnections() {
	for _, sender := range a.senders {
		sender.Close()
	}
	a.handler.CloseIdleConnections()
}
