/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventtypes

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// sent is what the template of a Knative Service sends to a Broker.
type sent struct {
	broker duckv1.KReference
	// agent is the configuration of the agent, and sink the Broker's in it.
	agent *agentconfig.Config
	sink  agentconfig.Sink
}

// agentOf returns the agent's container of a Knative Service, or nil.
func agentOf(service *servingv1.Service) *corev1.Container {
	containers := service.Spec.Template.Spec.Containers
	if i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == v1beta1.AgentContainerName }); i >= 0 {
		return &containers[i]
	}
	return nil
}

// sentBy returns what the template of a Knative Service sends, for each Broker of
// the namespace. It has nothing of a template without an agent. An error means that
// another release of Sidenote made the agent's arguments.
func sentBy(service *servingv1.Service) ([]sent, error) {
	agent := agentOf(service)
	if agent == nil {
		return nil, nil
	}
	args := make([]string, 0, len(agent.Args))
	for _, argument := range agent.Args {
		// The kubelet replaces "$$", which stands for a dollar sign.
		args = append(args, strings.ReplaceAll(argument, "$$", "$"))
	}
	parsed, err := agentconfig.Parse(args)
	if err != nil {
		return nil, fmt.Errorf("the agent has arguments of another release: %w", err)
	}
	var found []sent
	applied := appliedTo(service)
	for _, sink := range parsed.Sinks {
		to := applied.Pair(sink.Name).Sink
		if to == nil || !isBrokerOf(service.Namespace, to.Destination.Ref) {
			continue
		}
		found = append(found, sent{broker: *to.Destination.Ref, agent: parsed, sink: sink})
	}
	return found, nil
}

// appliedTo returns the record of the agent in a template.
func appliedTo(service *servingv1.Service) knativeservice.Applied {
	if record := binding.RecordOf(&service.Spec.Template); record != nil {
		return record.Applied
	}
	if applied, _ := knativeservice.LastApplied(service); applied != nil {
		return *applied
	}
	return knativeservice.Applied{}
}

// isBrokerOf reports whether a reference names a Broker of a namespace. An
// EventType is in the namespace of its owner, and refers to a Broker there.
func isBrokerOf(namespace string, ref *duckv1.KReference) bool {
	return ref != nil && ref.Kind == "Broker" && ref.Namespace == namespace &&
		strings.HasPrefix(ref.APIVersion, eventingv1.SchemeGroupVersion.Group+"/")
}
