/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// moveEdits applies to the model what a client has changed of the agent's
// container since the old template. A client such as kn looks for the container
// with the port, which the agent has taken over, and means the model.
func moveEdits(ctx context.Context, old, updated, base *servingv1.RevisionTemplateSpec, modelName string) {
	// Serving's defaults may have changed since.
	old, updated = old.DeepCopy(), updated.DeepCopy()
	old.SetDefaults(ctx)
	updated.SetDefaults(ctx)
	before, after := agentOf(old), agentOf(updated)
	if before == nil || after == nil || equality.Semantic.DeepEqual(before, after) {
		return
	}
	for i := range base.Spec.Containers {
		if model := &base.Spec.Containers[i]; model.Name == modelName {
			moveEditsOf(before, after, model)
		}
	}
}

func moveEditsOf(before, after, model *corev1.Container) {
	if !equality.Semantic.DeepEqual(before.Ports, after.Ports) {
		model.Ports = movedPorts(after.Ports, model.Ports)
	}
	for _, probe := range []struct{ before, after, model **corev1.Probe }{
		{&before.ReadinessProbe, &after.ReadinessProbe, &model.ReadinessProbe},
		{&before.LivenessProbe, &after.LivenessProbe, &model.LivenessProbe},
		{&before.StartupProbe, &after.StartupProbe, &model.StartupProbe},
	} {
		if !equality.Semantic.DeepEqual(*probe.before, *probe.after) {
			// Whole: the fields of the agent's own probe mean nothing to the model.
			*probe.model = *probe.after
		}
		*probe.before, *probe.after = nil, nil
	}
	before.Ports, after.Ports = nil, nil
	patched, err := merged(before, after, model)
	if err != nil {
		// Types of Kubernetes always have a JSON form and a patch.
		return
	}
	patched.DeepCopyInto(model)
}

// movedPorts returns the ports that a client wants. A port that is still the
// agent's has the model's number.
func movedPorts(wanted, model []corev1.ContainerPort) []corev1.ContainerPort {
	number := v1beta1.DefaultPort
	if len(model) > 0 && model[0].ContainerPort != 0 {
		number = model[0].ContainerPort
	}
	ports := make([]corev1.ContainerPort, 0, len(wanted))
	for _, port := range wanted {
		if port.ContainerPort == v1beta1.AgentPort {
			port.ContainerPort = number
		}
		ports = append(ports, port)
	}
	return ports
}

// merged returns the model with the difference between two states of the agent's
// container, list by list as kubectl merges them.
func merged(before, after, model *corev1.Container) (*corev1.Container, error) {
	var texts [3][]byte
	for i, container := range []*corev1.Container{before, after, model} {
		text, err := json.Marshal(container)
		if err != nil {
			return nil, err
		}
		texts[i] = text
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(texts[0], texts[1], corev1.Container{})
	if err != nil {
		return nil, err
	}
	text, err := strategicpatch.StrategicMergePatch(texts[2], patch, corev1.Container{})
	if err != nil {
		return nil, err
	}
	patched := new(corev1.Container)
	return patched, json.Unmarshal(text, patched)
}
