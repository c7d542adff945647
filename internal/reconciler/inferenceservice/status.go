/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// reportLogger says in the status what running agents send. With live metadata
// they have the annotations' present values, otherwise those of the template.
func reportLogger(is *v1beta1.InferenceService, status *v1beta1.InferenceServiceStatus, applied knativeservice.Applied, desired knativeservice.Desired, live Live, selected selection) {
	sent := applied.Metadata
	if is.Spec.Predictor.Logger.MetadataRefresh == v1beta1.RefreshLive {
		sent = desired.Metadata
	}
	var last v1beta1.LoggerStatus
	if status.Logger != nil {
		last = *status.Logger
	}
	sinkKey, deadLetterKey := knativeservice.AddressKeys(applied)
	logger := &v1beta1.LoggerStatus{
		Mode:               is.Spec.Predictor.Logger.Mode,
		MissingAnnotations: selected.missing,
		AgentImage:         applied.Agent.Image,
		SinkURI:            knativeservice.AppliedAddress(applied.Sink, &desired.Sink, live.hasTrustKey(is, sinkKey), last.SinkURI).DeepCopy(),
		DeadLetterSinkURI:  knativeservice.AppliedAddress(applied.DeadLetterSink, desired.DeadLetterSink, live.hasTrustKey(is, deadLetterKey), last.DeadLetterSinkURI).DeepCopy(),
	}
	for _, attribute := range sent {
		logger.Attributes = append(logger.Attributes, attribute.Name)
	}
	status.Logger = logger
	status.ObservedMetadata = metadata.Hash(sent)
	status.MarkMetadata(selected.missing, selected.denied, stillSent(is, sent, selected.denied))
	reportTokens(status, applied, desired)
	if differences := knativeservice.Behind(is, applied, desired); len(differences) > 0 {
		status.MarkAgentBehind(differences)
	} else {
		status.MarkAgentCurrent()
	}
	if reason := knativeservice.NoAgent(is); reason != "" {
		status.MarkNotLogging("NoAgent", reason+"; until then no event is sent")
	} else if logger.SinkURI == nil {
		status.MarkNotLogging("NoSink", "no sink has had an address yet: the model serves, and its events are dropped and counted")
	} else {
		status.MarkLogging()
	}
	ignored := knativeservice.Ignored(is, applied)
	for _, err := range selected.refused {
		ignored = append(ignored, "spec.predictor.logger.metadata: "+err.Error())
	}
	status.MarkIgnored(ignored)
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

// stillSent returns the denied annotations whose attributes are sent nevertheless.
func stillSent(is *v1beta1.InferenceService, sent []metadata.Attribute, denied []string) (keys []string) {
	for _, source := range is.Spec.Predictor.Logger.MetadataSources() {
		if slices.Contains(denied, source.Annotation) &&
			slices.ContainsFunc(sent, func(a metadata.Attribute) bool { return a.Name == source.Attribute }) {
			keys = append(keys, source.Annotation)
		}
	}
	return keys
}

// Event is a Kubernetes event about an InferenceService.
type Event struct{ Type, Reason, Message string }

// transitions returns an event for each of the logger's conditions that turned
// false, or true again.
func transitions(before, after *v1beta1.InferenceServiceStatus) (events []Event) {
	for _, condition := range []apis.ConditionType{v1beta1.SinkResolved, v1beta1.DeadLetterSinkResolved, v1beta1.LoggerValid, v1beta1.MetadataReady, v1beta1.TrustReady} {
		was, now := before.GetCondition(condition), after.GetCondition(condition)
		switch {
		case now == nil:
		case now.IsFalse() && (was == nil || was.Message != now.Message):
			events = append(events, Event{corev1.EventTypeWarning, now.Reason, now.Message})
		case now.IsTrue() && was != nil && was.IsFalse():
			events = append(events, Event{corev1.EventTypeNormal, string(condition), fmt.Sprintf("%s is true again", condition)})
		}
	}
	return events
}
