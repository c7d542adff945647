/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/test/rekt/resources/broker"
	"knative.dev/eventing/test/rekt/resources/trigger"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// The types of the events that go out by default.
const (
	requestType  = "io.kubeflow.serving.inference.request"
	responseType = "io.kubeflow.serving.inference.response"
	streamType   = "io.kubeflow.serving.inference.stream"
)

const defaultBroker = "default"

// addBroker gives a feature the Broker that loggers send to by default.
func addBroker(f *feature.Feature) {
	f.Setup("there is a Broker named default", broker.Install(defaultBroker, broker.WithEnvConfig()...))
}

// addService gives a feature an InferenceService of the test model, made once
// the Broker is ready: one made before drops events until its agent has the
// Broker's address.
func addService(f *feature.Feature, name string, options ...inferenceservice.Option) {
	f.Setup("there is an InferenceService "+name, func(ctx context.Context, t feature.T) {
		broker.IsReady(defaultBroker)(ctx, t)
		inferenceservice.Install(name, options...)(ctx, t)
	})
	f.Requirement("the InferenceService "+name+" responds", responds(name))
}

// responds waits until an InferenceService is ready and the ingress has heard
// of it: one that doesn't probe its own routes, as Traefik, responds with 404 for a
// moment after Ready.
func responds(name string) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		inferenceservice.IsReady(name)(ctx, t)
		client := ingress.NewHTTPClient()
		eventually(ctx, t, "a response of "+name, func(ctx context.Context) error {
			model, err := modelURL(ctx, name)
			if err != nil {
				return err
			}
			return predict(ctx, client, model, newRequestID())
		})
	}
}

// addSubscriber gives a feature a subscriber behind a Trigger, both of one
// name. Without a filter it gets every event of the Broker.
func addSubscriber(f *feature.Feature, name string, filters ...eventingv1.SubscriptionsAPIFilter) {
	f.Setup("there is a subscriber "+name, subscriber.Install(name))
	addTrigger(f, name, subscriber.AsReference(name), "", filters...)
}

func addTrigger(f *feature.Feature, name string, to *duckv1.KReference, path string, filters ...eventingv1.SubscriptionsAPIFilter) {
	f.Setup("there is a Trigger "+name, trigger.Install(name,
		trigger.WithBrokerName(defaultBroker), trigger.WithSubscriber(to, path), trigger.WithNewFilters(filters)))
	f.Requirement("the Trigger "+name+" is ready", trigger.IsReady(name))
}

// exact filters on an attribute's value.
func exact(attribute, value string) eventingv1.SubscriptionsAPIFilter {
	return eventingv1.SubscriptionsAPIFilter{Exact: map[string]string{attribute: value}}
}

// predictUntilSeen repeats a prediction until a subscriber has an event of it
// that the matchers choose: a Trigger that says Ready still loses events for
// some seconds, until its Broker has heard of it.
func predictUntilSeen(ctx context.Context, t feature.T, service, at string, matchers ...subscriber.Matcher) {
	client := ingress.NewHTTPClient()
	eventually(ctx, t, fmt.Sprintf("events of %s at %s", service, at), func(ctx context.Context) error {
		model, err := modelURL(ctx, service)
		if err != nil {
			return err
		}
		if err := predict(ctx, client, model, newRequestID()); err != nil {
			return err
		}
		seen := subscriber.Events(ctx, at, append(matchers, subscriber.WithSource(inferenceservice.ServiceName(service)))...)
		if len(seen) == 0 {
			return fmt.Errorf("it got %d events, none of these", len(subscriber.Events(ctx, at)))
		}
		return nil
	})
}

// eventsOf returns the events of one exchange that a subscriber got, once there
// are as many as expected of each type and an exchange after it has arrived
// too, so that whatever else the first one gave would be there.
func eventsOf(ctx context.Context, t feature.T, service, at string, types ...string) []cloudevents.Event {
	first := predictOnce(ctx, t, service)
	awaitTypes(ctx, t, at, first, types)
	awaitTypes(ctx, t, at, predictOnce(ctx, t, service), types)
	events := subscriber.Events(ctx, at, ofExchange(first))
	if len(events) != len(types) {
		t.Fatalf("%s got %d events of one exchange, want %d: %v", at, len(events), len(types), events)
	}
	return events
}

func awaitTypes(ctx context.Context, t feature.T, at, requestID string, types []string) {
	eventually(ctx, t, fmt.Sprintf("the events of exchange %s at %s", requestID, at), func(ctx context.Context) error {
		for _, eventType := range types {
			if len(subscriber.Events(ctx, at, ofExchange(requestID), subscriber.WithType(eventType))) == 0 {
				return fmt.Errorf("no event of type %s", eventType)
			}
		}
		return nil
	})
}

// ofExchange chooses the events of the exchange with that X-Request-Id.
func ofExchange(requestID string) subscriber.Matcher {
	return subscriber.WithAttribute("clientrequestid", requestID)
}
