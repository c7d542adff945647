/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"maps"
	"slices"

	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Filters tests every dialect of a Trigger's filters over metadata: each Trigger lets
// the events of one of two services through. An Integer arrives as text, and the
// dialects that compare text and numbers select it.
func Filters() *feature.Feature {
	const chosen, other = "chosen", "other"
	type filter = eventingv1.SubscriptionsAPIFilter
	prefix := func(attribute, value string) filter { return filter{Prefix: map[string]string{attribute: value}} }
	suffix := func(attribute, value string) filter { return filter{Suffix: map[string]string{attribute: value}} }
	ofOther := exact("region", "大阪 50%")
	dialects := map[string]filter{
		"exact":  exact("region", "東京 50% 🗼"),
		"prefix": prefix("region", "東"),
		"suffix": suffix("region", "🗼"),
		"all":    {All: []filter{exact("team", "ai-platform"), prefix("region", "東京"), exact("statuscode", "200")}},
		"any":    {Any: []filter{exact("team", "nobody"), suffix("region", " 🗼")}},
		"not":    {Not: &ofOther},
		"cesql":  {CESQL: `team = 'ai-platform' AND region LIKE '東京%' AND priority > 5 AND (NOT EXISTS statuscode OR statuscode = 200)`},
	}
	responsesOnly := map[string]bool{"all": true}
	f := feature.NewFeatureNamed("every dialect of filters over metadata")
	addBroker(f)
	for _, dialect := range slices.Sorted(maps.Keys(dialects)) {
		addSubscriber(f, dialect, dialects[dialect])
	}
	for service, region := range map[string]string{chosen: "東京 50% 🗼", other: "大阪 50%"} {
		priority := map[string]string{chosen: "42", other: "5"}[service]
		addService(f, service,
			inferenceservice.WithAnnotations(map[string]string{"team": "ai-platform", "region": region, "priority": priority}),
			inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team", "region", "priority"}}))
	}
	for _, dialect := range slices.Sorted(maps.Keys(dialects)) {
		f.Assert(dialect+" selects the events of one service", func(ctx context.Context, t feature.T) {
			predictUntilSeen(ctx, t, chosen, dialect)
			predictOnce(ctx, t, other)
			types := []string{requestType, responseType}
			if responsesOnly[dialect] {
				types = []string{responseType}
			}
			for _, event := range eventsOf(ctx, t, chosen, dialect, types...) {
				if err := expect("region", subscriber.Attribute(event, "region"), "東京 50% 🗼"); err != nil {
					t.Error(err)
				}
				if event.Type() != responseType {
					continue
				}
				for _, name := range []string{"statuscode", "durationms"} {
					if value, isText := event.Extensions()[name].(string); !isText || value == "" {
						t.Errorf("%s arrived as %T, not as text", name, event.Extensions()[name])
					}
				}
			}
			if got := subscriber.Events(ctx, dialect, subscriber.WithSource(inferenceservice.ServiceName(other))); len(got) != 0 {
				t.Error(fmt.Errorf("the Trigger let through %v", got))
			}
		})
	}
	return f
}
