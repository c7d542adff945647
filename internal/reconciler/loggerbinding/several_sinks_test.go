/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func TestTheStatusHasTheAddressOfEachSink(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutOnNextChange)
	in.create("a")
	in.b.Spec.Logger.Sink, in.b.Spec.Logger.URL = nil, nil
	in.b.Spec.Logger.Sinks = []v1beta1.LoggerSink{
		{Name: "monitoring", Sink: &duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: "monitoring", Namespace: namespace}}},
		{Name: "audit", URL: apis.HTTPS("audit.example.com")},
	}
	address := &duckv1.Addressable{URL: apis.HTTPS("audit.example.com")}
	in.live.Sinks = sinks.Resolutions{
		"monitoring": {Sink: sinks.Resolution{Err: errors.New("no such Broker")}},
		"audit":      {Sink: sinks.Resolution{Address: address}},
	}
	status := Plan(in.b, in.live, in.platform).Status
	want := &v1alpha1.LoggerStatus{Sinks: []v1alpha1.SinkStatus{{Name: "monitoring"}, {Name: "audit", Sink: address}}}
	if diff := cmp.Diff(want, status.Logger); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
	if condition := status.GetCondition(v1alpha1.SinkResolved); condition.Status != corev1.ConditionFalse || condition.Reason != "NotResolved" {
		t.Errorf("the condition is %+v", condition)
	}
}
