/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import "github.com/sidenote-dev/sidenote/internal/agentconfig"

// The agent's place in a pod. Nothing of the user's may take it.
const (
	// AgentContainerName is the container that stands in front of the model.
	AgentContainerName = "sidenote-agent"
	// ReservedNamePrefix begins the names of our containers and volumes.
	ReservedNamePrefix = "sidenote-"
	// AgentPort is where the agent serves the model.
	AgentPort int32 = agentconfig.DefaultPort
	// AgentAdminPort is where the agent serves readiness and metrics.
	AgentAdminPort int32 = agentconfig.DefaultAdminPort
)

// reservedPorts says who has a port of the pod.
var reservedPorts = map[int32]string{
	AgentPort:      "Sidenote's agent",
	AgentAdminPort: "Sidenote's agent",
	8008:           "Knative's profiling",
	8012:           "Knative's queue-proxy",
	8013:           "Knative's queue-proxy",
	8022:           "Knative's queue-proxy",
	8112:           "Knative's queue-proxy",
	9090:           "Knative's metrics",
	9091:           "Knative's metrics",
}
