/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package subscriber installs receivers of events for features, and reads
// what they got.
package subscriber

import (
	"context"
	"errors"
	"slices"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/types"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/reconciler-test/pkg/eventshub"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/k8s"
	"knative.dev/reconciler-test/pkg/resources/service"
)

// Install runs an eventshub behind a Service of its name. Without options it
// takes every event.
func Install(name string, options ...eventshub.EventsHubOption) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		eventshub.Install(name, append([]eventshub.EventsHubOption{receive}, options...)...)(ctx, t)
		k8s.WaitForServiceEndpointsOrFail(ctx, t, name, 1)
	}
}

// receive is eventshub.StartReceiver without the Job that upstream adds to
// it: that Job curls the Service from a public image, which a cluster without
// the Internet can't pull. The indirection through a second variable, which
// the kubelet expands, keeps Install from recognising a receiver.
func receive(_ context.Context, environment map[string]string) error {
	environment["A_RECEIVER"] = "receiver"
	environment[eventshub.EventGeneratorsEnv] = "$(A_RECEIVER)"
	return nil
}

// Refusing lets a subscriber respond to every event with a status.
func Refusing(status int) eventshub.EventsHubOption {
	const every = 1 << 30
	drop, response := eventshub.DropFirstN(every), eventshub.DropEventsResponseCode(status)
	return func(ctx context.Context, environment map[string]string) error {
		return errors.Join(drop(ctx, environment), response(ctx, environment))
	}
}

// AsReference refers to a subscriber's Service.
func AsReference(name string) *duckv1.KReference {
	return service.AsKReference(name)
}

// Matcher chooses events.
type Matcher func(cloudevents.Event) bool

// Events returns the events that a subscriber got so far, in their order, as
// far as all the matchers choose them.
func Events(ctx context.Context, name string, matchers ...Matcher) []cloudevents.Event {
	var events []cloudevents.Event
next:
	for _, info := range eventshub.StoreFromContext(ctx, name).Collected() {
		if info.Kind != eventshub.EventReceived || info.Event == nil {
			continue
		}
		for _, matches := range matchers {
			if !matches(*info.Event) {
				continue next
			}
		}
		events = append(events, *info.Event)
	}
	return events
}

// HasHeader says whether a request with an event had an HTTP header of that value.
func HasHeader(ctx context.Context, name, header, value string) bool {
	return slices.ContainsFunc(eventshub.StoreFromContext(ctx, name).Collected(), func(info eventshub.EventInfo) bool {
		return info.Kind == eventshub.EventReceived && slices.Contains(info.HTTPHeaders[header], value)
	})
}

// Attribute returns an extension attribute of an event as text, empty where it
// has none.
func Attribute(event cloudevents.Event, name string) string {
	value, found := event.Extensions()[name]
	if !found {
		return ""
	}
	text, err := types.Format(value)
	if err != nil {
		return ""
	}
	return text
}

// WithAttribute chooses events with an extension attribute of that value.
func WithAttribute(name, value string) Matcher {
	return func(event cloudevents.Event) bool { return Attribute(event, name) == value }
}

// WithSource chooses events of a source.
func WithSource(source string) Matcher {
	return func(event cloudevents.Event) bool { return event.Source() == source }
}

// WithType chooses events of a type.
func WithType(eventType string) Matcher {
	return func(event cloudevents.Event) bool { return event.Type() == eventType }
}
