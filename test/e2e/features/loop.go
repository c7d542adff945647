/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// LoopGuard is that a model which subscribes to the events of a Broker, and
// logs to the same Broker, doesn't feed itself.
func LoopGuard() *feature.Feature {
	const front, shadow, all = "front", "shadow", "every-event"
	// The test model answers a CloudEvent with one of this type.
	const shadowAnswer = "dev.sidenote.test.prediction"
	f := feature.NewFeatureNamed("an InferenceService behind a Trigger")
	addBroker(f)
	addSubscriber(f, all)
	addService(f, front)
	addService(f, shadow)
	addTrigger(f, shadow, inferenceservice.AsReference(shadow), "/v1/models/m:predict", exact("type", requestType))
	f.Assert("it predicts once for each request event, and sends no event of that", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, front, all)
		eventually(ctx, t, "an answer of the model behind the Trigger", func(ctx context.Context) error {
			predictOnce(ctx, t, front)
			if len(subscriber.Events(ctx, all, subscriber.WithType(shadowAnswer))) == 0 {
				return fmt.Errorf("there is none")
			}
			return nil
		})
		// From here on the Trigger loses nothing: each request gives one answer.
		const more = 5
		before := len(subscriber.Events(ctx, all, subscriber.WithType(shadowAnswer)))
		for range more {
			eventsOf(ctx, t, front, all, requestType, responseType)
		}
		eventually(ctx, t, "an answer to each request", func(ctx context.Context) error {
			answers := len(subscriber.Events(ctx, all, subscriber.WithType(shadowAnswer)))
			if answers < before+2*more {
				return fmt.Errorf("there are %d, want %d or more", answers, before+2*more)
			}
			return nil
		})
		eventsOf(ctx, t, front, all, requestType, responseType)
		requests := len(subscriber.Events(ctx, all, subscriber.WithType(requestType), subscriber.WithSource(inferenceservice.ServiceName(front))))
		if answers := len(subscriber.Events(ctx, all, subscriber.WithType(shadowAnswer))); answers > requests {
			t.Errorf("the model behind the Trigger answered %d times to %d requests", answers, requests)
		}
		if got := subscriber.Events(ctx, all, subscriber.WithSource(inferenceservice.ServiceName(shadow))); len(got) != 0 {
			t.Errorf("the model behind the Trigger sent %v", got)
		}
	})
	return f
}
