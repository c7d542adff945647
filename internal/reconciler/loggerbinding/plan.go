/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const (
	// retryUnresolved is the time until a sink without an address is resolved
	// again. A tracked object wakes the controller when it appears. The kind of the
	// object does not, when Eventing is installed later.
	retryUnresolved = time.Minute
	// retryUnbinding is the time until more Knative Services lose the agent. Those
	// that have lost it don't say any more which binding they had.
	retryUnbinding = 10 * time.Second
)

// Live is the state of the cluster that concerns a binding: that of its namespace.
type Live struct {
	// Bindings and Services are all of the namespace.
	Bindings []*v1alpha1.LoggerBinding
	Services []*servingv1.Service
	// ConfigMaps are fingerprints of those of bound Knative Services, by name.
	ConfigMaps map[string]*corev1.ConfigMap
	// NamespaceTrust is a fingerprint of the ConfigMap that all agents of the
	// namespace share, or nil.
	NamespaceTrust *corev1.ConfigMap
	// NamespaceReadsTrust says that pods of the namespace read NamespaceTrust.
	NamespaceReadsTrust bool
	// NamespaceIncluded says that admission binds the Knative Services of the
	// namespace.
	NamespaceIncluded bool
	// NamespaceEnds says that the namespace is being deleted, with all that is in
	// it.
	NamespaceEnds bool
	// Sinks are the results of resolving the destinations.
	Sinks sinks.Resolutions
	// LastMetadata are the attributes that running agents have from their ConfigMaps, by
	// the names of the Knative Services. They are read only if the metadata is live and
	// a present value can't go into an event.
	LastMetadata map[string][]metadata.Attribute
}

// Platform is the configuration that all bindings share.
type Platform struct {
	binding.Platform
	// Trust has the certificate authorities of the cluster.
	Trust knativeservice.Trust
}

// Changes are the writes that bring the cluster to the desired state, and the
// status that follows from them.
type Changes struct {
	// ConfigMaps are written in this order, before Services: pods must find the
	// files that they mount. A write that fails doesn't hold back Services, because
	// serving never depends on logging.
	ConfigMaps []configmaps.Change
	// Services get another template.
	Services []ServiceChange
	// Status is the status after all writes. It lacks what follows from Subjects.
	Status v1alpha1.LoggerBindingStatus
	// Subjects are the states of the Knative Services after all writes.
	Subjects []v1alpha1.SubjectStatus
	// RetryAfter is the time until the next attempt, or 0 if a change of an object
	// starts it.
	RetryAfter time.Duration
}

// ServiceChange is a write of a Knative Service.
type ServiceChange struct {
	Service *servingv1.Service
	// Template is its new template.
	Template *servingv1.RevisionTemplateSpec
	// Bound says that the new template has the agent.
	Bound bool
	// Before is the state of the Knative Service if it can't be written.
	Before v1alpha1.SubjectStatus
}

// Plan decides what to write for a binding. It does no I/O and leaves its
// arguments unchanged.
func Plan(b *v1alpha1.LoggerBinding, live Live, platform Platform) Changes {
	b = b.DeepCopy()
	b.Spec.Logger = binding.LoggerOf(b)
	unresolved := planSinks(b, live, platform, &b.Status)
	// The addresses are those of this generation.
	b.Status.ObservedGeneration = b.Generation

	subjects := subjectsOf(b, live, platform)
	isNow := b.Spec.Rollout == v1alpha1.RolloutNow
	changes := Changes{Services: rollOut(subjects, live, isNow)}
	readsTrust := live.NamespaceReadsTrust || slices.ContainsFunc(changes.Services, func(c ServiceChange) bool { return c.Bound })
	changes.ConfigMaps = slices.Concat(
		planMetadata(b, subjects, live, platform),
		configmaps.NamespaceTrust(b.Namespace, live.NamespaceTrust, readsTrust, platform.Trust),
		planTrust(b, subjects, live, platform, &b.Status),
		planLeftovers(live, subjects))

	report(b, subjects, platform, &b.Status)
	for _, subject := range subjects {
		if subject.isListed() {
			changes.Subjects = append(changes.Subjects, subject.status)
		}
	}
	if name := b.Spec.Subject.Name; name != "" && !slices.ContainsFunc(live.Services, func(s *servingv1.Service) bool { return s.Name == name }) {
		changes.Subjects = append(changes.Subjects, v1alpha1.SubjectStatus{
			Name: name, State: v1alpha1.SubjectNotBound, Reason: v1alpha1.ReasonMissing,
			Message: fmt.Sprintf("there is no Knative Service %q: create it, or correct spec.subject.name", name),
		})
	}
	changes.Status = b.Status
	switch {
	case isNow && slices.ContainsFunc(subjects, func(s *subject) bool { return s.isLeaving() && s.template != nil }):
		changes.RetryAfter = retryUnbinding
	case unresolved:
		changes.RetryAfter = retryUnresolved
	}
	return changes
}

