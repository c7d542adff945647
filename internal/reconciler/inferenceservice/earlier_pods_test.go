/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const (
	ownTrust      = "my-model-predictor-default-trust"
	sharedTrust   = "sidenote-trust"
	ownAttributes = "my-model-predictor-default-metadata"
)

// contents returns the data of each ConfigMap in the InferenceService's namespace.
func (w *world) contents() map[string]map[string]string {
	contents := make(map[string]map[string]string)
	for _, object := range w.configMaps.List() {
		configMap := object.(*corev1.ConfigMap)
		contents[configMap.Name] = configMap.Data
	}
	return contents
}

// rollout brings the Knative Service's status from one that has not seen a
// change to one where the new Revision serves alone, a step at a time.
var rollout = []struct {
	what string
	// alone says that no pod of the Revision before serves.
	alone  bool
	status func(*servingv1.ServiceStatus)
}{
	{"before Serving has seen the change", false, func(*servingv1.ServiceStatus) {}},
	{"before Serving has seen the change of the Configuration", false, func(status *servingv1.ServiceStatus) {
		status.ObservedGeneration = 2
		status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionUnknown, Reason: "OutOfDate"}}
	}},
	{"while the new Revision starts", false, func(status *servingv1.ServiceStatus) {
		status.LatestCreatedRevisionName = "two"
		status.LatestReadyRevisionName = "one"
		status.Traffic = []servingv1.TrafficTarget{{RevisionName: "one", Percent: ptr.Int64(100)}}
	}},
	{"when the new Revision has failed", false, func(status *servingv1.ServiceStatus) {
		status.Conditions = duckv1.Conditions{
			{Type: servingv1.ServiceConditionConfigurationsReady, Status: corev1.ConditionFalse},
			{Type: apis.ConditionReady, Status: corev1.ConditionFalse},
		}
	}},
	{"before the Route has seen that the new Revision is ready", false, func(status *servingv1.ServiceStatus) {
		status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionTrue}}
		status.LatestReadyRevisionName = "two"
	}},
	{"in a gradual rollout", false, func(status *servingv1.ServiceStatus) {
		status.Traffic = []servingv1.TrafficTarget{{RevisionName: "one", Percent: ptr.Int64(90)}, {RevisionName: "two", Percent: ptr.Int64(10)}}
	}},
	{"when the new Revision serves alone", true, func(status *servingv1.ServiceStatus) {
		status.Traffic = []servingv1.TrafficTarget{{RevisionName: "two", Percent: ptr.Int64(100)}}
	}},
}

// Pods of the Revision before start and serve until the new one serves alone:
// without these ConfigMaps they lose a private authority, the current address of
// the sink, and metadata.
func TestEarlierPodsKeepTheirConfigMaps(t *testing.T) {
	for what, test := range map[string]struct {
		change []Option
		// left are the ConfigMaps in the end.
		left []string
	}{
		"the logger is removed":        {[]Option{WithoutLogger()}, nil},
		"metadata is live no more":     {[]Option{WithLogger(WithRefresh(v1beta1.RefreshByRevision))}, []string{ownTrust, sharedTrust}},
		"the sink becomes another one": {[]Option{WithLogger(WithBroker("other"))}, []string{ownAttributes, ownTrust, sharedTrust}},
	} {
		t.Run(what, func(t *testing.T) {
			w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
			w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
			authority := Authority("eventing", 0)
			secured := ingress("default")
			secured.URL.Scheme, secured.CACerts = "https", &authority
			w.appear(brokers, "default", secured)
			w.appear(brokers, "other", ingress("other"))
			w.settle()
			before := w.contents()
			if len(before) != 3 {
				t.Fatalf("the ConfigMaps are %q", before)
			}

			w.owner(test.change...)
			for _, step := range rollout {
				w.settle()
				w.change(func(service *servingv1.Service) { step.status(&service.Status) })
				w.settle()
				w.assertWritten(w.settle())
				now := w.contents()
				if step.alone {
					var left []string
					for name := range now {
						left = append(left, name)
					}
					slices.Sort(left)
					if !slices.Equal(left, test.left) {
						t.Errorf("%s, there are %q, want %q", step.what, left, test.left)
					}
					continue
				}
				for name, data := range before {
					for key, value := range data {
						if now[name][key] != value {
							t.Errorf("%s, %s of %s is %q, want %q", step.what, key, name, now[name][key], value)
						}
					}
				}
			}
			if w.revisions() != 2 {
				t.Errorf("%d Revisions, want 2", w.revisions())
			}
		})
	}
}

// An owner who takes the removal back has what there was.
func TestALoggerThatComesBackFindsItsConfigMaps(t *testing.T) {
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
	w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
	w.settle()
	before := w.contents()
	logger := w.is().Spec.Predictor.Logger.DeepCopy()
	w.owner(WithoutLogger())
	w.settle()
	w.owner(With(func(is *v1beta1.InferenceService) { is.Spec.Predictor.Logger = logger }))
	w.settle()
	w.serve()
	w.settle()
	if diff := cmp.Diff(before, w.contents()); diff != "" {
		t.Errorf("(-before, +after): %s", diff)
	}
}

// The cluster's authorities come to a namespace only for an agent.
func TestARolloutWithoutALoggerWritesNoConfigMap(t *testing.T) {
	w := running(t, WithoutLogger())
	w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
	w.owner(WithImage("model:v2"))
	for _, step := range rollout {
		w.settle()
		w.change(func(service *servingv1.Service) { step.status(&service.Status) })
		w.settle()
		if got := w.contents(); len(got) != 0 {
			t.Fatalf("%s, there are %q", step.what, got)
		}
	}
}
