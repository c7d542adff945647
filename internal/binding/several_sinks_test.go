/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func bindingToTwo() *v1alpha1.LoggerBinding {
	binding := bindingTo(toAll(), v1beta1.LoggerSpec{Sinks: []v1beta1.LoggerSink{
		{Name: "monitoring", Sink: &duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: "monitoring"}}},
		{Name: "audit", URL: apis.HTTPS("audit.example.com"), Auth: &v1beta1.SinkAuth{Basic: &corev1.LocalObjectReference{Name: "audit"}}},
	}})
	binding.Status.Logger = &v1alpha1.LoggerStatus{Sinks: []v1alpha1.SinkStatus{
		{Name: "monitoring", Sink: &duckv1.Addressable{URL: apis.HTTP("monitoring.example.com")}},
		{Name: "audit", Sink: &duckv1.Addressable{URL: apis.HTTPS("audit.example.com")}},
	}}
	return binding
}

func TestABoundTemplateHasEachSink(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	service := serviceFrom(t, platform, `{spec: {containers: [{image: model}]}}`)
	binding := bindingToTwo()
	injection, obstacle := With(service, binding, platform)
	if obstacle != nil || len(injection.Ignored) > 0 {
		t.Fatalf("the obstacle is %v, ignored: %q", obstacle, injection.Ignored)
	}
	arguments := agentOf(injection.Template).Args
	for _, want := range []string{"--sink=monitoring=http://monitoring.example.com", "--sink=audit=https://audit.example.com", "--sink.audit.basic-auth-dir=/var/run/sidenote/auth/audit"} {
		if !slices.Contains(arguments, want) {
			t.Errorf("without %s: %q", want, arguments)
		}
	}
	same(t, "without the agent", &service.Spec.Template, Without(injection.Template))

	// A status of an earlier generation may have addresses of other sinks.
	binding.Generation++
	injection, _ = With(service, binding, platform)
	if arguments := agentOf(injection.Template).Args; slices.Contains(arguments, "--sink=audit=https://audit.example.com") {
		t.Errorf("with addresses of an earlier generation: %q", arguments)
	}
}

func TestNoSinkOfABindingIsTheServiceItself(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	service := serviceFrom(t, platform, `{spec: {containers: [{image: model}]}}`)
	binding := bindingToTwo()
	binding.Status.Logger.Sinks[0].Sink.URL.Host = "iris.team-a.svc"
	if _, obstacle := With(service, binding, platform); obstacle == nil || obstacle.Reason != v1alpha1.ReasonSinkIsSelf {
		t.Errorf("the obstacle is %v", obstacle)
	}
}

// What the cluster forbids isn't in a new template, even where it was in the one
// before.
func TestAForbiddenSinkIsInNoNewTemplate(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	service := serviceFrom(t, platform, `{spec: {containers: [{image: model}]}}`)
	binding := bindingToTwo()
	injection, _ := With(service, binding, platform)
	platform.Logger.AllowedURIHosts = []string{"*.example.org"}
	injection, obstacle := With(withTemplate(service, injection.Template), binding, platform)
	if obstacle != nil {
		t.Fatalf("the obstacle is %v", obstacle)
	}
	if arguments := agentOf(injection.Template).Args; slices.Contains(arguments, "--sink=audit=https://audit.example.com") {
		t.Errorf("it is in the template: %q", arguments)
	}
}