// PlanDeletion decides what to write for a binding that doesn't exist any more:
// the Knative Services whose record names it lose the agent, in stages. The name
// may also be one that no binding has had.
func PlanDeletion(namespace, name string, live Live, platform Platform) Changes {
	var subjects []*subject
	for _, service := range inOrder(live.Services) {
		if s := newSubject(service, nil); s.record != nil && s.record.Binding == name && binding.Select(live.Bindings, service) == nil {
			s.leave()
			subjects = append(subjects, s)
		}
	}
	changes := Changes{
		Services: rollOut(subjects, live, true),
		ConfigMaps: append(
			configmaps.NamespaceTrust(namespace, live.NamespaceTrust, live.NamespaceReadsTrust, platform.Trust),
			planLeftovers(live, nil)...),
	}
	if slices.ContainsFunc(subjects, func(s *subject) bool { return s.template != nil }) {
		changes.RetryAfter = retryUnbinding
	}
	return changes
}

// planSinks sets the addresses of the destinations in the status, and says there
// whether they have one.
func planSinks(b *v1alpha1.LoggerBinding, live Live, platform Platform, status *v1alpha1.LoggerBindingStatus) (unresolved bool) {
	// Which Knative Service a sink leads back to differs between them.
	noSelf := func(*apis.URL) bool { return false }
	accepted := sinks.Accept(sinksOf(b, platform.Logger), live.Sinks, noSelf, platform.Logger)
	if problem := accepted.Sinks; problem.Reason != "" {
		status.MarkSinkNotResolved(problem.Reason, problem.Message)
	} else {
		status.MarkSinkResolved()
	}
	switch problem := accepted.DeadLetterSinks; {
	case !accepted.HasDeadLetterSinks:
		status.ClearDeadLetterSink()
	case problem.Reason != "":
		status.MarkDeadLetterSinkNotResolved(problem.Reason, problem.Message)
	default:
		status.MarkDeadLetterSinkResolved()
	}
	status.Logger = &v1alpha1.LoggerStatus{}
	for _, pair := range accepted.Desired {
		sink := v1alpha1.SinkStatus{Name: pair.Name, Sink: pair.Sink.Address}
		if letters := pair.DeadLetterSink; letters != nil {
			sink.DeadLetterSink = letters.Address
		}
		status.Logger.Sinks = append(status.Logger.Sinks, sink)
	}
	if only := status.Logger.Sinks; len(b.Spec.Logger.Sinks) == 0 && len(only) == 1 {
		status.Logger.Sink, status.Logger.DeadLetterSink = only[0].Sink.DeepCopy(), only[0].DeadLetterSink.DeepCopy()
		if only[0].Sink != nil {
			status.Logger.SinkURI = only[0].Sink.URL.DeepCopy()
		}
	}
	return accepted.Unresolved
}

