/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/agenttest"
	"github.com/sidenote-dev/sidenote/test/conformance"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Conformance runs the steps of the event contract through a Broker and a Trigger. The
// steps that say why they can't be run there are left to test/conformance itself.
func Conformance(contract string) (*feature.Feature, error) {
	steps, err := conformance.Steps(contract)
	if err != nil {
		return nil, err
	}
	used := make(map[string]bool)
	f := feature.NewFeatureNamed("the event contract")
	addBroker(f)
	for _, step := range steps {
		if step.Run == nil || step.Beside != "" {
			continue
		}
		used[step.Logger.Name] = true
		f.Assert(step.Name, func(ctx context.Context, t feature.T) {
			place := &throughBroker{ctx: ctx, logger: step.Logger, at: recorderOf(step.Logger)}
			service, err := inferenceservice.Get(ctx, step.Logger.Name)
			if err != nil {
				t.Fatal(err)
			}
			place.url = service.Status.URL.String()
			step.Run(&conformance.Stage{T: t, Place: place, Logger: step.Logger, Ctx: ctx})
		})
	}
	f.Setup("there is a subscriber "+otherEvents, subscriber.Install(otherEvents))
	for _, logger := range conformance.Loggers {
		if !used[logger.Name] {
			continue
		}
		options := []inferenceservice.Option{
			inferenceservice.WithAnnotations(logger.Annotations),
			inferenceservice.WithPredictor("minReplicas", 1),
			inferenceservice.WithPredictor("maxReplicas", 1),
			inferenceservice.WithLogger(logger.Fields()),
		}
		if logger.GRPC {
			options = append(options, inferenceservice.WithH2C())
		}
		addService(f, logger.Name, options...)
		at := recorderOf(logger)
		if at != otherEvents {
			f.Setup("there is a subscriber "+at, subscriber.Install(at))
		}
		addTrigger(f, logger.Name, subscriber.AsReference(at), "", exact("source", inferenceservice.ServiceName(logger.Name)))
		f.Requirement("the events of "+logger.Name+" reach the subscriber", func(ctx context.Context, t feature.T) {
			inferenceservice.IsReady(logger.Name)(ctx, t)
			predictUntilSeen(ctx, t, logger.Name, at)
		})
	}
	return f, nil
}

// otherEvents is the subscriber of loggers with few steps.
const otherEvents = "other-events"

// recorderOf is the subscriber of a logger's events. An eventshub records five a second,
// so the loggers of most steps have one each. A further one would take its CPU from a
// small cluster.
func recorderOf(logger conformance.Logger) string {
	switch logger.Name {
	case conformance.Everything.Name, conformance.Calls.Name:
		return logger.Name + "-events"
	default:
		return otherEvents
	}
}

// throughBroker is a place on the cluster.
type throughBroker struct {
	ctx    context.Context
	logger conformance.Logger
	at     string
	url    string
}

func (p *throughBroker) URL() string { return p.url }

// Speaks says that queue-proxy speaks to the model as its port says.
func (p *throughBroker) Speaks(protocol string) bool {
	return p.logger.GRPC || protocol == "HTTP/1.1"
}

func (p *throughBroker) Client(protocol string) *http.Client {
	client := ingress.NewHTTPClient()
	if protocol == "HTTP/2" {
		transport := client.Transport.(*http.Transport)
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return client
}

func (p *throughBroker) Dial(ctx context.Context) (net.Conn, error) {
	return ingress.Dial(ctx, "tcp", net.JoinHostPort(strings.TrimPrefix(p.url, "http://"), "80"))
}

func (p *throughBroker) Received() []agenttest.Event {
	var events []agenttest.Event
	for _, e := range subscriber.Events(p.ctx, p.at, subscriber.WithSource(inferenceservice.ServiceName(p.logger.Name))) {
		events = append(events, agenttest.Event{Event: e})
	}
	return events
}

// RecordsSlowly holds for an eventshub.
func (p *throughBroker) RecordsSlowly() bool { return true }

// AsReceived is the text that an eventshub keeps of data: JSON without white space, and
// of other bytes those that are UTF-8.
func (p *throughBroker) AsReceived(data string) string {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(data)) == nil {
		return compact.String()
	}
	text, err := json.Marshal(data)
	if err != nil {
		return data
	}
	var kept string
	if json.Unmarshal(text, &kept) != nil {
		return data
	}
	return kept
}

func (p *throughBroker) Await(t conformance.T, what string, check func() error) {
	eventually(p.ctx, t.(feature.T), what, func(context.Context) error { return check() })
}

func (p *throughBroker) Identity() map[string]string {
	return map[string]string{
		"source":    inferenceservice.ServiceName(p.logger.Name),
		"namespace": environment.FromContext(p.ctx).Namespace(),
		"revision":  fmt.Sprintf("%s-00001", inferenceservice.ServiceName(p.logger.Name)),
	}
}
