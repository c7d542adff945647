/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

const loopType = "io.kubeflow.serving.inference.loop"

// LoopGuard tests that a model which subscribes to the events of a Broker, and
// logs to the same Broker, doesn't feed itself, and that its exchanges are still
// logged.
func LoopGuard() *feature.Feature {
	const front, shadow, all = "front", "shadow", "every-event"
	f := feature.NewFeatureNamed("an InferenceService behind a Trigger")
	addBroker(f)
	addSubscriber(f, all)
	addService(f, front)
	addService(f, shadow)
	addTrigger(f, shadow, inferenceservice.AsReference(shadow), "/v1/models/m:predict", exact("type", requestType))
	f.Assert("it predicts once for each request event, and sends only loop events of that", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, front, all)
		eventually(ctx, t, "a response of the model behind the Trigger", func(ctx context.Context) error {
			predictOnce(ctx, t, front)
			if len(responsesAt(ctx, all)) == 0 {
				return fmt.Errorf("there is none")
			}
			return nil
		})
		// From here on the Trigger loses nothing: each request gives one response.
		const more = 5
		responsesBefore := len(responsesAt(ctx, all))
		// The predictions that waited for the model to be ready came from no event.
		directBefore, _ := directAndLooped(sentBy(ctx, all, shadow))
		for range more {
			eventsOf(ctx, t, front, all, requestType, responseType)
		}
		eventually(ctx, t, "a response to each request", func(ctx context.Context) error {
			if responses := len(responsesAt(ctx, all)); responses < responsesBefore+2*more {
				return fmt.Errorf("there are %d, want %d or more", responses, responsesBefore+2*more)
			}
			return nil
		})
		eventsOf(ctx, t, front, all, requestType, responseType)
		direct, looped := directAndLooped(sentBy(ctx, all, shadow))
		requests := len(subscriber.Events(ctx, all, subscriber.WithType(requestType)))
		if responses := len(responsesAt(ctx, all)); responses > requests {
			t.Errorf("the model behind the Trigger responded %d times to %d requests", responses, requests)
		}
		if len(direct) != len(directBefore) {
			t.Errorf("the model behind the Trigger sent %v", direct[len(directBefore):])
		}
		for _, e := range looped {
			if reason := e.Extensions()["loopreason"]; reason != "header" && reason != "body" || len(e.Data()) != 0 {
				t.Errorf("the model behind the Trigger sent %v", e)
			}
		}
		if len(looped) > requests {
			t.Errorf("the model behind the Trigger sent %d loop events of %d requests", len(looped), requests)
		}
		eventually(ctx, t, "a loop event of an exchange with the model behind the Trigger", func(ctx context.Context) error {
			if _, looped := directAndLooped(sentBy(ctx, all, shadow)); len(looped) == 0 {
				return fmt.Errorf("there is none")
			}
			return nil
		})
	})
	return f
}

// responsesAt returns the events by which the test model responds to an event.
func responsesAt(ctx context.Context, at string) []cloudevents.Event {
	return subscriber.Events(ctx, at, subscriber.WithType("dev.sidenote.test.prediction"))
}

// sentBy returns the events of an InferenceService's own.
func sentBy(ctx context.Context, at, service string) []cloudevents.Event {
	return subscriber.Events(ctx, at, subscriber.WithSource(inferenceservice.ServiceName(service)))
}

// directAndLooped tells the loop events of a service from all others.
func directAndLooped(sent []cloudevents.Event) (direct, looped []cloudevents.Event) {
	for _, e := range sent {
		if e.Type() == loopType {
			looped = append(looped, e)
		} else {
			direct = append(direct, e)
		}
	}
	return direct, looped
}
