/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/exchange"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

const (
	firstInFlight = 4
	maxInFlight   = 128
	// hangsAfter and the longest backoff bound the delay until the agent notices
	// that a sink no longer hangs.
	hangsAfter = 10 * time.Second
)

func (a *Agent) addSink(given *agentconfig.Config, sink agentconfig.Sink, environment Environment) error {
	subscription, err := event.SubscriptionOf(&sink)
	if err != nil {
		return err
	}
	a.subscriptions = append(a.subscriptions, subscription)
	options := delivery.Options{
		Config: delivery.Config{
			FirstInFlight: firstInFlight,
			MaxInFlight:   maxInFlight,
			HangsAfter:    hangsAfter,
			MaxBytes:      agentconfig.SinkShare(given.BufferBytes-a.budget.Used(), len(given.Sinks)),
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
		if sender, err = a.newSender(given, sink); err != nil {
			return err
		}
		where = func() string { return destination(sender) }
	}
	if letters := sink.DeadLetter; letters != nil {
		sender, err := a.newSender(given, *letters)
		if err != nil {
			return fmt.Errorf("dead-letter: %w", err)
		}
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

// destination names a sink to a dead letter sink. It leaves the query of the URL
// out, which may have a secret.
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
	// Only the URL of the arguments may name the loopback. An address that comes
	// from a file later may not.
	allowLoopback := sink.URL != nil && delivery.NamesLoopback(sink.URL)
	if given.AllowLoopbackSinks != nil {
		allowLoopback = *given.AllowLoopbackSinks
	}
	keepsCredentials := func(where *url.URL) {
		switch {
		case where == nil || delivery.SendsToken(where, given.ClusterDomain):
		case sink.TokenFile != "":
			log.Warn("the token is not sent: the sink is neither https nor a host of the cluster")
		case sink.BasicAuthDir != "":
			log.Warn("the username and the password are not sent: the sink is neither https nor a host of the cluster")
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
		BasicAuthDir:  sink.BasicAuthDir,
		ClusterDomain: given.ClusterDomain,
		MaxInFlight:   maxInFlight,
		RetryAfterMax: *sink.RetryAfterMax,
		AllowLoopback: allowLoopback,
		Panics:        a.panics(),
		OnRefused: func(class delivery.AddressClass) {
			log.Warn("events are dropped: the sink's name resolves to a forbidden address", zap.String("class", string(class)))
		},
		OnTrustFailure: func(err error) {
			log.Warn("can't read the certificates: the earlier ones remain in use", zap.Error(err))
		},
		OnMoved: func(where *url.URL) {
			if where == nil {
				log.Warn("events are dropped: the sink has no address")
				return
			}
			log.Info("sending events to the sink's current address", zap.String("host", where.Host))
			keepsCredentials(where)
		},
		OnAddressFailure: func(err error) {
			log.Warn("invalid address file of the sink: the last valid address remains in use", zap.Error(err))
		},
	})
	if err != nil {
		return nil, err
	}
	keepsCredentials(sink.URL)
	a.senders = append(a.senders, sender)
	return sender, nil
}

func (a *Agent) pipelineSinks(wrap func(exchange.Sink) exchange.Sink) []exchange.Sink {
	if wrap == nil {
		wrap = func(sink exchange.Sink) exchange.Sink { return sink }
	}
	sinks := make([]exchange.Sink, 0, len(a.sinks))
	for _, sink := range a.sinks {
		sinks = append(sinks, wrap(sink))
	}
	return sinks
}
