/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	servingclient "knative.dev/serving/pkg/client/injection/client"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Canary tests that canaryTrafficPercent divides the traffic between two Revisions,
// promotes and rolls back, and makes no Revision.
func Canary() *feature.Feature {
	const service = "canary"
	f := feature.NewFeatureNamed("a canary")
	addBroker(f)
	addService(f, service)
	set := func(ctx context.Context, t feature.T, change func(*v1beta1.PredictorSpec)) {
		if err := inferenceservice.Update(ctx, service, func(is *v1beta1.InferenceService) { change(&is.Spec.Predictor) }); err != nil {
			t.Fatal(err)
		}
	}
	percent := func(value int64) func(*v1beta1.PredictorSpec) {
		return func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = &value }
	}
	f.Assert("the traffic follows the percentage", func(ctx context.Context, t feature.T) {
		awaitTraffic(ctx, t, service, "100%")
		set(ctx, t, func(p *v1beta1.PredictorSpec) {
			percent(20)(p)
			p.Containers[0].Env = append(p.Containers[0].Env, corev1.EnvVar{Name: "VERSION", Value: "2"})
		})
		awaitTraffic(ctx, t, service, "20% 80% prev")
		awaitRevisions(ctx, t, service, 2)
		set(ctx, t, percent(0))
		awaitTraffic(ctx, t, service, "0% 100% prev")
		set(ctx, t, func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = nil })
		awaitTraffic(ctx, t, service, "100%")
		set(ctx, t, percent(0))
		awaitTraffic(ctx, t, service, "0% 100% prev")
		predictOnce(ctx, t, service)
		awaitRevisions(ctx, t, service, 2)
	})
	return f
}

// awaitTraffic waits until an InferenceService is ready and reports this traffic.
func awaitTraffic(ctx context.Context, t feature.T, name, want string) {
	eventually(ctx, t, "the traffic "+want, func(ctx context.Context) error {
		service, err := inferenceservice.Get(ctx, name)
		if err != nil {
			return err
		}
		var parts []string
		revisions := make(map[string]bool)
		for _, target := range service.Status.Components[v1beta1.PredictorComponent].Traffic {
			revisions[target.RevisionName] = true
			parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d%% %s", target.Percent, target.Tag)))
		}
		if got := strings.Join(parts, " "); got != want || len(revisions) != len(parts) || !service.IsReady() {
			return fmt.Errorf("it is %q over %d Revisions, ready: %t", got, len(revisions), service.IsReady())
		}
		return nil
	})
}

// Transformer tests that a transformer responds for the whole InferenceService, calls
// the predictor and sends events of its own, and that it goes without a trace.
func Transformer() *feature.Feature {
	const service, all = "transformed", "every-event"
	f := feature.NewFeatureNamed("a transformer in front of a predictor")
	addBroker(f)
	addSubscriber(f, all)
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"team": "ai-platform", "stage": "pre"}),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}}),
		inferenceservice.WithTransformer(map[string]any{"metadataAnnotations": []string{"stage"}}))
	f.Assert("one prediction gives events of both components, each with its own attributes", func(ctx context.Context, t feature.T) {
		url, err := modelURL(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		response, err := open(ctx, ingress.NewHTTPClient(), url, "/v1/models/m:predict", instances, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if got := response.Header.Get("X-Transformed"); response.StatusCode != http.StatusOK || got != service {
			t.Errorf("the response is %s, transformed by %q", response.Status, got)
		}
		for component, attribute := range map[string][2]string{"transformer": {"stage", "pre"}, "predictor": {"team", "ai-platform"}} {
			eventually(ctx, t, "events of the "+component, func(ctx context.Context) error {
				if err := predict(ctx, ingress.NewHTTPClient(), url, newRequestID()); err != nil {
					return err
				}
				return expect("there are events", len(subscriber.Events(ctx, all,
					subscriber.WithAttribute("component", component), subscriber.WithAttribute(attribute[0], attribute[1]))) > 0, true)
			})
			if got := subscriber.Events(ctx, all, subscriber.WithAttribute("component", component)); got[0].Source() != service+"-"+component+"-default" {
				t.Errorf("the source of the %s's events is %s", component, got[0].Source())
			}
		}
	})
	f.Assert("its name is its host", func(ctx context.Context, t feature.T) {
		eventually(ctx, t, "the address of the whole InferenceService", func(ctx context.Context) error {
			url, err := modelURL(ctx, service)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(url.Host, service+".") {
				return fmt.Errorf("clients go to %s", url)
			}
			return predict(ctx, ingress.NewHTTPClient(), url, newRequestID())
		})
	})
	f.Assert("without the transformer the predictor responds", func(ctx context.Context, t feature.T) {
		if err := inferenceservice.Update(ctx, service, func(is *v1beta1.InferenceService) { is.Spec.Transformer = nil }); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the transformer's Knative Service to go", func(ctx context.Context) error {
			_, err := servingclient.Get(ctx).ServingV1().Services(environment.FromContext(ctx).Namespace()).
				Get(ctx, service+"-transformer-default", metav1.GetOptions{})
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("it is there: %w", err)
			}
			return nil
		})
		responds(service)(ctx, t)
		awaitRevisions(ctx, t, service, 1)
	})
	return f
}
