/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"slices"
	"strings"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/conditions"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// reportLogger says in the status what running agents send. With live metadata
// they have the annotations' present values, otherwise those of the template. It
// returns the attributes.
func reportLogger(component knativeservice.Component, status *v1beta1.InferenceServiceStatus, applied knativeservice.Applied, desired knativeservice.Desired, live LiveComponent, selected knativeservice.Selection) (sent []metadata.Attribute) {
	sent = applied.Metadata
	if component.Spec.Logger.MetadataRefresh == v1beta1.RefreshLive {
		sent = desired.Metadata
	}
	var last v1beta1.LoggerStatus
	if status.Logger != nil {
		last = *status.Logger
	}
	logger := &v1beta1.LoggerStatus{
		Mode:               component.Spec.Logger.Mode,
		MissingAnnotations: selected.Missing, MissingLabels: selected.MissingLabels,
		AgentImage: applied.Agent.Image,
	}
	reportSinks(component, logger, last, applied, desired, live)
	for _, attribute := range sent {
		logger.Attributes = append(logger.Attributes, attribute.Name)
	}
	for _, header := range applied.Headers {
		logger.HeaderAttributes = append(logger.HeaderAttributes, header.Attribute)
	}
	status.Logger = logger
	status.MarkMetadata(selected.Missing, selected.Denied, stillSent(component.Spec.Logger, slices.Concat(logger.Attributes, logger.HeaderAttributes), selected.Denied))
	status.MarkLabelsMissing(selected.MissingLabels)
	status.MarkLeftOut(selected.LeftOut)
	reportTokens(status, applied, desired)
	if differences := knativeservice.Behind(component.Spec.Containers, applied, desired); len(differences) > 0 {
		status.MarkAgentBehind(differences)
	} else {
		status.MarkAgentCurrent()
	}
	if reason := knativeservice.NoAgent(component); reason != "" {
		status.MarkNotLogging("NoAgent", reason+"; until then no event is sent")
	} else if !slices.ContainsFunc(logger.Sinks, func(s v1beta1.SinkStatus) bool { return s.URI != nil }) {
		status.MarkNotLogging("NoSink", "no sink has had an address yet: the model serves, and its events are dropped and counted")
	} else {
		status.MarkLogging()
	}
	ignored := knativeservice.Ignored(component, applied)
	for _, err := range selected.Refused {
		ignored = append(ignored, component.Type.Path()+".logger.metadata: "+err.Error())
	}
	status.MarkIgnored(ignored)
	return sent
}

// reportSinks says where the events for each sink go, and as whom the agent sends
// them. Last is what the status said before.
func reportSinks(component knativeservice.Component, logger *v1beta1.LoggerStatus, last v1beta1.LoggerStatus, applied knativeservice.Applied, desired knativeservice.Desired, live LiveComponent) {
	before := make(map[string]v1beta1.SinkStatus)
	if len(last.Sinks) == 0 {
		// An earlier release wrote it.
		before[v1beta1.DefaultSinkName] = v1beta1.SinkStatus{URI: last.SinkURI, DeadLetterURI: last.DeadLetterSinkURI}
	}
	for _, sink := range last.Sinks {
		before[sink.Name] = sink
	}
	desired.Each(applied, func(has knativeservice.AppliedPair, named knativeservice.DesiredPair) {
		key, deadLetterKey := has.AddressKeys()
		sink := v1beta1.SinkStatus{
			Name:          named.Name,
			URI:           knativeservice.AppliedAddress(has.Sink, &named.Sink, live.hasTrustKey(component.Of, key), before[named.Name].URI).DeepCopy(),
			DeadLetterURI: knativeservice.AppliedAddress(has.DeadLetterSink, named.DeadLetterSink, live.hasTrustKey(component.Of, deadLetterKey), before[named.Name].DeadLetterURI).DeepCopy(),
		}
		sink.Audience = knativeservice.SentAudience(has.Sink, &named.Sink)
		sink.DeadLetterAudience = knativeservice.SentAudience(has.DeadLetterSink, named.DeadLetterSink)
		if sink.Audience != "" || sink.DeadLetterAudience != "" {
			sink.Identity = v1beta1.IdentityOf(component.Of.Namespace, component.Spec.ServiceAccountName)
		}
		logger.Sinks = append(logger.Sinks, sink)
	})
	if len(component.Spec.Logger.Sinks) == 0 && len(logger.Sinks) == 1 {
		logger.SinkURI, logger.DeadLetterSinkURI = logger.Sinks[0].URI.DeepCopy(), logger.Sinks[0].DeadLetterURI.DeepCopy()
	}
}

// reportDenied says which attributes the cluster denies for their values, or running
// agents still send, and which have an earlier value. Leaving says that pods of an
// earlier template may still serve.
func reportDenied(status *v1beta1.InferenceServiceStatus, selected knativeservice.Selection, sent, removing []string, leaving bool) {
	switch {
	case len(sent) > 0:
		status.MarkDeniedSent(sent, removing)
	case leaving:
		status.MarkDeniedLeaving()
	case slices.ContainsFunc(selected.DeniedValues, func(name string) bool { return slices.Contains(status.Logger.Attributes, name) }):
		status.MarkDeniedStays(selected.DeniedValues)
	case len(selected.DeniedValues) > 0:
		status.MarkMetadataDenied(selected.DeniedValues)
	case len(selected.Kept) > 0:
		status.MarkMetadataInvalid(selected.Kept)
	}
}

