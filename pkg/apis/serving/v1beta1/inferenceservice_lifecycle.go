/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// The conditions of an InferenceService. Ready derives from those of the
// components alone, because serving never depends on logging.
// docs/reference/conditions.md is generated from their comments and from
// DescribeReasons.
const (
	// PredictorReady: the model's Knative Service is ready.
	PredictorReady apis.ConditionType = "PredictorReady"
	// TransformerReady: the transformer's Knative Service is ready. It exists only
	// if there is a transformer.
	TransformerReady apis.ConditionType = "TransformerReady"
	// ExplainerReady: the explainer's Knative Service is ready. It exists only if
	// there is an explainer.
	ExplainerReady apis.ConditionType = "ExplainerReady"
	// RouteReady: the Knative Route with the name of the InferenceService is ready, so
	// that status.url is its address. Otherwise status.url is that of a component,
	// which serves nevertheless.
	RouteReady apis.ConditionType = "RouteReady"
	// SinkResolved: the sink has an address, and the agent has the token that the
	// sink asks for, if any.
	SinkResolved apis.ConditionType = "SinkResolved"
	// DeadLetterSinkResolved: the same for the dead letter sink. It exists only if
	// one is specified.
	DeadLetterSinkResolved apis.ConditionType = "DeadLetterSinkResolved"
	// LoggerReady: the sink that the running template uses has an address, so that
	// events are sent.
	LoggerReady apis.ConditionType = "LoggerReady"
	// LoggerValid: the agent gets everything that the logger specifies. It is false
	// only for an object that the webhook didn't validate, or validated under other
	// settings of the cluster.
	LoggerValid apis.ConditionType = "LoggerValid"
	// MetadataReady: the object has every listed annotation and label, the cluster
	// permits to send them, and events have room for what patterns match.
	MetadataReady apis.ConditionType = "MetadataReady"
	// TrustReady: running agents get the addresses of the sinks and the certificate
	// authorities of the cluster and of the sinks. It exists only if there are any.
	TrustReady apis.ConditionType = "TrustReady"
	// AgentCurrent: the running template has the agent that a new template would
	// get.
	AgentCurrent apis.ConditionType = "AgentCurrent"
)

// conditionSet has what every InferenceService has.
var conditionSet = conditionSetOf([]ComponentType{PredictorComponent})

func conditionSetOf(components []ComponentType) apis.ConditionSet {
	conditions := make([]apis.ConditionType, 0, len(components))
	for _, component := range components {
		conditions = append(conditions, component.ReadyCondition())
	}
	return apis.NewLivingConditionSet(conditions...)
}

// manageComponent manages the conditions of the components that the status knows
// of, and of the one that is about to be said.
func (s *InferenceServiceStatus) manageComponent(component ComponentType) apis.ConditionManager {
	components := slices.DeleteFunc(ComponentTypes(), func(other ComponentType) bool {
		return other != component && other != PredictorComponent && !s.hasComponent(other)
	})
	return conditionSetOf(components).Manage(s)
}

func (s *InferenceServiceStatus) hasComponent(component ComponentType) bool {
	return s.GetCondition(component.ReadyCondition()) != nil
}

// RemoveComponent removes what the status says of a component, because there is none.
// The predictor is always there.
func (s *InferenceServiceStatus) RemoveComponent(component ComponentType) {
	delete(s.Components, component)
	// The only error is that the condition may not be cleared, which holds for the
	// predictor's alone.
	_ = conditionSet.Manage(s).ClearCondition(component.ReadyCondition())
}

// loggerConditions are there only where there is a logger.
var loggerConditions = []apis.ConditionType{SinkResolved, DeadLetterSinkResolved, LoggerReady, LoggerValid, MetadataReady, TrustReady, AgentCurrent}

// InitializeConditions sets every condition that isn't known yet to Unknown.
func (s *InferenceServiceStatus) InitializeConditions() {
	conditionSet.Manage(s).InitializeConditions()
}

// IsReady reports whether the latest specification is served.
func (is *InferenceService) IsReady() bool {
	return is.Status.ObservedGeneration == is.Generation &&
		is.GetConditionSet().Manage(&is.Status).IsHappy()
}

// ClearLogger removes what the status says of a logger, because there is none.
func (s *InferenceServiceStatus) ClearLogger() {
	s.Logger = nil
	s.ObservedMetadata = ""
	for _, condition := range loggerConditions {
		// The only error is that a condition may not be cleared, which holds for
		// none of these.
		_ = conditionSet.Manage(s).ClearCondition(condition)
	}
}

// MarkServiceNotOwned says that a component's Knative Service belongs to
// something else.
func (s *InferenceServiceStatus) MarkServiceNotOwned(component ComponentType, name string) {
	s.manageComponent(component).MarkFalse(component.ReadyCondition(), "NotOwned",
		"there is a Knative Service %q that this InferenceService doesn't own: delete it, or rename the InferenceService", name)
}

