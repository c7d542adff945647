/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Applied is the part of a template that comes from the platform, not from the
// InferenceService's owner. A change of the template makes a new Revision, which
// can cost a GPU. So this part is recorded with the Knative Service, and stays
// until the owner's own change makes a new Revision.
type Applied struct {
	// Agent is the agent's image and settings.
	Agent config.Agent `json:"agent"`
	// MultiContainerProbing says that Knative Serving accepts probes on the model.
	// The model keeps its startup probe then.
	MultiContainerProbing bool `json:"multiContainerProbing,omitempty"`
	// Observability is how the agent exports metrics and traces.
	Observability config.Observability `json:"observability,omitzero"`
	// Sinks are the destinations of events, in the order of the logger. Without any,
	// each event is counted as dropped. See MarshalJSON for their JSON.
	Sinks []AppliedPair `json:"-"`
	// Metadata are the attributes in the agent's arguments. With RefreshByRevision
	// another value is the owner's change, so OwnerHash covers the values. With
	// RefreshLive the ConfigMap carries them. An attribute that the cluster denies
	// later makes a new template: DeniedIn.
	Metadata []metadata.Attribute `json:"metadata,omitempty"`
	// Headers are the headers of a request that give attributes. The same holds for
	// one that the cluster denies later.
	Headers []agentconfig.HeaderSource `json:"headers,omitempty"`
	// DeniedValues are the patterns of values that no header brings into an event. It
	// is empty without Headers, and if the patterns are those that agents have built
	// in.
	DeniedValues []string `json:"deniedValues,omitempty"`
	// RemovedDenied says that the template was made to remove an attribute that the
	// cluster denies. The Knative Services with such a template change in stages.
	RemovedDenied bool `json:"removedDenied,omitempty"`
}

// Desired is the part of a new template that comes from the platform.
type Desired struct {
	Agent         config.Agent
	Observability config.Observability
	// MultiContainerProbing is whether Knative Serving's feature is on.
	MultiContainerProbing bool

	// Sinks are in the order of the logger.
	Sinks []DesiredPair
	// Metadata and Headers have nothing that the cluster denies.
	Metadata []metadata.Attribute
	Headers  []agentconfig.HeaderSource
	// DeniedValues are the values that the cluster denies.
	DeniedValues metadata.DeniedValues
}

// Decide chooses between the recorded input of the template and the desired one.
// Before is nil if there is no template yet. Renew says that the template is
// replaced in any case, because the owner changed something or its Revision
// failed.
func Decide(before *Applied, renew bool, desired Desired) Applied {
	if before == nil {
		before, renew = &Applied{}, true
	}
	if !renew {
		// A new Revision has the arguments of this controller, which an older agent
		// may not know. So everything is brought up to date.
		renew = !equality.Semantic.DeepEqual(before.Sinks, pairsOf(before, desired, decideSink))
	}
	if !renew {
		return *before
	}
	return Applied{
		Agent: desired.Agent, Observability: desired.Observability, Metadata: desired.Metadata, Headers: desired.Headers,
		DeniedValues:          deniedValuesOf(desired),
		MultiContainerProbing: desired.MultiContainerProbing,
		Sinks:                 pairsOf(before, desired, newSink),
	}
}

// Behind names the differences between a template and a new one. The containers
// are those of the model's owner.
func Behind(containers []corev1.Container, applied Applied, desired Desired) []string {
	var differences []string
	if applied.Agent.Image != desired.Agent.Image {
		differences = append(differences, "agent image")
	}
	settings := applied.Agent
	settings.Image = desired.Agent.Image
	if !equality.Semantic.DeepEqual(settings, desired.Agent) {
		differences = append(differences, "agent configuration")
	}
	if applied.Observability != desired.Observability {
		differences = append(differences, "metrics and traces")
	}
	if applied.MultiContainerProbing != desired.MultiContainerProbing && needsMultiContainerProbing(containers) {
		differences = append(differences, "setting of "+featureMultiContainerProbing)
	}
	for _, pair := range desired.Sinks {
		if sink := applied.Pair(pair.Name).Sink; sink != nil && sink.ByDefault && pair.Sink.ByDefault &&
			!equality.Semantic.DeepEqual(sink.Destination, pair.Sink.Destination) {
			differences = append(differences, "default sink")
		}
	}
	return differences
}

// LastApplied reads the record and the owner's hash from the annotations of a Knative
// Service. Applied is nil if there is no record that can be read: the next write
// makes one.
func LastApplied(service *servingv1.Service) (applied *Applied, ownerHash string) {
	ownerHash = service.Annotations[serving.OwnerHashAnnotationKey]
	record, found := service.Annotations[serving.LastAppliedAnnotationKey]
	if !found {
		return nil, ownerHash
	}
	applied = &Applied{}
	if err := json.Unmarshal([]byte(record), applied); err != nil {
		return nil, ownerHash
	}
	for _, pair := range applied.Sinks {
		for _, sink := range []*AppliedSink{pair.Sink, pair.DeadLetterSink} {
			if sink != nil {
				// An older template has them in its arguments.
				sink.Address.CACerts = nil
			}
		}
	}
	return applied, ownerHash
}

// Holds reports whether the template of a live Knative Service was made from this
// input. It compares the values of the record, not its text, so that a field that
// a later controller adds changes no running template.
func Holds(live *servingv1.Service, ownerUnchanged bool, applied Applied) bool {
	lastApplied, _ := LastApplied(live)
	if lastApplied == nil {
		lastApplied = &Applied{}
	}
	return ownerUnchanged && equality.Semantic.DeepEqual(*lastApplied, applied)
}

// ServesAlone reports whether only pods of the latest Revision serve. Serving
// observes the generation of the Service before that of its Configuration: until
// the Service is ready, the Revision that it names as the latest may be an earlier
// one. In a gradual rollout the earlier Revision gets a part of the traffic.
func ServesAlone(service *servingv1.Service) bool {
	latest := service.Status.LatestReadyRevisionName
	return service.IsReady() && service.Status.LatestCreatedRevisionName == latest &&
		!slices.ContainsFunc(service.Status.Traffic, func(target servingv1.TrafficTarget) bool { return target.RevisionName != latest })
}

// OthersServe reports whether pods of another template may serve.
func OthersServe(live *servingv1.Service, ownerUnchanged bool, applied Applied) bool {
	return live != nil && (!ServesAlone(live) || !Holds(live, ownerUnchanged, applied))
}

// MayHaveAgents reports whether pods with an agent may serve: the template has an
// agent, or an earlier Revision serves.
func MayHaveAgents(live *servingv1.Service) bool {
	return live != nil && (!ServesAlone(live) ||
		slices.ContainsFunc(live.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return c.Name == v1beta1.AgentContainerName }))
}

// Failed reports whether the latest Revision of a Knative Service has failed,
// as far as Serving has seen its latest generation.
func Failed(service *servingv1.Service) bool {
	return service.Generation == service.Status.ObservedGeneration &&
		service.Status.GetCondition(servingv1.ServiceConditionConfigurationsReady).IsFalse()
}

func mustMarshal(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("%T has no JSON form: %v", value, err))
	}
	return data
}
