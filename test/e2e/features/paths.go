/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"net/http"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Paths tests that what is inference is its owner's to say: other paths are
// served, and give no event.
func Paths() *feature.Feature {
	const service, at = "by-path", "every-event"
	f := feature.NewFeatureNamed("paths that are inference")
	addDirectService(f, service, at, map[string]any{"paths": []string{"/v1/models/*:predict", "!/v1/models/internal:*"}})
	f.Assert("only they give events", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, at)
		model, err := modelURL(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		client := ingress.NewHTTPClient()
		const tensor = `{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 1]}]}`
		var unseen []string
		for path, body := range map[string]string{"/v1/models/internal:predict": instances, "/v2/models/m/infer": tensor} {
			requestID := newRequestID()
			status, response, err := post(ctx, client, model, path, body, map[string]string{requestIDHeader: requestID})
			if err != nil || status != http.StatusOK {
				t.Fatalf("%s responded with %d %q, %v", path, status, response, err)
			}
			unseen = append(unseen, requestID)
		}
		// Later exchanges have arrived when this returns.
		eventsOf(ctx, t, service, at, requestType, responseType)
		for _, requestID := range unseen {
			if events := subscriber.Events(ctx, at, ofExchange(requestID)); len(events) != 0 {
				t.Errorf("an exchange that is no inference gave %v", events)
			}
		}
	})
	return f
}
