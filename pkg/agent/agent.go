/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package agent wires the agent together: a proxy in front of a model that
// sends every request and response as a CloudEvent. It starts its parts and
// ends them in order; what they do is theirs.
package agent

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/pkg/agent/adminport"
	"github.com/sidenote-dev/sidenote/pkg/agent/capture"
	"github.com/sidenote-dev/sidenote/pkg/agent/delivery"
	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/exchange"
	"github.com/sidenote-dev/sidenote/pkg/agent/export"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agent/metrics"
	"github.com/sidenote-dev/sidenote/pkg/agent/panics"
	"github.com/sidenote-dev/sidenote/pkg/agent/proxy"
	"github.com/sidenote-dev/sidenote/pkg/agent/readiness"
	"github.com/sidenote-dev/sidenote/pkg/agent/refresh"
	"github.com/sidenote-dev/sidenote/pkg/agent/statement"
	"github.com/sidenote-dev/sidenote/pkg/agent/tracing"
	"github.com/sidenote-dev/sidenote/pkg/agentconfig"
)

const (
	firstInFlight = 4
	maxInFlight   = 128
	// hangsAfter, with the longest backoff, is how late a sink that hung is
	// found to be back.
	hangsAfter = 10 * time.Second
	// lastAttempts bounds the wait for attempts that were cut off, lastSpooling
	// the one for the spools' disks.
	lastAttempts = 2 * time.Second
	lastSpooling = 2 * time.Second
	// noSink names the account of an agent without sinks.
	noSink = "default"
	// exitPanic is the exit code after a panic: 2 is that of a wrong argument.
	exitPanic = 3
)

// Environment is what an agent gets of the process it runs in.
type Environment struct {
	Stdout   io.Writer
	Logger   *zap.Logger
	Revision string
	// OpenSpool opens a spool's directory; nil is the operating system's.
	OpenSpool func(directory string) (delivery.SpoolDirectory, error)
	// Exit ends the process at once; nil is the operating system's.
	Exit func(code int)
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
	senders  []*delivery.HTTPSender
	// sendersOf has a sink's sender and that of its dead letters, by its name.
	sendersOf map[string][]*delivery.HTTPSender
	// spools is what each spool takes of the budget.
	spools    delivery.SpoolShare
	openSpool func(directory string) (delivery.SpoolDirectory, error)
	// discard is the account of an agent without sinks.
	discard  *ledger.Account
	checker  *readiness.Checker
	metadata *refresh.Source
	metrics  *metrics.Metrics
	// statements are the ledger events.
	statements *statement.Issuer
	// exposition serves the metrics, or is nil.
	exposition http.Handler
	exports    *export.Exports
	// spans and tracer are nil where no traces are exported.
	spans  *sdktrace.TracerProvider
	tracer *tracing.Tracer
}

// New gives an agent that listens on its ports and does nothing yet.
func New(given *agentconfig.Config, environment Environment) (*Agent, error) {
	a := &Agent{
		logger:       environment.Logger,
		drainTimeout: *given.DrainTimeout,
		instance:     uuid.NewString(),
		budget:       capture.NewBudget(given.BufferBytes),
		discard:      new(ledger.Account),
		sendersOf:    make(map[string][]*delivery.HTTPSender),
		openSpool:    environment.OpenSpool,
		exit:         environment.Exit,
		metadata:     refresh.NewSource(given.MetadataDir, given.Metadata, environment.Logger),
	}
	if a.exit == nil {
		a.exit = os.Exit
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
	a.pipeline = exchange.NewPipeline(settings, a.budget, a.pipelineSinks(), a.discard)
	a.statements = statement.NewIssuer(statement.Settings{
		Builder:   settings.Builder,
		Selection: settings.Selection,
		Mode:      given.Mode,
		Interval:  given.LedgerInterval,
		Deadline:  settings.Deadline,
		Started:   time.Now(),
		Skips:     a.pipeline.Skips(),
		Panics:    a.panics(),
	}, a.sinks)
	a.checker = readiness.NewChecker(given.Target.Hostname(), given.StartupProbe, given.ReadinessProbe,
		readiness.Observer{Changed: a.logReadiness, NotStarted: a.logNotStarted, Panics: a.panics()})
	a.handler = proxy.New(given.Target, a.begin, a.unanswered)
	a.handler.OnOverhead = a.metrics.Overhead
	a.handler.Limit(*given.MaxExchanges, a.refused)

	err := a.metrics.Observe(a.state)
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
		Paths:     given.Paths,
		Selection: event.Select(given.Mode, given.Events),
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
		},
		Deadline:   agentconfig.EventDeadline,
		Attributes: a.metadata.Attributes,
		Panics:     a.panics(),
	}
}

