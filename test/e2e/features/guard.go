/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Guard tests that a credential becomes no attribute: admission refuses one that the
// object brings, and the agent leaves out one that a request brings.
func Guard() *feature.Feature {
	const service, all = "guarded", "every-event"
	f := feature.NewFeatureNamed("credentials as metadata")
	addDirectService(f, service, all, map[string]any{
		"metadata": []map[string]any{{"attribute": "note", "header": "X-Note"}},
	})
	f.Assert("admission refuses the key of a cloud, and doesn't quote it", func(ctx context.Context, t feature.T) {
		// The cloud's own documentation has this key.
		const key = "AKIAIOSFODNN7EXAMPLE"
		for what, object := range map[string]struct{ metadata, logger fields }{
			"an annotation": {fields{"annotations": fields{"team": key}}, fields{"metadataAnnotations": []any{"team"}}},
			"a label":       {fields{"labels": fields{"team": key}}, fields{"metadata": []any{fields{"attribute": "team", "label": "team"}}}},
			"a value":       {nil, fields{"metadata": []any{fields{"attribute": "team", "value": key}}}},
			"an override":   {nil, fields{"ceOverrides": fields{"extensions": fields{"team": key}}}},
		} {
			_, err := inferenceServices(ctx).Create(ctx, example("refused", object.metadata, fields{"logger": object.logger}, nil),
				metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			switch {
			case err == nil:
				t.Errorf("%s was taken", what)
			case !strings.Contains(err.Error(), "denied-values of the cluster's "+config.LoggerConfigName):
				t.Errorf("the refusal of %s doesn't name the list: %v", what, err)
			case strings.Contains(err.Error(), key):
				t.Errorf("the refusal of %s quotes it", what)
			}
		}
	})
	f.Assert("the agent leaves out a bearer token, and says so", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		for note, want := range map[string][2]string{
			"urgent":                            {"urgent", ""},
			"Bearer 0123456789abcdef0123456789": {"", "note"},
		} {
			id := predictWithHeaders(ctx, t, service, map[string]string{"X-Note": note})
			awaitTypes(ctx, t, all, id, []string{requestType, responseType})
			for _, event := range subscriber.Events(ctx, all, ofExchange(id)) {
				if err := errors.Join(
					expect(event.Type()+" note", subscriber.Attribute(event, "note"), want[0]),
					expect(event.Type()+" replaced", subscriber.Attribute(event, "replaced"), want[1]),
				); err != nil {
					t.Error(err)
				}
			}
		}
	})
	return f
}

// TightenedList tests that a longer list of denied values gives one Revision to the
// service that sends such a value, none to another one, and none under Live. It
// changes the cluster's list, so nothing else may run beside this.
func TightenedList() *feature.Feature {
	const affected, other, live, all = "affected", "unaffected", "affected-live", "every-denied"
	const secret = "ticket-4711"
	withoutNote := func(event cloudevents.Event) bool { return subscriber.Attribute(event, "note") == "" }
	f := feature.NewFeatureNamed("a longer list of denied values")
	f.Setup("there is a subscriber "+all, subscriber.Install(all))
	for service, note := range map[string]string{affected: secret, other: "none", live: secret} {
		refresh, replicas := v1beta1.RefreshByRevision, 0
		if service == live {
			// The kubelet passes the change to a pod that there is.
			refresh, replicas = v1beta1.RefreshLive, 1
		}
		f.Setup("there is an InferenceService "+service, func(ctx context.Context, t feature.T) {
			inferenceservice.Install(service,
				inferenceservice.WithAnnotations(map[string]string{"note": note}),
				inferenceservice.WithPredictor("minReplicas", replicas),
				inferenceservice.WithLogger(map[string]any{
					"url": urlOf(ctx, all), "metadataAnnotations": []string{"note"}, "metadataRefresh": refresh,
				}))(ctx, t)
		})
		f.Requirement("the InferenceService "+service+" responds", responds(service))
	}
	f.Assert("it rolls the service that sends such a value, and no other", func(ctx context.Context, t feature.T) {
		revisions := func() {
			awaitReconciled(ctx, t)
			awaitRevisions(ctx, t, affected, 2)
			awaitRevisions(ctx, t, other, 1)
			awaitRevisions(ctx, t, live, 1)
		}
		predictUntilSeen(ctx, t, affected, all, subscriber.WithAttribute("note", secret))
		predictUntilSeen(ctx, t, live, all, subscriber.WithAttribute("note", secret))
		restore := setConfig(ctx, t, config.LoggerConfigName, "denied-values", "ticket-[0-9]+")
		predictUntilSeen(ctx, t, affected, all, withoutNote)
		for _, service := range []string{affected, live} {
			eventually(ctx, t, "MetadataReady to say which value is denied", func(ctx context.Context) error {
				return conditionSays(ctx, service, v1beta1.MetadataReady, "MetadataDenied", "denied-values", "the values of note")
			})
		}
		syncPods(ctx, t, live)
		predictUntilSeen(ctx, t, live, all, withoutNote)
		revisions()
		if err := hasCondition(ctx, other, v1beta1.MetadataReady, corev1.ConditionTrue); err != nil {
			t.Error(err)
		}
		predictUntilSeen(ctx, t, other, all, subscriber.WithAttribute("note", "none"))

		restore()
		revisions()
	})
	return f
}
