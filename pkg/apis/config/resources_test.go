/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func requirements(t *testing.T, text string) *corev1.ResourceRequirements {
	t.Helper()
	own := new(corev1.ResourceRequirements)
	if err := yaml.UnmarshalStrict([]byte(text), own); err != nil {
		t.Fatal(err)
	}
	return own
}

func written(t *testing.T, resources corev1.ResourceRequirements) string {
	t.Helper()
	text, err := yaml.Marshal(resources)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\n", " ")), " ")
}

func TestAServicesResourcesReplaceTheClusters(t *testing.T) {
	for what, test := range map[string]struct {
		cluster      map[string]string
		own          string
		want         string
		runtimeLimit string
		buffer       int64
	}{
		"none":            {nil, `{}`, "limits: memory: 128Mi requests: cpu: 25m memory: 64Mi", "96MiB", 32 << 20},
		"a CPU limit":     {nil, `{limits: {cpu: 800m}}`, "limits: cpu: 800m memory: 128Mi requests: cpu: 25m memory: 64Mi", "96MiB", 32 << 20},
		"a low CPU limit": {nil, `{limits: {cpu: 10m}}`, "limits: cpu: 10m memory: 128Mi requests: cpu: 10m memory: 64Mi", "96MiB", 32 << 20},
		"over the cluster's CPU limit": {
			map[string]string{"cpu-limit": "1"}, `{requests: {cpu: 2}, limits: {cpu: 4}}`,
			"limits: cpu: \"4\" memory: 128Mi requests: cpu: \"2\" memory: 64Mi", "96MiB", 32 << 20,
		},
		"more memory": {nil, `{limits: {memory: 1Gi}}`, "limits: memory: 1Gi requests: cpu: 25m memory: 64Mi", "768MiB", 256 << 20},
		"less memory": {nil, `{limits: {memory: 32Mi}}`, "limits: memory: 32Mi requests: cpu: 25m memory: 32Mi", "16MiB", 16 << 20 / 3},
		"memory that the cluster divides itself": {
			map[string]string{"gomemlimit": "50MiB", "buffer-bytes": "10000000"}, `{limits: {memory: 256Mi}}`,
			"limits: memory: 256Mi requests: cpu: 25m memory: 64Mi", "192MiB", 64 << 20,
		},
		"a request alone keeps the cluster's division": {
			map[string]string{"gomemlimit": "50MiB", "buffer-bytes": "10000000"}, `{requests: {memory: 100Mi}}`,
			"limits: memory: 128Mi requests: cpu: 25m memory: 100Mi", "50MiB", 10_000_000,
		},
		"storage": {
			nil, `{requests: {ephemeral-storage: 1Gi}, limits: {ephemeral-storage: 2Gi}}`,
			"limits: ephemeral-storage: 2Gi memory: 128Mi requests: cpu: 25m ephemeral-storage: 1Gi memory: 64Mi", "96MiB", 32 << 20,
		},
	} {
		data := map[string]string{"image": "agent"}
		for key, value := range test.cluster {
			data[key] = value
		}
		cluster, err := NewAgentFromConfigMap(&corev1.ConfigMap{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		before := written(t, cluster.Resources)
		agent, errs := cluster.WithResources(requirements(t, test.own))
		if errs != nil {
			t.Errorf("%s: %v", what, errs)
			continue
		}
		if diff := cmp.Diff(test.want, written(t, agent.Resources)); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
		if agent.GoMemoryLimit != test.runtimeLimit || agent.BufferBytes != test.buffer {
			t.Errorf("%s: gomemlimit %s, buffer %d, want %s, %d", what, agent.GoMemoryLimit, agent.BufferBytes, test.runtimeLimit, test.buffer)
		}
		if written(t, cluster.Resources) != before {
			t.Errorf("%s changes the cluster's", what)
		}
	}
	if agent, errs := defaultAgent().WithResources(nil); errs != nil || agent.GoMemoryLimit != "96MiB" {
		t.Errorf("without any: %+v, %v", agent, errs)
	}
}

func TestAServicesResourcesAreRefusedByName(t *testing.T) {
	for what, test := range map[string]struct {
		own, field, says string
		payload          string
	}{
		"a GPU":                   {own: `{limits: {nvidia.com/gpu: 1}}`, field: "limits.nvidia.com/gpu", says: "write cpu, memory or ephemeral-storage"},
		"a claim":                 {own: `{claims: [{name: gpu}]}`, field: "claims", says: "must not set"},
		"no CPU":                  {own: `{requests: {cpu: 0}}`, field: "requests.cpu", says: "write more than 0"},
		"less than none":          {own: `{limits: {memory: -1Gi}}`, field: "limits.memory", says: "write more than 0"},
		"too little memory":       {own: `{limits: {memory: 31Mi}}`, field: "limits.memory", says: "write at least 32Mi"},
		"more than any node has":  {own: `{limits: {memory: 2Ti}}`, field: "limits.memory", says: "write at most 1Ti"},
		"a request over its own":  {own: `{requests: {cpu: 2}, limits: {cpu: 1}}`, field: "requests.cpu", says: "it is more than the limit 1"},
		"a request over the rest": {own: `{requests: {memory: 1Gi}}`, field: "requests.memory", says: "it is more than the limit 128Mi: write at most that, or a higher limit in limits.memory"},
		"bodies that don't fit":   {own: `{limits: {memory: 32Mi}}`, payload: "4000000", field: "limits.memory", says: "write at least 39Mi"},
	} {
		data := map[string]string{"image": "agent"}
		if test.payload != "" {
			data["max-payload-bytes"] = test.payload
		}
		cluster, err := NewAgentFromConfigMap(&corev1.ConfigMap{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		_, errs := cluster.WithResources(requirements(t, test.own))
		if errs == nil || !strings.Contains(errs.Error(), ": "+test.field) || !strings.Contains(errs.Error(), test.says) {
			t.Errorf("%s: got %v, want %q of %s", what, errs, test.says, test.field)
		}
	}
}