func (a *Agent) addSink(given *agentconfig.Config, sink agentconfig.Sink, environment Environment) error {
	options := delivery.Options{
		Config: delivery.Config{
			FirstInFlight: firstInFlight,
			MaxInFlight:   maxInFlight,
			HangsAfter:    hangsAfter,
			MaxBytes:      delivery.Share(given.BufferBytes-a.budget.Used(), len(given.Sinks)),
			Schedule:      sink.Schedule,
			Random:        rand.Float64,
		},
		AttemptTimeout: sink.Timeout,
		BeginAttempt:   a.beginAttempts(sink.Name),
		Panics:         a.panics(),
	}
	where := func() string { return "stdout:" }
	var sender *delivery.HTTPSender
	if !sink.Stdout() {
		var err error
		if sender, err = a.newSender(given, sink); err != nil {
			return err
		}
		a.sendersOf[sink.Name] = append(a.sendersOf[sink.Name], sender)
		where = func() string { return destination(sender) }
	}
	if letters := sink.DeadLetter; letters != nil {
		sender, err := a.newSender(given, *letters)
		if err != nil {
			return fmt.Errorf("dead-letter: %w", err)
		}
		a.sendersOf[sink.Name] = append(a.sendersOf[sink.Name], sender)
		options.DeadLetters = &delivery.DeadLetterOptions{
			Sender:       sender,
			Destination:  where,
			BeginAttempt: a.beginAttempts(letters.Name),
		}
	}
	if sink.Stdout() {
		// Lines go out one after the other, however long that takes.
		options.FirstInFlight, options.MaxInFlight, options.HangsAfter = 1, 1, 0
		a.sinks = append(a.sinks, delivery.NewSink(sink.Name, &delivery.LineSender{Writer: environment.Stdout}, options))
		return nil
	}
	options.Spool = a.spoolOptions(given, sink)
	a.sinks = append(a.sinks, delivery.NewSink(sink.Name, sender, options))
	return nil
}

// destination names a sink to a dead letter sink, without the query of its
// URL, which may be a secret between the two.
func destination(sender *delivery.HTTPSender) string {
	where := sender.URL()
	if where == nil {
		return ""
	}
	named := *where
	named.RawQuery = ""
	return named.String()
}

func (a *Agent) newSender(given *agentconfig.Config, sink agentconfig.Sink) (*delivery.HTTPSender, error) {
	log := a.logger.With(zap.String("sink", sink.Name))
	// What a file says later must not lead to this machine: only the URL that
	// was given may.
	allowLoopback := sink.URL != nil && delivery.NamesLoopback(sink.URL)
	if given.AllowLoopbackSinks != nil {
		allowLoopback = *given.AllowLoopbackSinks
	}
	keepsToken := func(where *url.URL) {
		if where != nil && sink.TokenFile != "" && !delivery.SendsToken(where, given.ClusterDomain) {
			log.Warn("the token is not sent: the sink is neither https nor a host of the cluster")
		}
	}
	sender, err := delivery.NewHTTPSender(delivery.HTTPOptions{
		URL:           sink.URL,
		AddressFile:   sink.AddressFile,
		CACerts:       []byte(sink.CACerts),
		CACertsFile:   sink.CACertsFile,
		CACertsDir:    sink.CACertsDir,
		TokenFile:     sink.TokenFile,
		TokenAudience: sink.TokenAudience,
		ClusterDomain: given.ClusterDomain,
		MaxInFlight:   maxInFlight,
		RetryAfterMax: *sink.RetryAfterMax,
		AllowLoopback: allowLoopback,
		Panics:        a.panics(),
		OnRefused: func(class delivery.AddressClass) {
			log.Warn("events are dropped: the sink's name leads to an address that no sink may have", zap.String("class", string(class)))
		},
		OnTrustFailure: func(err error) {
			log.Warn("the certificates that are trusted stay those read before", zap.Error(err))
		},
		OnMoved: func(where *url.URL) {
			if where == nil {
				log.Warn("events are dropped: the sink has no address now")
				return
			}
			log.Info("events go to the sink's present address", zap.String("host", where.Host))
			keepsToken(where)
		},
		OnAddressFailure: func(err error) {
			log.Warn("the sink's address file can't be used: the last good address stays in force", zap.Error(err))
		},
	})
	if err != nil {
		return nil, err
	}
	keepsToken(sink.URL)
	a.senders = append(a.senders, sender)
	return sender, nil
}

