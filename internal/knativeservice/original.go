/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// Original is what Inject changed of a pod, so that Restore can undo it.
type Original struct {
	// Model is the name of the container that serves the model.
	Model string `json:"model"`
	// Ports are the ports that the model declared.
	Ports []corev1.ContainerPort `json:"ports,omitempty"`
	// PortVariable says that Inject added the environment variable PORT to the
	// model.
	PortVariable bool `json:"portVariable,omitempty"`
	// Probes are the probes that the agent took over, and those whose port became
	// a number.
	Probes []OriginalProbe `json:"probes,omitempty"`
	// Volumes are the names of the agent's volumes.
	Volumes []string `json:"volumes,omitempty"`
}

// OriginalProbe is a probe as it was.
type OriginalProbe struct {
	Container string `json:"container"`
	// Field is the probe's field: livenessProbe, readinessProbe or startupProbe.
	Field string        `json:"field"`
	Probe *corev1.Probe `json:"probe"`
	// Taken says that the agent took over the probe. Otherwise only its port became
	// a number.
	Taken bool `json:"taken,omitempty"`
}

// portVariable is the environment variable with the port that a model listens
// on. Serving sets it on the container that declares a port, and lets no such
// container set it.
const portVariable = "PORT"

func isPortVariable(env corev1.EnvVar) bool { return env.Name == portVariable }

func hasPortVariable(container *corev1.Container) bool {
	return slices.ContainsFunc(container.Env, isPortVariable)
}

// originalOf compares a pod before and after the injection.
func originalOf(bare, injected *corev1.PodSpec, owner int) Original {
	model := &bare.Containers[owner]
	original := Original{Model: model.Name, Ports: model.Ports, PortVariable: !hasPortVariable(model)}
	for i := range bare.Containers {
		container := &bare.Containers[i]
		now := probesOf(&injected.Containers[i])
		for k, before := range probesOf(container) {
			if !equality.Semantic.DeepEqual(*before.probe, *now[k].probe) {
				original.Probes = append(original.Probes, OriginalProbe{
					Container: container.Name, Field: before.field, Probe: *before.probe, Taken: *now[k].probe == nil,
				})
			}
		}
	}
	for _, volume := range injected.Volumes[len(bare.Volumes):] {
		original.Volumes = append(original.Volumes, volume.Name)
	}
	return original
}

// Restore removes the agent and its volumes from a pod, and gives the model back
// what the agent took over. What has been written since then wins: a container
// that somebody replaced by one without the changes stays as it is, and so does a
// port or a probe that somebody added.
func (o Original) Restore(pod *corev1.PodSpec) {
	model := o.changedModel(pod.Containers)
	if model != nil {
		o.restoreContainers(pod.Containers, model)
	}
	pod.Containers = slices.DeleteFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == v1beta1.AgentContainerName })
	pod.Volumes = slices.DeleteFunc(pod.Volumes, func(v corev1.Volume) bool { return slices.Contains(o.Volumes, v.Name) })
	if len(pod.Volumes) == 0 {
		pod.Volumes = nil
	}
}

func (o Original) restoreContainers(containers []corev1.Container, model *corev1.Container) {
	if o.PortVariable {
		model.Env = slices.DeleteFunc(model.Env, isPortVariable)
		if len(model.Env) == 0 {
			model.Env = nil
		}
	}
	if len(model.Ports) == 0 {
		model.Ports = slices.Clone(o.Ports)
	}
	_, port := served([]corev1.Container{{Ports: o.Ports}})
	for _, original := range o.Probes {
		isModel := original.Container == o.Model
		container := model
		if !isModel {
			i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == original.Container })
			if i < 0 {
				continue
			}
			container = &containers[i]
		}
		for _, present := range probesOf(container) {
			if present.field == original.Field {
				original.restore(present.probe, isModel, port)
			}
		}
	}
}

// changedModel returns the model's container if it has what Inject changed, or
// nil: somebody has replaced the list of containers. Beside the agent it may have
// another name.
func (o Original) changedModel(containers []corev1.Container) *corev1.Container {
	var renamed *corev1.Container
	hasAgent := false
	for i := range containers {
		container := &containers[i]
		switch {
		case container.Name == v1beta1.AgentContainerName:
			hasAgent = true
		case container.Name == o.Model:
			if o.PortVariable && !hasPortVariable(container) {
				return nil
			}
			return container
		case renamed == nil && o.PortVariable && hasPortVariable(container):
			renamed = container
		}
	}
	if !hasAgent {
		return nil
	}
	return renamed
}

// defaultReadiness is the probe that Serving gives a container with a port and
// without a readiness probe: a model gets it when somebody removes the agent alone.
var defaultReadiness = &corev1.Probe{SuccessThreshold: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{}}}

// restore gives back a probe that the agent took over if there is none now, or
// else the port of a probe that still has the number that the port became.
func (o OriginalProbe) restore(present **corev1.Probe, isModel bool, served corev1.ContainerPort) {
	switch {
	case o.Probe == nil:
		return
	case o.Taken && (*present == nil || equality.Semantic.DeepEqual(*present, defaultReadiness)):
		*present = o.Probe.DeepCopy()
		return
	case o.Taken, *present == nil:
		return
	}
	injected := o.Probe.DeepCopy()
	resolvePort(injected, isModel, served)
	written, was, is := portOf(injected), portOf(o.Probe), portOf(*present)
	if is != nil && was != nil && written != nil && *is == *written {
		*is = *was
		return
	}
	if grpc := o.Probe.GRPC; grpc != nil && (*present).GRPC != nil && (*present).GRPC.Port == injected.GRPC.Port {
		(*present).GRPC.Port = grpc.Port
	}
}

// portOf returns the port of a probe by HTTP or TCP, or nil.
func portOf(probe *corev1.Probe) *intstr.IntOrString {
	switch {
	case probe.HTTPGet != nil:
		return &probe.HTTPGet.Port
	case probe.TCPSocket != nil:
		return &probe.TCPSocket.Port
	default:
		return nil
	}
}

// probeOf is a probe and the name of its field.
type probeOf struct {
	field string
	probe **corev1.Probe
}

// probesOf returns the probes of a container.
func probesOf(container *corev1.Container) []probeOf {
	return []probeOf{
		{liveness, &container.LivenessProbe},
		{readyToServe, &container.ReadinessProbe},
		{startup, &container.StartupProbe},
	}
}