// report says in the status what the agents send and what they lack.
func report(b *v1alpha1.LoggerBinding, subjects []*subject, platform Platform, status *v1alpha1.LoggerBindingStatus) {
	var missing, missingLabels, leftOut, behind, noToken, noLetterToken []string
	var deniedValues, deniedSent, kept []string
	bound := 0
	for _, s := range subjects {
		if s.applied == nil || s.isLeaving() {
			continue
		}
		if keys := s.selection.Missing; len(keys) > 0 {
			missing = append(missing, s.service.Name+": "+strings.Join(keys, ", "))
		}
		if keys := s.selection.MissingLabels; len(keys) > 0 {
			missingLabels = append(missingLabels, s.service.Name+": "+strings.Join(keys, ", "))
		}
		for _, match := range s.selection.LeftOut {
			leftOut = append(leftOut, s.service.Name+": "+match)
		}
		if names := s.selection.DeniedValues; len(names) > 0 {
			deniedValues = append(deniedValues, s.service.Name+": "+strings.Join(names, ", "))
		}
		if names := s.selection.Kept; len(names) > 0 {
			kept = append(kept, s.service.Name+": "+strings.Join(names, ", "))
		}
		if !s.hasAgent() {
			continue
		}
		if len(s.denied) > 0 {
			deniedSent = append(deniedSent, s.service.Name+": "+strings.Join(s.denied, ", "))
		}
		bound++
		if differences := s.behind(); len(differences) > 0 {
			behind = append(behind, s.service.Name+": "+strings.Join(differences, ", "))
		}
		s.desired.Each(*s.applied, func(has knativeservice.AppliedPair, named knativeservice.DesiredPair) {
			name := s.service.Name
			if named.Name != v1beta1.DefaultSinkName {
				name += " (sink " + named.Name + ")"
			}
			if knativeservice.LacksToken(has.Sink, &named.Sink) != "" {
				noToken = append(noToken, name)
			}
			if knativeservice.LacksToken(has.DeadLetterSink, named.DeadLetterSink) != "" {
				noLetterToken = append(noLetterToken, name)
			}
			if knativeservice.SentAudience(has.Sink, &named.Sink) != "" || knativeservice.SentAudience(has.DeadLetterSink, named.DeadLetterSink) != "" {
				s.status.Identity = v1beta1.IdentityOf(s.service.Namespace, s.service.Spec.Template.Spec.ServiceAccountName)
			}
		})
	}
	_, denied := platform.Logger.DeniedAnnotations.Permit(b.Spec.Logger.MetadataSources())
	status.MarkMetadata(denied, missing)
	status.MarkLabelsMissing(missingLabels)
	status.MarkLeftOut(leftOut)
	if len(kept) > 0 {
		status.MarkMetadataInvalid(kept)
	}
	status.MarkMetadataDenied(deniedValues, deniedSent)
	if bound == 0 {
		status.ClearAgents()
	} else {
		status.MarkAgents(behind)
	}
	const reason, message = "TokenNotMounted", "the sink asks for a token that the templates of some Knative Services don't have: %s; their events go without a token, and a sink that requires one responds with 401; the next change of the template brings it"
	if len(noToken) > 0 {
		status.MarkSinkNotResolved(reason, fmt.Sprintf(message, joined(noToken)))
	}
	if len(noLetterToken) > 0 {
		status.MarkDeadLetterSinkNotResolved(reason, fmt.Sprintf(message, joined(noLetterToken)))
	}
}

// inOrder returns the Knative Services that aren't being deleted by their names.
func inOrder(services []*servingv1.Service) []*servingv1.Service {
	byName := make(map[string]*servingv1.Service, len(services))
	for _, service := range services {
		if service.DeletionTimestamp == nil {
			byName[service.Name] = service
		}
	}
	ordered := make([]*servingv1.Service, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		ordered = append(ordered, byName[name])
	}
	return ordered
}

// owned returns the fingerprint of a ConfigMap if the Knative Service controls it.
func (l Live) owned(service *servingv1.Service, name string) *corev1.ConfigMap {
	if configMap := l.ConfigMaps[name]; configMap != nil && metav1.IsControlledBy(configMap, service) {
		return configMap
	}
	return nil
}
