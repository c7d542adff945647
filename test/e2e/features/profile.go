/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"

	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// The types of the events of KServe's logger.
const (
	kserveRequestType  = "org.kubeflow.serving.inference.request"
	kserveResponseType = "org.kubeflow.serving.inference.response"
)

// ProfileKServe tests that the events of KServe's logger pass a Broker, with the
// same id on both, beside Sidenote's own events at another sink.
func ProfileKServe() *feature.Feature {
	const service, theirs, own = "as-kserve", "kserve-events", "own-events"
	f := feature.NewFeatureNamed("the profile kserve")
	addBroker(f)
	addSubscriber(f, theirs)
	f.Setup("there is a subscriber "+own, subscriber.Install(own))
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"team": "ai-platform"}),
		inferenceservice.WithLogger(map[string]any{
			"metadataAnnotations": []string{"team"},
			"sinks": []map[string]any{
				{"name": "kserve", "sink": map[string]any{"ref": brokerNamed(defaultBroker)}, "profile": "kserve"},
				{"name": "own", "sink": map[string]any{"ref": subscriber.AsReference(own)}},
			},
		}))
	f.Assert("the events are those of KServe's logger", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, theirs)
		id := predictOnce(ctx, t, service)
		awaitTypes(ctx, t, theirs, id, []string{kserveRequestType, kserveResponseType})
		awaitTypes(ctx, t, own, id, []string{requestType, responseType})
		correlation := subscriber.Attribute(subscriber.Events(ctx, own, ofExchange(id))[0], "correlationid")
		events := subscriber.Events(ctx, theirs, ofExchange(id))
		if err := expect("the number of events", len(events), 2); err != nil {
			t.Error(err)
		}
		for _, event := range events {
			data := map[string]string{kserveRequestType: instances, kserveResponseType: predictions}[event.Type()]
			if err := errors.Join(
				expect("id", event.ID(), correlation),
				expect("its data are those of the exchange", sameJSON(string(event.Data()), data), true),
				expect("inferenceservicename", subscriber.Attribute(event, "inferenceservicename"), service),
				expect("component", subscriber.Attribute(event, "component"), "predictor"),
				expect("namespace", subscriber.Attribute(event, "namespace"), environment.FromContext(ctx).Namespace()),
				expect("team", subscriber.Attribute(event, "team"), "ai-platform"),
				expect("annotations", subscriber.Attribute(event, "annotations"), `{"team":"ai-platform"}`),
				expect("metadata", subscriber.Attribute(event, "metadata"), "{}"),
			); err != nil {
				t.Errorf("%s: %v", event.Type(), err)
			}
		}
	})
	return f
}
