/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/ptr"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func environmentOf(container corev1.Container) map[string]string {
	environment := make(map[string]string)
	for _, variable := range container.Env {
		environment[variable.Name] = variable.Value
	}
	return environment
}

func withResources(limits corev1.ResourceList) Option {
	return WithLogger(func(logger *v1beta1.LoggerSpec) {
		logger.Resources = &corev1.ResourceRequirements{Limits: limits}
	})
}

// One number of one service gives the rest, and no other service changes.
func TestAServiceSizesItsAgent(t *testing.T) {
	agent := agentOf(t, made(Seed(withResources(corev1.ResourceList{
		corev1.ResourceMemory: resource.MustParse("1Gi"), corev1.ResourceCPU: resource.MustParse("800m"),
	}))))
	limits := &agent.Resources.Limits
	if limits.Memory().String() != "1Gi" || limits.Cpu().String() != "800m" {
		t.Errorf("its limits are %v", *limits)
	}
	if diff := cmp.Diff(map[string]string{"GOMEMLIMIT": "768MiB"}, environmentOf(agent)); diff != "" {
		t.Errorf("environment (-want, +got): %s", diff)
	}
	if got := valueOf(t, agent.Args, "buffer-bytes"); got != "268435456" {
		t.Errorf("--buffer-bytes=%s", got)
	}
	if diff := cmp.Diff(agentSettings().Resources, agentOf(t, made(Seed())).Resources); diff != "" {
		t.Errorf("another service's (-want, +got): %s", diff)
	}
}

// A namespace may forbid any CPU limit that we would think of, so there is none,
// and what the Go runtime takes from one is bounded by itself.
func TestNoCPULimitByDefault(t *testing.T) {
	is := defaulted(Seed())
	applied := inForceFor(is)
	applied.Agent = *config.FromContextOrDefaults(t.Context()).Agent
	agent := agentOf(t, MakeService(predictor(is), "", applied))
	if limit, found := agent.Resources.Limits[corev1.ResourceCPU]; found {
		t.Errorf("the CPU limit is %s", limit.String())
	}
	if diff := cmp.Diff(map[string]string{"GOMEMLIMIT": "96MiB", "GOMAXPROCS": "2"}, environmentOf(agent)); diff != "" {
		t.Errorf("environment (-want, +got): %s", diff)
	}
	applied.Agent.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("5500m")
	if got := environmentOf(agentOf(t, MakeService(predictor(is), "", applied)))["GOMAXPROCS"]; got != "6" {
		t.Errorf("with a request of 5.5 CPUs GOMAXPROCS is %s", got)
	}
}

// Neither the agent nor Serving's queue-proxy may be root, and both have the
// pod's user where it names one.
func TestOnlyTheOwnersContainersAreRoot(t *testing.T) {
	const model, sidecar, loader = "kfserving-container", "sidecar", "loader"
	for what, test := range map[string]struct {
		pod *corev1.PodSecurityContext
		// users are those of the pod and of the containers that name none.
		wantPod, want *int64
	}{
		"must not have a user": {nil, nil, nil},
		"no user, a group":     {&corev1.PodSecurityContext{FSGroup: ptr.Int64(1)}, nil, nil},
		"root":                 {&corev1.PodSecurityContext{RunAsUser: ptr.Int64(0), FSGroup: ptr.Int64(1)}, nil, ptr.Int64(0)},
		"another user":         {&corev1.PodSecurityContext{RunAsUser: ptr.Int64(1000)}, ptr.Int64(1000), nil},
	} {
		for _, logger := range []*v1beta1.LoggerSpec{nil, {}} {
			is := Seed(WithPredictor(func(p *v1beta1.PredictorSpec) {
				p.SecurityContext, p.Logger = test.pod, logger
				p.InitContainers = []corev1.Container{{Name: loader, Image: "sidecar"}}
				p.Containers = append(p.Containers, corev1.Container{Name: sidecar, Image: "sidecar",
					SecurityContext: &corev1.SecurityContext{RunAsUser: ptr.Int64(7)}})
			}))
			features := map[string]string{"kubernetes.podspec-securitycontext": "enabled", "kubernetes.podspec-init-containers": "enabled"}
			if errs := Validate(withFeatures(t, features), is).Filter(apis.ErrorLevel); errs != nil {
				t.Errorf("%s is refused: %v", what, errs)
			}
			pod := made(is).Spec.Template.Spec.PodSpec
			got := map[string]*int64{}
			if pod.SecurityContext != nil {
				got["pod"] = pod.SecurityContext.RunAsUser
				if pod.SecurityContext.FSGroup != test.pod.FSGroup && *pod.SecurityContext.FSGroup != *test.pod.FSGroup {
					t.Errorf("%s: the pod's group became %v", what, pod.SecurityContext.FSGroup)
				}
			}
			for _, container := range append(pod.InitContainers, pod.Containers...) {
				if security := container.SecurityContext; security != nil {
					got[container.Name] = security.RunAsUser
				}
			}
			for name, want := range map[string]*int64{
				"pod": test.wantPod, model: test.want, loader: test.want, sidecar: ptr.Int64(7), v1beta1.AgentContainerName: nil,
			} {
				if diff := cmp.Diff(want, got[name]); diff != "" {
					t.Errorf("%s: the user of %s (-want, +got): %s", what, name, diff)
				}
			}
			if logger != nil && !*agentOf(t, made(is)).SecurityContext.RunAsNonRoot {
				t.Errorf("%s: the agent may be root", what)
			}
		}
	}
}

// Without the feature, admission refuses a pod's security context as Serving
// does, also one that names nothing but root.
func TestRootOfAPodNeedsTheFeature(t *testing.T) {
	is := Seed(WithPredictor(func(p *v1beta1.PredictorSpec) {
		p.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr.Int64(0)}
	}))
	errs := Validate(withFeatures(t, nil), is)
	if errs == nil || !strings.Contains(errs.Error(), "spec.predictor.securityContext") || !strings.Contains(errs.Error(), "kubernetes.podspec-securitycontext") {
		t.Errorf("the response is %v", errs)
	}
}
