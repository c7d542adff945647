/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func TestWhatCannotHaveTheAgent(t *testing.T) {
	none := func(*servingv1.Service) {}
	for what, test := range map[string]struct {
		template string
		change   func(*servingv1.Service)
		features map[string]string
		reason   v1alpha1.SubjectReason
		message  string
	}{
		"KServe's logger":             {`{metadata: {annotations: {internal.serving.kserve.io/logger: "true"}}, spec: {containers: [{image: model}]}}`, none, nil, v1alpha1.ReasonConflict, "internal.serving.kserve.io/logger"},
		"KServe's batcher":            {`{metadata: {annotations: {internal.serving.kserve.io/batcher: "true"}}, spec: {containers: [{image: model}]}}`, none, nil, v1alpha1.ReasonConflict, "batcher"},
		"KServe's agent":              {`{metadata: {annotations: {internal.serving.kserve.io/agent: "true"}}, spec: {containers: [{image: model}]}}`, none, nil, v1alpha1.ReasonConflict, "same port"},
		"an InferenceService of ours": {`{spec: {containers: [{image: model}]}}`, controlledBy("serving.kubeflow.org/v1beta1", "InferenceService"), nil, v1alpha1.ReasonOwnLogger, `InferenceService "owner"`},
		"one of KServe's":             {`{spec: {containers: [{image: model}]}}`, controlledBy("serving.kserve.io/v1beta1", "InferenceService"), nil, "", ""},
		"the agent's port":            {`{spec: {containers: [{image: model, ports: [{containerPort: 9081}]}]}}`, none, nil, v1alpha1.ReasonReservedPort, "9081"},
		"the agent's other port":      {`{spec: {containers: [{image: model, ports: [{containerPort: 9082}]}]}}`, none, nil, v1alpha1.ReasonReservedPort, "9082"},
		"a container's name":          {`{spec: {containers: [{image: model, ports: [{}]}, {name: sidenote-agent, image: agent}]}}`, none, nil, v1alpha1.ReasonReservedName, "rename it"},
		"a volume's name":             {`{spec: {containers: [{image: model}], volumes: [{name: sidenote-trust, emptyDir: {}}]}}`, none, nil, v1alpha1.ReasonReservedName, "sidenote-trust"},
		"a command as a probe":        {`{spec: {containers: [{image: model, readinessProbe: {exec: {command: ["true"]}}}]}}`, none, nil, v1alpha1.ReasonRefused, "multi-container-probing"},
		"a command, with the feature": {`{spec: {containers: [{image: model, readinessProbe: {exec: {command: ["true"]}}}]}}`, none, map[string]string{"multi-container-probing": "enabled"}, "", ""},
		"a liveness probe":            {`{spec: {containers: [{image: model, livenessProbe: {httpGet: {path: /}}}]}}`, none, nil, v1alpha1.ReasonRefused, "multi-container-probing"},
		"no emptyDir":                 {`{spec: {containers: [{image: model}]}}`, none, map[string]string{"kubernetes.podspec-volumes-emptydir": "disabled"}, v1alpha1.ReasonRefused, "kubernetes.podspec-volumes-emptydir"},
		"no container with a port":    {`{spec: {containers: [{image: model}, {image: other}]}}`, none, nil, v1alpha1.ReasonRefused, "also without the agent"},
		"a variable of Serving's":     {`{spec: {containers: [{image: model, env: [{name: PORT, value: "1"}]}]}}`, none, nil, v1alpha1.ReasonRefused, "PORT"},
		"the name of the Revision":    {`{metadata: {name: iris-v1}, spec: {containers: [{image: model}]}}`, none, nil, "", ""},
		"an initContainer":            {`{spec: {initContainers: [{name: sidenote-init, image: model}], containers: [{image: model}]}}`, none, map[string]string{"kubernetes.podspec-init-containers": "enabled"}, v1alpha1.ReasonReservedName, "sidenote-init"},
	} {
		t.Run(what, func(t *testing.T) {
			platform := platformWith(t, "agent:v1", test.features)
			service := serviceFrom(t, platform, test.template)
			test.change(service)
			binding := bindingTo(toAll(), v1beta1.LoggerSpec{})
			got := Admit(nil, service, []*v1alpha1.LoggerBinding{binding}, platform)
			_, obstacle := With(service, binding, platform)
			switch {
			case test.reason == "":
				if obstacle != nil || agentOf(got) == nil {
					t.Errorf("there is an obstacle: %v", obstacle)
				}
			case obstacle == nil || obstacle.Reason != test.reason || !strings.Contains(obstacle.Message, test.message):
				t.Errorf("the obstacle is %v", obstacle)
			default:
				same(t, "admitted", &service.Spec.Template, got)
			}
		})
	}
}

