/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Modes tests that a logger sends the side of the exchange that its mode says,
// and nothing where there is no logger.
func Modes() *feature.Feature {
	const all, silent = "every-event", "silent"
	modes := map[string][]string{
		"all":      {requestType, responseType},
		"request":  {requestType},
		"response": {responseType},
	}
	f := feature.NewFeatureNamed("each mode")
	addBroker(f)
	addSubscriber(f, all)
	for mode := range modes {
		addService(f, "mode-"+mode, inferenceservice.WithLogger(map[string]any{"mode": mode}))
	}
	addService(f, silent, inferenceservice.WithPredictor("logger", nil))
	f.Assert("each mode sends its side only, and no logger nothing", func(ctx context.Context, t feature.T) {
		predictOnce(ctx, t, silent)
		for mode := range modes {
			predictUntilSeen(ctx, t, "mode-"+mode, all)
		}
		predictOnce(ctx, t, silent)
		for mode, types := range modes {
			eventsOf(ctx, t, "mode-"+mode, all, types...)
		}
		if got := subscriber.Events(ctx, all, subscriber.WithSource(inferenceservice.ServiceName(silent))); len(got) != 0 {
			t.Errorf("a service without a logger sent %v", got)
		}
	})
	return f
}