func (a *Agent) pipelineSinks() []exchange.Sink {
	sinks := make([]exchange.Sink, 0, len(a.sinks))
	for _, sink := range a.sinks {
		sinks = append(sinks, sink)
	}
	return sinks
}

// Run serves until a signal comes and what it began is done, or a second
// signal comes. An error means that it couldn't serve.
func (a *Agent) Run(signals <-chan os.Signal) error {
	background, stopBackground := context.WithCancel(context.Background())
	building, stopBuilding := context.WithCancel(context.Background())
	delivering, stopDelivering := context.WithCancel(context.Background())
	spooling, stopSpooling := context.WithCancel(context.Background())
	var backgroundGroup, buildingGroup, deliveringGroup, spoolingGroup sync.WaitGroup
	run := func(group *sync.WaitGroup, ctx context.Context, work func(context.Context)) {
		group.Go(func() { a.panics().Agent(func() { work(ctx) }) })
	}
	for _, sink := range a.sinks {
		run(&deliveringGroup, delivering, sink.Run)
		run(&spoolingGroup, spooling, sink.RunSpool)
	}
	run(&buildingGroup, building, a.pipeline.Run)
	run(&backgroundGroup, background, a.checker.Run)
	run(&backgroundGroup, background, a.metadata.Run)
	run(&backgroundGroup, background, a.statements.Run)

	failed := make(chan error, 2)
	backgroundGroup.Go(func() { failed <- a.server.Serve(a.listener) })
	backgroundGroup.Go(func() { failed <- a.adminServer.Serve(a.adminListener) })
	a.logger.Info("agent serves",
		zap.String("address", a.Addr()),
		zap.Int("adminPort", a.AdminPort()),
		zap.String("agentInstance", a.instance),
		zap.Int("sinks", len(a.sinks)),
		zap.String("metadataHash", a.metadata.Hash()))

	var err error
	select {
	case <-signals:
		a.drain(signals)
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	}

	a.server.Close()
	stopBuilding()
	buildingGroup.Wait()
	// From now on events are dropped that a spool or a sink may still read.
	a.budget.StopReuse()
	stopDelivering()
	if !waitFor(&deliveringGroup, lastAttempts) {
		// Only the standard output can't be cut off.
		a.logger.Warn("an attempt to deliver an event is still under way")
	}
	// What was delivered last is acknowledged before the spools are closed.
	stopSpooling()
	if !waitFor(&spoolingGroup, lastSpooling) {
		a.logger.Warn("a spool's disk does not answer")
	}
	a.logLedger("agent ends")
	a.adminServer.Close()
	stopBackground()
	backgroundGroup.Wait()
	for _, sender := range a.senders {
		sender.Close()
	}
	a.handler.CloseIdleConnections()
	a.endTelemetry()
	return err
}

// waitFor waits for a group, but not for ever, and says whether it ended.
func waitFor(group *sync.WaitGroup, most time.Duration) bool {
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-time.After(most):
		return false
	}
}

// panics says what becomes of panics: the work on one event costs that event,
// and any other the agent. Its state can't be relied on then, nor who holds
// which lock, and the model's requests would wait for ever. The kubelet starts
// it again.
func (a *Agent) panics() panics.Handler {
	return panics.Handler{
		OnEvent: func(place panics.Place) {
			a.logger.Error("a panic: its event is counted as dropped for invalid", zap.String("place", string(place)))
		},
		OnAgent: func(place panics.Place) {
			a.logger.Error("a panic ends the agent", zap.String("place", string(place)))
			a.exit(exitPanic)
		},
	}
}

func (a *Agent) unanswered(class proxy.ErrorClass) {
	a.metrics.Unanswered(string(class))
	if class != proxy.ErrorCanceled {
		a.logger.Warn("the model gave no answer", zap.String("cause", string(class)))
	}
}

func (a *Agent) logNotStarted(failures int32) {
	a.logger.Warn("the model has not started: its startup probe has reached its failureThreshold; the agent goes on probing",
		zap.Int32("failures", failures))
}

// refused counts an exchange that there was no room for.
func (a *Agent) refused() {
	a.pipeline.Skips().Skip(ledger.SkipOverload)
	a.logger.Warn("an exchange was refused: max-exchanges are under way", zap.Int64("active", a.handler.Active()))
}

func (a *Agent) logReadiness(ready bool) {
	a.logger.Info("the model's readiness changed", zap.Bool("ready", ready))
	if ready {
		// What an earlier process left takes nothing from a cold start.
		for _, sink := range a.sinks {
			sink.ReadSpool()
		}
	}
}
