/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Rollout tests that a changed listed annotation gives one new Revision, whose
// events carry it, and costs no request.
func Rollout() *feature.Feature {
	const service, all = "rolling", "every-event"
	f := feature.NewFeatureNamed("a changed listed annotation under load")
	addBroker(f)
	addSubscriber(f, all, exact("team", "after"))
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"team": "before"}),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}}))
	f.Assert("it gives a new Revision without a failed request", func(ctx context.Context, t feature.T) {
		before, err := inferenceservice.Get(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		load := startLoad(ctx, before.Status.URL)
		defer load.end(t)
		load.awaitMore(ctx, t, 50)
		if err := inferenceservice.Annotate(ctx, service, "team", "after"); err != nil {
			t.Fatal(err)
		}
		awaitRollout(ctx, t, service, before)
		awaitRevisions(ctx, t, service, 2)
		eventually(ctx, t, "an event with the new value", func(ctx context.Context) error {
			if len(subscriber.Events(ctx, all, subscriber.WithAttribute("team", "after"))) == 0 {
				return fmt.Errorf("there is none")
			}
			return nil
		})
		// The old Revision's pods are taken away meanwhile.
		load.awaitMore(ctx, t, 500)
	})
	return f
}

// awaitRollout waits until a service is ready with a new Revision and new
// metadata.
func awaitRollout(ctx context.Context, t feature.T, service string, before *v1beta1.InferenceService) {
	eventually(ctx, t, "the new metadata to be in force", func(ctx context.Context) error {
		after, err := inferenceservice.Get(ctx, service)
		if err != nil {
			return err
		}
		old, latest := before.Status.Components["predictor"], after.Status.Components["predictor"]
		if after.Status.ObservedMetadata == before.Status.ObservedMetadata {
			return fmt.Errorf("status.observedMetadata is still %q", after.Status.ObservedMetadata)
		}
		if latest.LatestReadyRevision == old.LatestReadyRevision || !after.IsReady() {
			return fmt.Errorf("%s is not yet ready", latest.LatestCreatedRevision)
		}
		return nil
	})
}
