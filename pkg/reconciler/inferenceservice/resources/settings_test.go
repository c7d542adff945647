/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	. "github.com/sidenote-dev/sidenote/pkg/testing/v1beta1"
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
	inForce := inForceFor(is)
	inForce.Agent = *config.FromContextOrDefaults(t.Context()).Agent
	agent := agentOf(t, MakeService(is, "", inForce))
	if limit, found := agent.Resources.Limits[corev1.ResourceCPU]; found {
		t.Errorf("the CPU limit is %s", limit.String())
	}
	if diff := cmp.Diff(map[string]string{"GOMEMLIMIT": "96MiB", "GOMAXPROCS": "4"}, environmentOf(agent)); diff != "" {
		t.Errorf("environment (-want, +got): %s", diff)
	}
	inForce.Agent.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("5500m")
	if got := environmentOf(agentOf(t, MakeService(is, "", inForce)))["GOMAXPROCS"]; got != "6" {
		t.Errorf("with a request of 5.5 CPUs GOMAXPROCS is %s", got)
	}
}

// A pod that is root's must not keep an agent from starting that may not be.
func TestAnAgentIsNeverRoot(t *testing.T) {
	for what, test := range map[string]struct {
		pod  *corev1.PodSecurityContext
		want *int64
	}{
		"no user":          {nil, nil},
		"no user, a group": {&corev1.PodSecurityContext{FSGroup: ptr.Int64(1)}, nil},
		"root":             {&corev1.PodSecurityContext{RunAsUser: ptr.Int64(0)}, ptr.Int64(65532)},
		"another user":     {&corev1.PodSecurityContext{RunAsUser: ptr.Int64(1000)}, nil},
	} {
		is := Seed(WithPredictor(func(p *v1beta1.PredictorSpec) { p.SecurityContext = test.pod }),
			WithModel(func(c *corev1.Container) { c.SecurityContext = &corev1.SecurityContext{RunAsUser: ptr.Int64(0)} }))
		features := map[string]string{"kubernetes.podspec-securitycontext": "enabled"}
		if errs := Validate(withFeatures(t, features), is).Filter(apis.ErrorLevel); errs != nil {
			t.Errorf("%s is refused: %v", what, errs)
		}
		service := made(is)
		security := agentOf(t, service).SecurityContext
		if diff := cmp.Diff(test.want, security.RunAsUser); diff != "" {
			t.Errorf("%s: user (-want, +got): %s", what, diff)
		}
		if diff := cmp.Diff(test.want, security.RunAsGroup); diff != "" {
			t.Errorf("%s: group (-want, +got): %s", what, diff)
		}
		if !*security.RunAsNonRoot {
			t.Errorf("%s: it may be root", what)
		}
		if got := containerOf(t, service, "kfserving-container").SecurityContext.RunAsUser; *got != 0 {
			t.Errorf("%s: the model's user became %d", what, *got)
		}
	}
}
