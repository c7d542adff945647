/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/configmap/parser"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// AgentConfigName is the ConfigMap that Agent is read from.
const AgentConfigName = "config-agent"

// Agent is what an agent's container gets when a template is made or changed
// by its owner. A change of it alone changes no running template.
type Agent struct {
	// Image is the agent's container image.
	Image string `json:"image"`
	// Resources are the requests and limits of the agent's container.
	Resources corev1.ResourceRequirements `json:"resources"`
	// GoMemoryLimit is the agent's GOMEMLIMIT: a number of bytes as the Go
	// runtime reads it, below the container's memory limit, which is in
	// Resources. Records keep its former name.
	GoMemoryLimit string `json:"memoryLimit"`
	// BufferBytes bounds all that the agent holds of requests and responses.
	BufferBytes int64 `json:"bufferBytes"`
	// MaxExchanges bounds the exchanges in flight in an agent. It is 0 in the
	// record of a template from before there was a bound.
	MaxExchanges int64 `json:"maxExchanges,omitempty"`
	// MaxPayloadBytes is the largest body that an event carries.
	MaxPayloadBytes int64 `json:"maxPayloadBytes"`
}

// NewAgentFromConfigMap reads Agent, with a default for each absent key but
// the image, which is made with the release. What is not set of the memory
// follows from its limit.
func NewAgentFromConfigMap(configMap *corev1.ConfigMap) (*Agent, error) {
	agent := defaultAgent()
	var cpuRequest, cpuLimit, memoryRequest, memoryLimit *resource.Quantity
	if err := configmap.Parse(configMap.Data,
		parser.As("image", &agent.Image),
		configmap.AsQuantity("cpu-request", &cpuRequest),
		configmap.AsQuantity("cpu-limit", &cpuLimit),
		configmap.AsQuantity("memory-request", &memoryRequest),
		configmap.AsQuantity("memory-limit", &memoryLimit),
		parser.As("gomemlimit", &agent.GoMemoryLimit),
		parser.As("buffer-bytes", &agent.BufferBytes),
		parser.As("max-exchanges", &agent.MaxExchanges),
		parser.As("max-payload-bytes", &agent.MaxPayloadBytes),
	); err != nil {
		return nil, err
	}
	override(agent.Resources.Requests, corev1.ResourceCPU, cpuRequest)
	override(agent.Resources.Limits, corev1.ResourceCPU, cpuLimit)
	override(agent.Resources.Requests, corev1.ResourceMemory, memoryRequest)
	override(agent.Resources.Limits, corev1.ResourceMemory, memoryLimit)
	isSet := func(key string) bool { _, found := configMap.Data[key]; return found }
	if err := agent.complete(isSet("memory-request"), isSet("gomemlimit"), isSet("buffer-bytes"), isSet("max-exchanges")); err != nil {
		return nil, err
	}
	if err := agent.validate(); err != nil {
		return nil, err
	}
	return agent, nil
}

func defaultAgent() *Agent {
	agent := &Agent{
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("25m"),
				corev1.ResourceMemory: resource.MustParse("64Mi"),
			},
			// No CPU: a quota that is used up stops the agent for up to 100 ms, and
			// with it every request that it proxies.
			Limits: corev1.ResourceList{
				corev1.ResourceMemory: resource.MustParse("128Mi"),
			},
		},
		MaxPayloadBytes: agentconfig.DefaultMaxPayloadBytes,
	}
	runtimeLimit, buffer := divideMemory(agent.Resources.Limits.Memory().Value())
	agent.GoMemoryLimit, agent.BufferBytes = goMemory(runtimeLimit), buffer
	agent.MaxExchanges = exchangesOf(runtimeLimit, buffer)
	return agent
}

func (a *Agent) validate() error {
	if a.Image == "" {
		return errors.New("image is missing: write the agent's container image")
	}
	if a.MaxPayloadBytes < 1 {
		return fmt.Errorf("max-payload-bytes is %d: write at least 1", a.MaxPayloadBytes)
	}
	if a.BufferBytes < agentconfig.MinBufferBytes {
		return fmt.Errorf("buffer-bytes is %d: write at least %d", a.BufferBytes, agentconfig.MinBufferBytes)
	}
	if most := a.MostPayloadBytes(); a.MaxPayloadBytes > most {
		return fmt.Errorf("max-payload-bytes is %d, over half of buffer-bytes (%d): write at most %d, or leave gomemlimit and buffer-bytes out, with a memory-limit of at least %s",
			a.MaxPayloadBytes, a.BufferBytes, most, quantity(limitFor(3*2*a.MaxPayloadBytes)))
	}
	for name, request := range a.Resources.Requests {
		if limit, limited := a.Resources.Limits[name]; limited && request.Cmp(limit) > 0 {
			return fmt.Errorf("%s-request %s is more than %s-limit %s", name, request.String(), name, limit.String())
		}
	}
	return nil
}

// MostPayloadBytes is the largest body that an agent with these settings can
// keep: half of what it holds, because a body that grows is there twice for a
// moment, and a spool has a part of its own.
func (a *Agent) MostPayloadBytes() int64 { return a.BufferBytes / 2 }

func override(list corev1.ResourceList, name corev1.ResourceName, quantity *resource.Quantity) {
	if quantity != nil {
		list[name] = *quantity
	}
}