// reportTokens says that a sink asks for a token that the template doesn't mount.
func reportTokens(status *v1beta1.InferenceServiceStatus, applied knativeservice.Applied, desired knativeservice.Desired) {
	const reason, message = "TokenNotMounted", "the sink%s asks for a token for the audience %q, which the template doesn't have: events go out without a token, and a sink that requires one responds with 401; the next change of the specification adds it"
	var lacking, deadLetterLacking []string
	desired.Each(applied, func(has knativeservice.AppliedPair, named knativeservice.DesiredPair) {
		of := ""
		if named.Name != v1beta1.DefaultSinkName {
			of = fmt.Sprintf(" %q", named.Name)
		}
		if audience := knativeservice.LacksToken(has.Sink, &named.Sink); audience != "" {
			lacking = append(lacking, fmt.Sprintf(message, of, audience))
		}
		if audience := knativeservice.LacksToken(has.DeadLetterSink, named.DeadLetterSink); audience != "" {
			deadLetterLacking = append(deadLetterLacking, fmt.Sprintf(message, of, audience))
		}
	})
	if len(lacking) > 0 {
		status.MarkSinkNotResolved(reason, strings.Join(lacking, "; "))
	}
	if len(deadLetterLacking) > 0 {
		status.MarkDeadLetterSinkNotResolved(reason, strings.Join(deadLetterLacking, "; "))
	}
}

// reportedWithService are the conditions of a logger that follow from the written
// Knative Service.
var reportedWithService = []apis.ConditionType{v1beta1.LoggerReady, v1beta1.LoggerValid, v1beta1.MetadataReady, v1beta1.AgentCurrent}

// Status returns the status after all writes, but those of the Knative Services
// of some components: it says of their templates what the last status said. It
// lacks what Knative Serving reports of the written Services.
func (c Changes) Status(unwritten ...v1beta1.ComponentType) v1beta1.InferenceServiceStatus {
	status := *c.before.DeepCopy()
	var loggers []v1beta1.ComponentLogger
	var sent []metadata.Attribute
	// Of a foreign Knative Service nothing is known, nor of its logger.
	incomplete := false
	for _, change := range c.Components {
		written := !slices.Contains(unwritten, change.Type)
		switch {
		case change.Removed:
			status.RemoveComponent(change.Type)
			continue
		case change.Foreign != nil:
			status.MarkServiceNotOwned(change.Type, change.Foreign.Name)
			incomplete = true
			continue
		case written:
			status.SetRollout(change.Type, change.rollout.Latest, change.rollout.Previous)
		}
		logger := v1beta1.ComponentLogger{Component: change.Type, Status: change.logger}
		switch {
		case change.logger == nil:
			setLogger(&status, change.Type, nil)
			continue
		case written:
			sent = append(sent, change.sent...)
			setLogger(&status, change.Type, change.logger.Logger)
		default:
			incomplete = true
			logger.Status, logger.Unchanged = change.loggerBefore, reportedWithService
		}
		loggers = append(loggers, logger)
	}
	switch {
	case len(loggers) > 0:
		status.PropagateLoggers(loggers)
	case !incomplete:
		status.ClearLogger()
	}
	if len(loggers) > 0 && !incomplete {
		status.ObservedMetadata = metadata.Hash(sent)
	}
	return status
}

// lastLogger returns what a status says of a component's logger, or nil.
func lastLogger(status *v1beta1.InferenceServiceStatus, component v1beta1.ComponentType) *v1beta1.LoggerStatus {
	if component == v1beta1.PredictorComponent {
		return status.Logger.DeepCopy()
	}
	return status.Components[component].Logger.DeepCopy()
}

func setLogger(status *v1beta1.InferenceServiceStatus, component v1beta1.ComponentType, logger *v1beta1.LoggerStatus) {
	if component == v1beta1.PredictorComponent {
		status.Logger = logger
		return
	}
	status.SetLogger(component, logger)
}

// stillSent returns the denied sources whose attributes are sent nevertheless.
func stillSent(logger *v1beta1.LoggerSpec, sent, denied []string) (names []string) {
	for _, source := range logger.MetadataSources() {
		if name := source.String(); slices.Contains(denied, name) && slices.Contains(sent, source.Attribute) {
			names = append(names, name)
		}
	}
	return names
}

// transitions returns an event for each of the logger's conditions that turned
// false, or true again.
func transitions(before, after *v1beta1.InferenceServiceStatus) []conditions.Event {
	return conditions.Transitions(&before.Status, &after.Status,
		v1beta1.SinkResolved, v1beta1.DeadLetterSinkResolved, v1beta1.LoggerValid, v1beta1.MetadataReady, v1beta1.TrustReady)
}