// MarkServiceRefused says that a component's Knative Service couldn't be
// written.
func (s *InferenceServiceStatus) MarkServiceRefused(component ComponentType, err error) {
	s.manageComponent(component).MarkFalse(component.ReadyCondition(), "ServiceNotWritten", "%s", err.Error())
}

// PropagateService takes over what a component's Knative Service says of
// itself. The transformer is in front of the predictor, so its address is that of
// both.
func (s *InferenceServiceStatus) PropagateService(component ComponentType, service *servingv1.Service) {
	var before *apis.Condition
	if s.Components[component].LatestCreatedRevision == service.Status.LatestCreatedRevisionName {
		before = s.GetCondition(component.ReadyCondition())
	}
	last := s.Components[component]
	s.setComponent(component, ComponentStatus{
		ServiceName:               service.Name,
		ServiceGeneration:         service.Generation,
		URL:                       service.Status.URL,
		LatestCreatedRevision:     service.Status.LatestCreatedRevisionName,
		LatestReadyRevision:       service.Status.LatestReadyRevisionName,
		LatestRolledoutRevision:   last.LatestRolledoutRevision,
		PreviousRolledoutRevision: last.PreviousRolledoutRevision,
		Traffic:                   trafficOf(service),
		Logger:                    last.Logger,
	})
	if component == TransformerComponent || (component == PredictorComponent && !s.hasComponent(TransformerComponent)) {
		s.URL = service.Status.URL
		s.Address = service.Status.Address
	}

	manager, condition := s.manageComponent(component), component.ReadyCondition()
	ready := service.Status.GetCondition(apis.ConditionReady)
	switch {
	case service.Generation != service.Status.ObservedGeneration:
		manager.MarkUnknown(condition, "OutOfDate", "Knative Serving has not yet processed the latest change")
	case ready == nil:
		manager.MarkUnknown(condition, "Deploying", "Knative Serving has not yet reported a status")
	case ready.Status == corev1.ConditionTrue:
		manager.MarkTrue(condition)
	case ready.Status == corev1.ConditionFalse:
		// Where the Configuration failed too, it knows the cause, such as an image
		// that can't be pulled; the Route only knows that there is no Revision.
		if cause := service.Status.GetCondition(servingv1.ServiceConditionConfigurationsReady); cause.IsFalse() {
			ready = cause
		}
		reason, message := explainFailure(ready, before)
		manager.MarkFalse(condition, reason, "%s", message)
	default:
		manager.MarkUnknown(condition, ready.Reason, "%s", ready.Message)
	}
}

// trafficOf returns where a Knative Service says that its traffic goes.
func trafficOf(service *servingv1.Service) (targets []TrafficTarget) {
	for _, target := range service.Status.Traffic {
		targets = append(targets, TrafficTarget{
			RevisionName:   target.RevisionName,
			LatestRevision: target.LatestRevision != nil && *target.LatestRevision,
			Percent:        ptr.Int64Value(target.Percent),
			Tag:            target.Tag,
			URL:            target.URL,
		})
	}
	return targets
}

// PropagateRoute takes over what the Knative Route of the InferenceService says of
// itself. Serving doesn't depend on it, because each component has its own.
func (s *InferenceServiceStatus) PropagateRoute(route *servingv1.Route) {
	manager, ready := conditionSet.Manage(s), route.Status.GetCondition(apis.ConditionReady)
	switch {
	case route.Generation != route.Status.ObservedGeneration:
		manager.MarkUnknown(RouteReady, "OutOfDate", "Knative Serving has not yet processed the latest change")
	case ready == nil:
		manager.MarkUnknown(RouteReady, "Deploying", "Knative Serving has not yet reported a status")
	case ready.Status == corev1.ConditionTrue:
		manager.MarkTrue(RouteReady)
		s.URL = route.Status.URL
		s.Address = route.Status.Address
	case ready.Status == corev1.ConditionFalse:
		manager.MarkFalse(RouteReady, ready.Reason, "%s", ready.Message)
	default:
		manager.MarkUnknown(RouteReady, ready.Reason, "%s", ready.Message)
	}
}

// MarkRouteNotOwned says that the Knative Route with the name of the
// InferenceService belongs to something else.
func (s *InferenceServiceStatus) MarkRouteNotOwned(name string) {
	conditionSet.Manage(s).MarkFalse(RouteReady, "NotOwned",
		"there is a Knative Route %q that this InferenceService doesn't own: it is served at the addresses of its components; to serve it at its name, delete the Route or the Knative Service that owns it", name)
}

