/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingv1beta3 "knative.dev/eventing/pkg/apis/eventing/v1beta3"
	eventingclient "knative.dev/eventing/pkg/client/injection/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// EventTypes tests that the Broker's users find the types of a service's events,
// and no longer than the service sends them.
func EventTypes() *feature.Feature {
	const service = "described"
	f := feature.NewFeatureNamed("EventTypes")
	addBroker(f)
	addService(f, service, inferenceservice.WithAnnotations(map[string]string{"team": "ai-platform"}),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}, "events": []string{"request", "response"}}))
	f.Assert("they follow the logger", func(ctx context.Context, t feature.T) {
		awaitEventTypes(ctx, t, service, requestType, responseType)
		list, err := eventTypesOf(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			// Eventing may store the attributes in a version that has few of them.
			if got := list[i].Spec.Description; !strings.Contains(got, "team=ai-platform") {
				t.Errorf("%s has the description %q", list[i].Name, got)
			}
			if ref := list[i].Spec.Reference; ref == nil || ref.Kind != "Broker" || ref.Name != defaultBroker {
				t.Errorf("%s refers to %+v", list[i].Name, ref)
			}
		}
		err = inferenceservice.Update(ctx, service, func(is *v1beta1.InferenceService) {
			is.Spec.Predictor.Logger.Events = []string{"request"}
		})
		if err != nil {
			t.Fatal(err)
		}
		awaitEventTypes(ctx, t, service, requestType)
		err = inferenceservice.Update(ctx, service, func(is *v1beta1.InferenceService) { is.Spec.Predictor.Logger = nil })
		if err != nil {
			t.Fatal(err)
		}
		awaitEventTypes(ctx, t, service)
	})
	return f
}

func eventTypesOf(ctx context.Context, service string) ([]eventingv1beta3.EventType, error) {
	list, err := eventingclient.Get(ctx).EventingV1beta3().EventTypes(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
		LabelSelector: "eventtypes.sidenote.dev/service=" + inferenceservice.ServiceName(service),
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func awaitEventTypes(ctx context.Context, t feature.T, service string, types ...string) {
	slices.Sort(types)
	eventually(ctx, t, fmt.Sprintf("the EventTypes %v of %s", types, service), func(ctx context.Context) error {
		list, err := eventTypesOf(ctx, service)
		if err != nil {
			return err
		}
		var got []string
		for i := range list {
			got = append(got, valueOf(&list[i], "type"))
		}
		slices.Sort(got)
		if !slices.Equal(got, types) {
			return fmt.Errorf("they are %v", got)
		}
		return nil
	})
}

// valueOf returns the value of an attribute of an EventType, or "".
func valueOf(eventType *eventingv1beta3.EventType, attribute string) string {
	for _, definition := range eventType.Spec.Attributes {
		if definition.Name == attribute {
			return definition.Value
		}
	}
	return ""
}
