/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func TestDefaults(t *testing.T) {
	named := func(name string) corev1.Container { return corev1.Container{Name: name, Image: Image} }
	served := func(name string) corev1.Container {
		container := named(name)
		container.Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
		return container
	}
	fullLogger := WithLogger(WithMode(v1beta1.LogAll), WithRefresh(v1beta1.RefreshByRevision))

	for what, test := range map[string]struct{ in, want *v1beta1.InferenceService }{
		"a lone container gets a name and a port": {
			InferenceService("m"),
			InferenceService("m", WithContainers(served("kfserving-container"))),
		},
		"a lone container keeps its name": {
			InferenceService("m", WithContainers(named("model"))),
			InferenceService("m", WithContainers(served("model"))),
		},
		"a lone container keeps its port": {
			InferenceService("m", WithPort("h2c", 9000)),
			InferenceService("m", WithPort("h2c", 9000), WithModel(func(c *corev1.Container) { c.Name = "kfserving-container" })),
		},
		"several containers get names and no port": {
			InferenceService("m", WithContainers(named(""), named(""), named(""))),
			InferenceService("m", WithContainers(named("kfserving-container"), named("kfserving-container-2"), named("kfserving-container-3"))),
		},
		"names go around those that are taken, later ones too": {
			InferenceService("m", WithContainers(named(""), named("kfserving-container-2"), named(""), named("kfserving-container"))),
			InferenceService("m", WithContainers(named("kfserving-container-3"), named("kfserving-container-2"), named("kfserving-container-4"), named("kfserving-container"))),
		},
		"no container stays none": {
			InferenceService("m", WithContainers()),
			InferenceService("m", WithContainers()),
		},
		"a logger says its mode and its refresh": {
			InferenceService("m", WithContainers(served("model")), WithLogger()),
			InferenceService("m", WithContainers(served("model")), fullLogger),
		},
		"a full spool drops the oldest": {
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithSpool("1Gi"))),
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithSpool("1Gi"), WithSpoolDropping(v1beta1.DropOldest))),
		},
		"a full spool drops what its owner says": {
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithSpool("1Gi"), WithSpoolDropping(v1beta1.DropNewest))),
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithSpool("1Gi"), WithSpoolDropping(v1beta1.DropNewest))),
		},
		"a logger keeps what it says": {
			InferenceService("m", WithContainers(served("model")), WithLogger(WithMode(v1beta1.LogRequest), WithRefresh(v1beta1.RefreshLive))),
			InferenceService("m", WithContainers(served("model")), WithLogger(WithMode(v1beta1.LogRequest), WithRefresh(v1beta1.RefreshLive))),
		},
		"a sink is in the object's own namespace": {
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithBroker("default"))),
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithSinkRef("eventing.knative.dev/v1", "Broker", Namespace, "default"))),
		},
		"a sink in another namespace stays there": {
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithSinkRef("eventing.knative.dev/v1", "Broker", "ops", "default"))),
			InferenceService("m", WithContainers(served("model")), fullLogger, WithLogger(WithSinkRef("eventing.knative.dev/v1", "Broker", "ops", "default"))),
		},
		"what is being deleted stays as it is": {
			InferenceService("m", WithDeletion(), WithLogger()),
			InferenceService("m", WithDeletion(), WithLogger()),
		},
	} {
		t.Run(what, func(t *testing.T) {
			test.want.DeletionTimestamp = test.in.DeletionTimestamp
			test.in.SetDefaults(t.Context())
			if diff := cmp.Diff(test.want, test.in); diff != "" {
				t.Errorf("(-want, +got): %s", diff)
			}
			once := test.in.DeepCopy()
			test.in.SetDefaults(t.Context())
			if diff := cmp.Diff(once, test.in); diff != "" {
				t.Errorf("not idempotent (-once, +twice): %s", diff)
			}
		})
	}
}