// MarkRouteRefused says that the Knative Route couldn't be written.
func (s *InferenceServiceStatus) MarkRouteRefused(err error) {
	conditionSet.Manage(s).MarkFalse(RouteReady, "RouteNotWritten", "%s", err.Error())
}

// SetRollout says which Revisions of a component had all of its traffic.
func (s *InferenceServiceStatus) SetRollout(component ComponentType, latest, previous string) {
	status, found := s.Components[component]
	if !found && latest == "" && previous == "" {
		return
	}
	status.LatestRolledoutRevision, status.PreviousRolledoutRevision = latest, previous
	s.setComponent(component, status)
}

// SetLogger says which settings the logger of a transformer or an explainer has,
// or nil for none.
func (s *InferenceServiceStatus) SetLogger(component ComponentType, logger *LoggerStatus) {
	status, found := s.Components[component]
	if !found && logger == nil {
		return
	}
	status.Logger = logger
	s.setComponent(component, status)
}

func (s *InferenceServiceStatus) setComponent(component ComponentType, status ComponentStatus) {
	if s.Components == nil {
		s.Components = make(map[ComponentType]ComponentStatus, 1)
	}
	s.Components[component] = status
}

// MarkSinkResolved says that the sink has an address.
func (s *InferenceServiceStatus) MarkSinkResolved() {
	conditionSet.Manage(s).MarkTrue(SinkResolved)
}

// MarkSinkNotResolved says why the sink has no address.
func (s *InferenceServiceStatus) MarkSinkNotResolved(reason, message string) {
	conditionSet.Manage(s).MarkFalse(SinkResolved, reason, "%s", message)
}

// MarkDeadLetterSinkResolved says that the dead letter sink has an address.
func (s *InferenceServiceStatus) MarkDeadLetterSinkResolved() {
	conditionSet.Manage(s).MarkTrue(DeadLetterSinkResolved)
}

// MarkDeadLetterSinkNotResolved says why the dead letter sink has no address.
func (s *InferenceServiceStatus) MarkDeadLetterSinkNotResolved(reason, message string) {
	conditionSet.Manage(s).MarkFalse(DeadLetterSinkResolved, reason, "%s", message)
}

// ClearDeadLetterSink removes what is said of a dead letter sink, for none is
// named.
func (s *InferenceServiceStatus) ClearDeadLetterSink() {
	// The only error is that the condition may not be cleared, which it may.
	_ = conditionSet.Manage(s).ClearCondition(DeadLetterSinkResolved)
}

// MarkLogging says that events go to the sink in use.
func (s *InferenceServiceStatus) MarkLogging() {
	conditionSet.Manage(s).MarkTrue(LoggerReady)
}

// MarkNotLogging says why every event is dropped.
func (s *InferenceServiceStatus) MarkNotLogging(reason, message string) {
	conditionSet.Manage(s).MarkFalse(LoggerReady, reason, "%s", message)
}

// Bounds of a condition's message, because what an object may have is not bounded.
const (
	maxListed      = 8
	maxListedBytes = 300
)

// MarkIgnored says which fields count for nothing, and why.
func (s *InferenceServiceStatus) MarkIgnored(ignored []string) {
	if len(ignored) == 0 {
		conditionSet.Manage(s).MarkTrue(LoggerValid)
		return
	}
	conditionSet.Manage(s).MarkFalse(LoggerValid, "FieldsIgnored", "ignored: %s", JoinBounded(ignored))
}

// JoinBounded lists texts in a condition's message, each cut to 300 bytes, and
// the number of those after the first 8.
func JoinBounded(texts []string) string {
	listed := make([]string, 0, maxListed+1)
	for i, text := range texts {
		if i == maxListed {
			listed = append(listed, fmt.Sprintf("and %d more", len(texts)-i))
			break
		}
		if len(text) > maxListedBytes {
			text = strings.ToValidUTF8(text[:maxListedBytes], "") + "…"
		}
		listed = append(listed, text)
	}
	return strings.Join(listed, "; ")
}

// MarkMetadata says which listed annotations the object lacks, and which ones
// the cluster denies. Stays names those of the latter that the template in
// force still has.
func (s *InferenceServiceStatus) MarkMetadata(missing, denied, stays []string) {
	switch {
	case len(stays) > 0:
		conditionSet.Manage(s).MarkFalse(MetadataReady, "AnnotationDenied",
			"listed, but denied by the cluster: %s; running agents still send %s, until the next change of the specification: list another annotation", strings.Join(denied, ", "), strings.Join(stays, ", "))
		return
	case len(denied) > 0:
		conditionSet.Manage(s).MarkFalse(MetadataReady, "AnnotationDenied",
			"listed, but denied by the cluster: %s; events go without the attribute: list another annotation", strings.Join(denied, ", "))
		return
	case len(missing) == 0:
		conditionSet.Manage(s).MarkTrue(MetadataReady)
		return
	}
	conditionSet.Manage(s).MarkFalse(MetadataReady, "AnnotationMissing",
		"listed, but not on the object: %s; events lack the attribute until it is added", strings.Join(missing, ", "))
}