// Whatever Serving says of the agent, the template is stored without it then.
func TestServingMayRefuseTheAgent(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	platform.Agent.Image = "no image!"
	service := serviceFrom(t, platform, `{spec: {containers: [{image: model}]}}`)
	binding := bindingTo(toAll(), v1beta1.LoggerSpec{})
	if _, obstacle := With(service, binding, platform); obstacle == nil || obstacle.Reason != v1alpha1.ReasonRefused || !strings.Contains(obstacle.Message, "with the agent") {
		t.Errorf("the obstacle is %v", obstacle)
	}
	same(t, "admitted", &service.Spec.Template, Admit(nil, service, []*v1alpha1.LoggerBinding{binding}, platform))
}

func controlledBy(apiVersion, kind string) func(*servingv1.Service) {
	return func(service *servingv1.Service) {
		service.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "owner", Controller: new(true)}}
	}
}

func TestAServiceIsNoSinkOfItsOwnEvents(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	service := serviceFrom(t, platform, `{spec: {containers: [{image: model}]}}`)
	for host, isSelf := range map[string]bool{"iris.team-a.svc.cluster.local": true, "iris.team-a.svc": true, "iris": true, "iris.team-b.svc.cluster.local": false} {
		binding := bindingTo(toAll(), v1beta1.LoggerSpec{})
		binding.Status.Logger.Sink.URL.Host = host
		if _, obstacle := With(service, binding, platform); (obstacle != nil && obstacle.Reason == v1alpha1.ReasonSinkIsSelf) != isSelf {
			t.Errorf("%s: the obstacle is %v", host, obstacle)
		}
	}
}

// An agent goes when its template can't have one any more: here KServe's own comes.
func TestAConflictRemovesTheAgent(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	bare := serviceFrom(t, platform, `{spec: {containers: [{image: model}]}}`)
	bindings := []*v1alpha1.LoggerBinding{bindingTo(toAll(), v1beta1.LoggerSpec{})}
	stored := withTemplate(bare, Admit(nil, bare, bindings, platform))
	for _, updated := range []*servingv1.Service{bare.DeepCopy(), stored.DeepCopy()} {
		metav1.SetMetaDataAnnotation(&updated.Spec.Template.ObjectMeta, "internal.serving.kserve.io/logger", "true")
		want := bare.DeepCopy()
		metav1.SetMetaDataAnnotation(&want.Spec.Template.ObjectMeta, "internal.serving.kserve.io/logger", "true")
		same(t, "with KServe's logger", &want.Spec.Template, Admit(stored, updated, bindings, platform))
	}
}

func TestAFixedRevisionWaitsForAName(t *testing.T) {
	if obstacle := FixedRevision(&servingv1.RevisionTemplateSpec{}); obstacle != nil {
		t.Errorf("without a name: %v", obstacle)
	}
	named := &servingv1.RevisionTemplateSpec{ObjectMeta: metav1.ObjectMeta{Name: "iris-v1"}}
	if obstacle := FixedRevision(named); obstacle == nil || obstacle.Reason != v1alpha1.ReasonWaitingForRevisionName || !strings.Contains(obstacle.Message, "iris-v1") {
		t.Errorf("with a name: %v", obstacle)
	}
}
