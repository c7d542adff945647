/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// MetadataSources tests that a Trigger selects events by an attribute of each source,
// and that the status names the sources that the object lacks.
func MetadataSources() *feature.Feature {
	const service, all, acme, squad = "sources", "every-event", "acme", "squad"
	f := feature.NewFeatureNamed("sources of metadata")
	addBroker(f)
	addSubscriber(f, all)
	addSubscriber(f, acme, exact("tier", "gold"), exact("site", "berlin"), exact("tenant", "acme"),
		exact("xregion", "東京 50%"), exact("stage", "test"), exact("team", "ai-platform"))
	// An annotation that is added later.
	addSubscriber(f, squad, exact("squad", "red"))
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"example.com/team": "ai-platform", "example.com/source": "another tool's"}),
		inferenceservice.WithLabels(map[string]string{"example.com/tier": "gold"}),
		inferenceservice.WithPredictor("minReplicas", 1),
		inferenceservice.WithLogger(map[string]any{
			"metadataRefresh":     "Live",
			"metadataAnnotations": []string{"owner", "example.com/*"},
			"metadataHeaders":     []string{"x-region"},
			"metadata": []map[string]any{
				{"attribute": "tier", "label": "example.com/tier"},
				{"attribute": "zone", "label": "example.com/zone"},
				{"attribute": "tenant", "header": "X-Tenant"},
				{"attribute": "site", "value": "berlin"},
			},
			"ceOverrides": map[string]any{"extensions": map[string]string{"stage": "test"}},
		}))
	f.Assert("a Trigger selects events by each", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		types := []string{requestType, responseType}
		eventually(ctx, t, "events at "+acme, func(ctx context.Context) error {
			predictAs(ctx, t, service, "acme")
			if len(subscriber.Events(ctx, acme)) == 0 {
				return fmt.Errorf("it got none")
			}
			return nil
		})
		theirs := predictAs(ctx, t, service, "other")
		ours := predictAs(ctx, t, service, "acme")
		none := predictOnce(ctx, t, service)
		awaitTypes(ctx, t, acme, ours, types)
		for id, tenant := range map[string]string{theirs: "other", ours: "acme", none: ""} {
			awaitTypes(ctx, t, all, id, types)
			for _, event := range subscriber.Events(ctx, all, ofExchange(id)) {
				if err := expect(event.Type()+" tenant", subscriber.Attribute(event, "tenant"), tenant); err != nil {
					t.Error(err)
				}
			}
		}
		if got := subscriber.Events(ctx, acme, func(event cloudevents.Event) bool { return subscriber.Attribute(event, "tenant") != "acme" }); len(got) != 0 {
			t.Errorf("the Trigger let through %v", got)
		}
	})
	f.Assert("the status names what is missing, and an annotation that is added then is on the events", func(ctx context.Context, t feature.T) {
		eventually(ctx, t, "the status", func(ctx context.Context) error {
			is, err := inferenceservice.Get(ctx, service)
			if err != nil {
				return err
			}
			status := is.Status.Logger
			if status == nil {
				return fmt.Errorf("there is no status.logger")
			}
			return errors.Join(
				expect("attributes", fmt.Sprint(slices.Sorted(slices.Values(status.Attributes))), "[site stage team tier]"),
				expect("headerAttributes", fmt.Sprint(slices.Sorted(slices.Values(status.HeaderAttributes))), "[tenant xregion]"),
				expect("missingAnnotations", fmt.Sprint(status.MissingAnnotations), "[owner]"),
				expect("missingLabels", fmt.Sprint(status.MissingLabels), "[example.com/zone]"),
				conditionSays(ctx, service, v1beta1.MetadataReady, "AnnotationMissing", "owner", "example.com/zone", "example.com/source"),
			)
		})
		if err := inferenceservice.Annotate(ctx, service, "example.com/squad", "red"); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "events at "+squad, func(ctx context.Context) error {
			syncPods(ctx, t, service)
			predictOnce(ctx, t, service)
			if len(subscriber.Events(ctx, squad)) == 0 {
				return fmt.Errorf("it got none")
			}
			return nil
		})
		awaitRevisions(ctx, t, service, 1)
	})
	return f
}

// predictAs sends a prediction with headers of a tenant, and gives the exchange's name.
func predictAs(ctx context.Context, t feature.T, service, tenant string) string {
	return predictWithHeaders(ctx, t, service, map[string]string{"x-tenant": tenant, "X-Region": "東京 50%"})
}

// predictWithHeaders sends one prediction with headers, and gives the exchange's name.
func predictWithHeaders(ctx context.Context, t feature.T, service string, headers map[string]string) string {
	model, err := modelURL(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	requestID := newRequestID()
	all := map[string]string{requestIDHeader: requestID}
	maps.Copy(all, headers)
	if err := predictWith(ctx, ingress.NewHTTPClient(), model, all); err != nil {
		t.Fatal(err)
	}
	return requestID
}