// MarkLabelsMissing adds to what MarkMetadata says which listed labels the object
// lacks.
func (s *InferenceServiceStatus) MarkLabelsMissing(missing []string) {
	if len(missing) > 0 {
		AddCause(conditionSet.Manage(s), MetadataReady, "LabelMissing", "listed, but not on the object: labels "+strings.Join(missing, ", ")+"; events lack the attribute until it is added")
	}
}

// MarkLeftOut adds to what MarkMetadata says which annotations a pattern matches
// that no event carries, and why.
func (s *InferenceServiceStatus) MarkLeftOut(leftOut []string) {
	if len(leftOut) > 0 {
		AddCause(conditionSet.Manage(s), MetadataReady, "MatchLeftOut", "matched by a pattern, but left out: "+JoinBounded(leftOut))
	}
}

// MarkMetadataDenied says which attributes the cluster denies for their values.
func (s *InferenceServiceStatus) MarkMetadataDenied(attributes []string) {
	AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataDenied", fmt.Sprintf(
		"denied-values of config-logger denies the values of %s; events go without these attributes: change the values", strings.Join(attributes, ", ")))
}

// MarkDeniedStays says which attributes a default list denies for their values and
// running agents send until their template is made anew.
func (s *InferenceServiceStatus) MarkDeniedStays(attributes []string) {
	AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataDenied", fmt.Sprintf(
		"the default denied-values deny the values of %s; running agents still send them, until the next change of the specification: change the values", strings.Join(attributes, ", ")))
}

// MarkDeniedSent says which denied attributes running agents still send, and which
// Knative Services must be ready before a new Revision without them is made.
func (s *InferenceServiceStatus) MarkDeniedSent(attributes, waitsFor []string) {
	AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataDenied", fmt.Sprintf(
		"running agents still send %s, which config-logger denies: a new Revision without it is made when others that got one for this reason are ready: %s", strings.Join(attributes, ", "), JoinBounded(waitsFor)))
}

// MarkDeniedLeaving says that pods of an earlier Revision may still send what
// config-logger denies.
func (s *InferenceServiceStatus) MarkDeniedLeaving() {
	AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataDenied",
		"a new Revision without attributes that config-logger denies was made: pods of the earlier one send them until it is ready")
}

// MarkMetadataInvalid says which attributes have an earlier value, because the present
// one can't go into an event.
func (s *InferenceServiceStatus) MarkMetadataInvalid(attributes []string) {
	AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataInvalid", fmt.Sprintf(
		"the present values of %s can't go into an event; events keep the last valid ones: write one line of printable text of at most 1 KiB", strings.Join(attributes, ", ")))
}

// MarkMetadataNotWritten says why running agents don't get the metadata.
func (s *InferenceServiceStatus) MarkMetadataNotWritten(err error) {
	conditionSet.Manage(s).MarkFalse(MetadataReady, "MetadataNotWritten", "%s", err.Error())
}

// MarkTrust says which of the cluster's trust bundles running agents don't
// get.
func (s *InferenceServiceStatus) MarkTrust(leftOut []string) {
	if len(leftOut) == 0 {
		conditionSet.Manage(s).MarkTrue(TrustReady)
		return
	}
	conditionSet.Manage(s).MarkFalse(TrustReady, "TrustBundleLeftOut",
		"%s: sinks whose certificate comes from there are not trusted; fix the trust bundle, or set CACerts on the sink", strings.Join(leftOut, "; "))
}

// MarkTrustNotWritten says why running agents don't get the authorities.
func (s *InferenceServiceStatus) MarkTrustNotWritten(err error) {
	conditionSet.Manage(s).MarkFalse(TrustReady, "TrustNotWritten", "%s", err.Error())
}

// ClearTrust removes what is said of authorities, because there are none.
func (s *InferenceServiceStatus) ClearTrust() {
	// The only error is that the condition may not be cleared, which it may.
	_ = conditionSet.Manage(s).ClearCondition(TrustReady)
}

// MarkAgentCurrent says that the agent is the one a new template would get.
func (s *InferenceServiceStatus) MarkAgentCurrent() {
	conditionSet.Manage(s).MarkTrue(AgentCurrent)
}

// MarkAgentBehind says what a new template would have otherwise.
func (s *InferenceServiceStatus) MarkAgentBehind(differences []string) {
	conditionSet.Manage(s).MarkFalse(AgentCurrent, "Behind",
		"the template keeps an older %s: the next change of the specification applies the new one", strings.Join(differences, ", "))
}
