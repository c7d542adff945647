/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// agentProbes says which of the model's probes the agent runs, and takes from
// the model those that it runs alone.
//
// Readiness is the agent's, for queue-proxy asks the container with the port.
// Only the kubelet can restart the model, so with multiContainerProbing the
// startup probe stays on the model, and the agent runs it too: it holds back
// the readiness probe until it has succeeded. Without, Serving takes no probe
// on the model, and admission refuses a startup probe; the agent runs it for
// what was admitted before. A command runs only where it is.
func agentProbes(model *corev1.Container, port corev1.ContainerPort, multiContainerProbing bool) (readiness, startup *corev1.Probe) {
	if runsInAgent(model.ReadinessProbe) {
		readiness = forAgent(model.ReadinessProbe, port)
		model.ReadinessProbe = nil
	}
	if runsInAgent(model.StartupProbe) {
		startup = forAgent(model.StartupProbe, port)
		if !multiContainerProbing {
			model.StartupProbe = nil
		}
	}
	return readiness, startup
}

// runsInAgent reports whether the agent can run a probe in the model's place.
func runsInAgent(probe *corev1.Probe) bool { return probe != nil && probe.Exec == nil }

// forAgent returns a probe as the agent takes it.
func forAgent(probe *corev1.Probe, port corev1.ContainerPort) *corev1.Probe {
	probe = probe.DeepCopy()
	// It tells the kubelet how to end a container, which the agent never does.
	probe.TerminationGracePeriodSeconds = nil
	if probe.HTTPGet == nil && probe.TCPSocket == nil && probe.GRPC == nil {
		// Thresholds alone: Serving would dial the port.
		probe.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt32(port.ContainerPort)}
	}
	return probe
}

// resolvePorts returns the probes' ports as numbers. A name means nothing once
// the model declares no port, nor does it on a container that never did.
func resolvePorts(containers []corev1.Container, owner int, served corev1.ContainerPort) {
	for i := range containers {
		container := &containers[i]
		for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe, container.StartupProbe} {
			resolvePort(probe, i == owner, served)
		}
	}
}

// resolvePort returns a probe's port as a number: by its name it is the served
// port, and so it is without one on the container that serves.
func resolvePort(probe *corev1.Probe, isOwner bool, served corev1.ContainerPort) {
	if probe == nil {
		return
	}
	number := func(port *intstr.IntOrString) {
		written := port.IntValue()
		isName := port.Type == intstr.String && port.StrVal != "" && written == 0
		switch {
		case isName && (isOwner || port.StrVal == served.Name), isOwner && written == 0:
			*port = intstr.FromInt32(served.ContainerPort)
		case port.Type == intstr.String && written != 0:
			// The kubelet reads a number in quotes, too.
			*port = intstr.FromInt(written)
		}
	}
	switch {
	case probe.HTTPGet != nil:
		number(&probe.HTTPGet.Port)
	case probe.TCPSocket != nil:
		number(&probe.TCPSocket.Port)
	case probe.GRPC != nil && isOwner && probe.GRPC.Port == 0:
		probe.GRPC.Port = served.ContainerPort
	}
}

// agentProbe returns a probe in the agent's form, which has the same JSON.
func agentProbe(probe *corev1.Probe) (*agentconfig.Probe, error) {
	converted := new(agentconfig.Probe)
	return converted, json.Unmarshal(mustMarshal(probe), converted)
}
