/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingconfig "knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// Platform is the configuration that all bindings share.
type Platform struct {
	*config.Config
	// Serving configures how Knative Serving defaults and validates.
	Serving *servingconfig.Config
}

// Injection is a template with the agent.
type Injection struct {
	Template *servingv1.RevisionTemplateSpec
	Record   Record
	// Ignored says what of the logger the agent would refuse and is left out.
	Ignored []string
}

// With returns the template of a Knative Service with the agent that a binding
// describes, made from what holds now. An agent that the template has is replaced.
// It returns an obstacle if the template can't have the agent. It doesn't look at
// the name of the Revision: FixedRevision does.
func With(service *servingv1.Service, binding *v1alpha1.LoggerBinding, platform Platform) (Injection, *Obstacle) {
	bare := service.DeepCopy()
	bare.Spec.Template = *Without(&service.Spec.Template)
	var before *knativeservice.Applied
	if record := readRecord(&service.Spec.Template); record != nil {
		before = &record.Applied
	}
	return inject(bare, before, binding, platform)
}

// inject adds the agent to a Knative Service that has none. Before is what an
// agent had from the platform that the template had.
func inject(bare *servingv1.Service, before *knativeservice.Applied, binding *v1alpha1.LoggerBinding, platform Platform) (Injection, *Obstacle) {
	ctx := servingContext(bare, platform)
	template := bare.Spec.Template.DeepCopy()
	template.SetDefaults(ctx)
	if obstacle := obstacleOf(ctx, bare, template); obstacle != nil {
		return Injection{}, obstacle
	}
	desired := DesiredOf(bare, binding, platform)
	if leadsBack(bare, binding, desired) {
		return Injection{}, &Obstacle{v1alpha1.ReasonSinkIsSelf, "the sink is this Knative Service itself, which would receive its own events without end: name another sink, or don't select it"}
	}
	before, _ = knativeservice.WithoutForeignAudiences(before, desired, platform.Logger.AllowedAudiences)
	injection := Injection{Template: template, Record: Record{
		Binding: binding.Name, LoggerHash: LoggerHash(bare, binding),
		Applied: knativeservice.Decide(before, true, desired),
	}}
	injection.Record.Original, injection.Ignored = knativeservice.Inject(&template.Spec.PodSpec, SubjectOf(bare, binding), injection.Record.Applied)
	template.SetDefaults(ctx)
	// Serving refuses a template in which no container has the port, so there is one.
	injection.Record.AgentHash = knativeservice.ContainerHash(agentOf(template))
	if err := injection.Record.write(template); err != nil {
		return Injection{}, &Obstacle{v1alpha1.ReasonRefused, err.Error()}
	}
	if refusal := template.Validate(ctx).Filter(apis.ErrorLevel); refusal != nil {
		return Injection{}, &Obstacle{v1alpha1.ReasonRefused, "with the agent, Knative Serving would refuse the template: " + oneLine(refusal)}
	}
	return injection, nil
}

// servingContext returns a context in which Serving defaults and validates the
// template of a Knative Service.
func servingContext(service *servingv1.Service, platform Platform) context.Context {
	return apis.WithinParent(servingconfig.ToContext(context.Background(), platform.Serving), service.ObjectMeta)
}

// DesiredOf returns what a new template gets from the platform.
func DesiredOf(service *servingv1.Service, binding *v1alpha1.LoggerBinding, platform Platform) knativeservice.Desired {
	selection := MetadataOf(service, binding, platform.Logger.DeniedAnnotations).WithoutDenied(platform.Logger.DeniedValues)
	return knativeservice.Desired{
		Agent: *platform.Agent, Observability: *platform.Observability,
		MultiContainerProbing: platform.Serving.Features.MultiContainerProbing == servingconfig.Enabled,

		Sinks:    desiredSinks(service, binding, platform),
		Metadata: selection.Attributes, Headers: selection.Headers, DeniedValues: platform.Logger.DeniedValues,
	}
}

// desiredSinks returns the destinations of a binding, with the addresses that the
// controller has found.
func desiredSinks(service *servingv1.Service, binding *v1alpha1.LoggerBinding, platform Platform) (sinks []knativeservice.DesiredPair) {
	found := foundSinks(binding)
	desired := func(destination duckv1.Destination, byDefault bool, address *duckv1.Addressable) knativeservice.DesiredSink {
		destination = *destination.DeepCopy()
		if destination.Ref != nil && destination.Ref.Namespace == "" {
			destination.Ref.Namespace = binding.Namespace
		}
		sink := knativeservice.DesiredSink{Destination: destination, ByDefault: byDefault}
		switch {
		case !byDefault && platform.Logger.RefuseSink(destination, binding.Namespace) != nil:
			sink.Refused = true
		case address == nil || address.URL == nil:
		case leadsTo(service, address):
			// The Knative Service would receive its own events without end.
			sink.Refused = true
		default:
			sink.Address = address.DeepCopy()
		}
		return sink
	}
	for _, named := range LoggerOf(binding).EffectiveSinks() {
		addresses, pair := found.Of(named.Name), knativeservice.DesiredPair{Name: named.Name}
		if destination := named.Destination(); destination != nil {
			pair.Sink = desired(*destination, false, addresses.Sink)
		} else {
			pair.Sink = desired(platform.Logger.DefaultSink, true, addresses.Sink)
		}
		if destination := named.DeadLetterSink(); destination != nil {
			letters := desired(*destination, false, addresses.DeadLetterSink)
			pair.DeadLetterSink = &letters
		}
		sinks = append(sinks, pair)
	}
	return sinks
}

