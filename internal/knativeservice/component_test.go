/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func TestEachComponentHasANameAndAnAgentOfItsOwn(t *testing.T) {
	is := defaulted(Seed(WithTransformer("transformer:v1", WithMode(v1beta1.LogRequest)), WithExplainer("explainer:v1")))
	for component, want := range map[v1beta1.ComponentType]string{
		v1beta1.PredictorComponent: "all", v1beta1.TransformerComponent: "request", v1beta1.ExplainerComponent: "",
	} {
		service := MakeService(ComponentOf(is, component), "hash", inForceFor(is))
		name := "my-model-" + string(component) + "-default"
		if service.Name != name || service.Spec.Template.Labels["serving.kubeflow.org/component"] != string(component) {
			t.Errorf("the %s is %q with the labels %v", component, service.Name, service.Spec.Template.Labels)
		}
		containers := service.Spec.Template.Spec.Containers
		if want == "" {
			if len(containers) != 1 {
				t.Errorf("the %s has %d containers, and no logger", component, len(containers))
			}
			continue
		}
		args := agentOf(t, service).Args
		got := map[string]string{}
		for _, argument := range []string{"mode", "source", "component", "inference-service"} {
			if hasArgument(args, argument) {
				got[argument] = valueOf(t, args, argument)
			}
		}
		if diff := cmp.Diff(map[string]string{"mode": want, "source": name, "component": string(component), "inference-service": "my-model"}, got); diff != "" {
			t.Errorf("arguments of the agent of the %s (-want, +got): %s", component, diff)
		}
	}
}

func TestATransformerIsToldWhereThePredictorIs(t *testing.T) {
	const host = "my-model-predictor-default.models"
	told := corev1.EnvVar{Name: "PREDICTOR_HOST", Value: host}
	arguments := []string{"--model_name", "my-model", "--predictor_host", host, "--http_port", "8080"}
	for what, test := range map[string]struct {
		container corev1.Container
		args      []string
		env       []corev1.EnvVar
	}{
		"as KServe does": {corev1.Container{}, arguments, []corev1.EnvVar{told}},
		"after its own arguments": {
			corev1.Container{Args: []string{"--verbose"}}, append([]string{"--verbose"}, arguments...), []corev1.EnvVar{told},
		},
		"at its port": {
			corev1.Container{Ports: []corev1.ContainerPort{{ContainerPort: 9000}}},
			[]string{"--model_name", "my-model", "--predictor_host", host, "--http_port", "9000"}, []corev1.EnvVar{told},
		},
		"but for what it is told already": {
			corev1.Container{Command: []string{"serve", "--http_port=8080"}, Args: []string{"--model_name", "other"}},
			[]string{"--model_name", "other", "--predictor_host", host}, []corev1.EnvVar{told},
		},
		"by an argument of its own": {
			corev1.Container{Args: []string{"--upstream=$(PREDICTOR_HOST)"}}, []string{"--upstream=$(PREDICTOR_HOST)"}, []corev1.EnvVar{told},
		},
		"by a variable of its own": {
			corev1.Container{Env: []corev1.EnvVar{{Name: "UPSTREAM", Value: "http://$(PREDICTOR_HOST)"}}},
			nil, []corev1.EnvVar{told, {Name: "UPSTREAM", Value: "http://$(PREDICTOR_HOST)"}},
		},
		"unless it says so itself": {
			corev1.Container{Env: []corev1.EnvVar{{Name: "PREDICTOR_HOST", Value: "elsewhere"}}},
			arguments, []corev1.EnvVar{{Name: "PREDICTOR_HOST", Value: "elsewhere"}},
		},
	} {
		for _, component := range []v1beta1.ComponentType{v1beta1.TransformerComponent, v1beta1.ExplainerComponent} {
			is := Seed(WithTransformer("t"), WithExplainer("e"))
			test.container.Image = "image"
			is.Spec.Component(component).Containers = []corev1.Container{test.container}
			got := MakeService(ComponentOf(defaulted(is), component), "", Applied{}).Spec.Template.Spec.Containers[0]
			if diff := cmp.Diff(test.args, got.Args); diff != "" {
				t.Errorf("%s: arguments of the %s (-want, +got): %s", what, component, diff)
			}
			if diff := cmp.Diff(test.env, got.Env); diff != "" {
				t.Errorf("%s: environment of the %s (-want, +got): %s", what, component, diff)
			}
		}
	}
	if got := made(Seed(WithTransformer("t"))).Spec.Template.Spec.Containers[0]; got.Args != nil {
		t.Errorf("the predictor is told %q", got.Args)
	}
}

// Another component is no change of this one, and makes no Revision of it.
func TestAComponentIsNoPartOfAnothersHash(t *testing.T) {
	alone, with := defaulted(Seed()), defaulted(Seed(WithTransformer("transformer:v1")))
	if OwnerHash(predictor(alone), nil) != OwnerHash(predictor(with), nil) {
		t.Error("a transformer changes the hash of the predictor")
	}
	other := defaulted(Seed(WithImage("model:v2"), WithTransformer("transformer:v1")))
	if OwnerHash(ComponentOf(with, v1beta1.TransformerComponent), nil) != OwnerHash(ComponentOf(other, v1beta1.TransformerComponent), nil) {
		t.Error("another image of the predictor changes the hash of the transformer")
	}
}

func TestWhatServingRefusesOfAComponentIsSaidOfIt(t *testing.T) {
	least := int64(-1)
	is := Seed(WithTransformer("transformer:v1"))
	is.Spec.Transformer.ContainerConcurrency = &least
	is.Spec.Transformer.NodeSelector = map[string]string{"gpu": "a100"}
	var paths []string
	for _, violation := range Validate(t.Context(), is).Filter(apis.ErrorLevel).WrappedErrors() {
		paths = append(paths, violation.Paths...)
	}
	slices.Sort(paths)
	if want := []string{"spec.transformer.containerConcurrency", "spec.transformer.nodeSelector"}; !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
}
