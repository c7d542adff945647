/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"slices"

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
	sent, is := applied.Metadata, component.Of
	if component.Spec.Logger.MetadataRefresh == v1beta1.RefreshLive {
		sent = desired.Metadata
	}
	var last v1beta1.LoggerStatus
	if status.Logger != nil {
		last = *status.Logger
	}
	sinkKey, deadLetterKey := knativeservice.AddressKeys(applied)
	logger := &v1beta1.LoggerStatus{
		Mode:               component.Spec.Logger.Mode,
		MissingAnnotations: selected.Missing,
		AgentImage:         applied.Agent.Image,
		SinkURI:            knativeservice.AppliedAddress(applied.Sink, &desired.Sink, live.hasTrustKey(is, sinkKey), last.SinkURI).DeepCopy(),
		DeadLetterSinkURI:  knativeservice.AppliedAddress(applied.DeadLetterSink, desired.DeadLetterSink, live.hasTrustKey(is, deadLetterKey), last.DeadLetterSinkURI).DeepCopy(),
	}
	for _, attribute := range sent {
		logger.Attributes = append(logger.Attributes, attribute.Name)
	}
	status.Logger = logger
	status.MarkMetadata(selected.Missing, selected.Denied, stillSent(component.Spec.Logger, sent, selected.Denied))
	reportTokens(status, applied, desired)
	if differences := knativeservice.Behind(component.Spec.Containers, applied, desired); len(differences) > 0 {
		status.MarkAgentBehind(differences)
	} else {
		status.MarkAgentCurrent()
	}
	if reason := knativeservice.NoAgent(component); reason != "" {
		status.MarkNotLogging("NoAgent", reason+"; until then no event is sent")
	} else if logger.SinkURI == nil {
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
	const reason, message = "TokenNotMounted", "the sink asks for a token for the audience %q, which the template doesn't have: events go out without a token, and a sink that requires one responds with 401; the next change of the specification adds it"
	if audience := knativeservice.LacksToken(applied.Sink, &desired.Sink); audience != "" {
		status.MarkSinkNotResolved(reason, fmt.Sprintf(message, audience))
	}
	if audience := knativeservice.LacksToken(applied.DeadLetterSink, desired.DeadLetterSink); audience != "" {
		status.MarkDeadLetterSinkNotResolved(reason, fmt.Sprintf(message, audience))
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

// stillSent returns the denied annotations whose attributes are sent nevertheless.
func stillSent(logger *v1beta1.LoggerSpec, sent []metadata.Attribute, denied []string) (keys []string) {
	for _, source := range logger.MetadataSources() {
		if slices.Contains(denied, source.Annotation) &&
			slices.ContainsFunc(sent, func(a metadata.Attribute) bool { return a.Name == source.Attribute }) {
			keys = append(keys, source.Annotation)
		}
	}
	return keys
}

// transitions returns an event for each of the logger's conditions that turned
// false, or true again.
func transitions(before, after *v1beta1.InferenceServiceStatus) []conditions.Event {
	return conditions.Transitions(&before.Status, &after.Status,
		v1beta1.SinkResolved, v1beta1.DeadLetterSinkResolved, v1beta1.LoggerValid, v1beta1.MetadataReady, v1beta1.TrustReady)
}
