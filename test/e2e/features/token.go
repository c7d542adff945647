/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// NoTokenForTheAPI tests that Kubernetes mounts its token in the model's
// container and not in the agent's. The agent's image has no shell to look for
// one, so this looks at the pod that the API server admitted.
func NoTokenForTheAPI() *feature.Feature {
	const service, directory = "without-token", "/var/run/secrets/kubernetes.io/serviceaccount"
	f := feature.NewFeatureNamed("no token for the Kubernetes API")
	f.Setup("there is an InferenceService", inferenceservice.Install(service,
		inferenceservice.WithPredictor("minReplicas", 1), inferenceservice.WithLogger(map[string]any{"url": "http://nowhere.example"})))
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("the agent has an empty volume in its place", func(ctx context.Context, t feature.T) {
		pod := onlyPod(ctx, t, service)
		empty, tokens := make(map[string]bool), make(map[string]bool)
		for _, volume := range pod.Spec.Volumes {
			empty[volume.Name] = volume.EmptyDir != nil
			if volume.Projected != nil {
				for _, source := range volume.Projected.Sources {
					// The audience of the API server is written as none.
					tokens[volume.Name] = tokens[volume.Name] || (source.ServiceAccountToken != nil && source.ServiceAccountToken.Audience == "")
				}
			}
		}
		if len(tokens) == 0 {
			t.Error("the pod has no token at all: this shows nothing")
		}
		for _, container := range pod.Spec.Containers {
			if container.Name != v1beta1.AgentContainerName {
				continue
			}
			covered := false
			for _, mount := range container.VolumeMounts {
				if tokens[mount.Name] {
					t.Errorf("the agent mounts the token of %s at %s", mount.Name, mount.MountPath)
				}
				covered = covered || (mount.MountPath == directory && empty[mount.Name])
			}
			if !covered {
				t.Errorf("nothing empty is at %s: %v", directory, container.VolumeMounts)
			}
			return
		}
		t.Error("there is no agent")
	})
	return f
}