// foundSinks returns the addresses that the controller has found, or nil. A status
// of an earlier generation may have those of other destinations.
func foundSinks(binding *v1alpha1.LoggerBinding) *v1alpha1.LoggerStatus {
	if binding.Status.ObservedGeneration != binding.Generation {
		return nil
	}
	return binding.Status.Logger
}

// leadsBack reports whether a sink is the Knative Service itself.
func leadsBack(service *servingv1.Service, binding *v1alpha1.LoggerBinding, desired knativeservice.Desired) bool {
	found := foundSinks(binding)
	return slices.ContainsFunc(desired.Sinks, func(p knativeservice.DesiredPair) bool {
		address := found.Of(p.Name).Sink
		return p.Sink.Refused && address != nil && address.URL != nil && leadsTo(service, address)
	})
}

func leadsTo(service *servingv1.Service, address *duckv1.Addressable) bool {
	return knativeservice.LeadsTo(address.URL, service.Name, service.Namespace, service.Status.URL)
}

// kserveAgentAnnotations say that KServe adds its own agent to the pods, which
// takes the agent's port.
var kserveAgentAnnotations = []string{
	"internal.serving.kserve.io/logger",
	"internal.serving.kserve.io/batcher",
	"internal.serving.kserve.io/agent",
}

// obstacleOf says why a template without an agent, with Serving's defaults, can't
// have one.
func obstacleOf(ctx context.Context, bare *servingv1.Service, template *servingv1.RevisionTemplateSpec) *Obstacle {
	if owner := ownInferenceService(bare); owner != "" {
		return &Obstacle{v1alpha1.ReasonOwnLogger, fmt.Sprintf("the InferenceService %q makes this Knative Service: set spec.predictor.logger there", owner)}
	}
	for _, key := range kserveAgentAnnotations {
		if _, found := template.Annotations[key]; found {
			return &Obstacle{v1alpha1.ReasonConflict, fmt.Sprintf("KServe adds its own agent to the pods, which takes the same port (annotation %s): remove logger, batcher and the model without storage from its InferenceService", key)}
		}
	}
	for _, container := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		if strings.HasPrefix(container.Name, v1beta1.ReservedNamePrefix) {
			return &Obstacle{v1alpha1.ReasonReservedName, fmt.Sprintf("a container has the name %q: names with the prefix %s are those of the agent, so rename it", container.Name, v1beta1.ReservedNamePrefix)}
		}
	}
	for _, volume := range template.Spec.Volumes {
		if strings.HasPrefix(volume.Name, v1beta1.ReservedNamePrefix) {
			return &Obstacle{v1alpha1.ReasonReservedName, fmt.Sprintf("a volume has the name %q: names with the prefix %s are those of the agent, so rename it", volume.Name, v1beta1.ReservedNamePrefix)}
		}
	}
	switch port := knativeservice.ServedPort(template.Spec.Containers); port {
	case v1beta1.AgentPort, v1beta1.AgentAdminPort:
		return &Obstacle{v1alpha1.ReasonReservedPort, fmt.Sprintf("the model listens on port %d, which is a port of the agent: let it listen on another one", port)}
	}
	if refusal := template.Validate(ctx).Filter(apis.ErrorLevel); refusal != nil {
		return &Obstacle{v1alpha1.ReasonRefused, "Knative Serving refuses the template also without the agent: " + oneLine(refusal)}
	}
	if refusal := knativeservice.ValidateInjection(ctx, &template.Spec.PodSpec); refusal != nil {
		return &Obstacle{v1alpha1.ReasonRefused, oneLine(refusal)}
	}
	return nil
}

// ownInferenceService returns the name of the InferenceService of Sidenote that
// controls a Knative Service, or "".
func ownInferenceService(service *servingv1.Service) string {
	owner := metav1.GetControllerOfNoCopy(service)
	if owner == nil || owner.Kind != "InferenceService" {
		return ""
	}
	if version, err := schema.ParseGroupVersion(owner.APIVersion); err != nil || version.Group != serving.GroupName {
		return ""
	}
	return owner.Name
}

// FixedRevision returns an obstacle if the owner names the Revisions: Serving
// refuses every change of the template without a new name.
func FixedRevision(template *servingv1.RevisionTemplateSpec) *Obstacle {
	if template.Name == "" {
		return nil
	}
	return &Obstacle{v1alpha1.ReasonWaitingForRevisionName, fmt.Sprintf("spec.template.metadata.name is %q, and Knative Serving takes a change of the template only with another name: set a new name, or remove it", template.Name)}
}

// agentOf returns the agent's container, or nil.
func agentOf(template *servingv1.RevisionTemplateSpec) *corev1.Container {
	for i := range template.Spec.Containers {
		if template.Spec.Containers[i].Name == v1beta1.AgentContainerName {
			return &template.Spec.Containers[i]
		}
	}
	return nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
