/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/controller"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/pkg/reconciler/inferenceservice/resources"
)

// reportLogger says in the status what goes out. Under Live, running agents
// have the annotations' present values; else what the template has. Filed
// reports whether a file of theirs has the sink's address.
func reportLogger(is *v1beta1.InferenceService, inForce resources.InForce, wanted resources.Wanted, filed func(key string) bool, missing, denied []string) {
	observed := inForce.Metadata
	if is.Spec.Predictor.Logger.MetadataRefresh == v1beta1.RefreshLive {
		observed = wanted.Metadata
	}
	status := &v1beta1.LoggerStatus{
		Mode:               is.Spec.Predictor.Logger.Mode,
		MissingAnnotations: missing,
		AgentImage:         inForce.Agent.Image,
	}
	for _, attribute := range observed {
		status.Attributes = append(status.Attributes, attribute.Name)
	}
	var last v1beta1.LoggerStatus
	if is.Status.Logger != nil {
		last = *is.Status.Logger
	}
	sinkKey, deadLetterKey := resources.AddressKeys(inForce)
	status.SinkURI = resources.AddressInForce(inForce.Sink, &wanted.Sink, filed(sinkKey), last.SinkURI).DeepCopy()
	status.DeadLetterSinkURI = resources.AddressInForce(inForce.DeadLetterSink, wanted.DeadLetterSink, filed(deadLetterKey), last.DeadLetterSinkURI).DeepCopy()
	if status.SinkURI != nil {
		is.Status.MarkLogging()
	} else {
		is.Status.MarkNotLogging("NoSink", "no sink has had an address yet: the model serves, and its events are dropped and counted")
	}
	reportTokens(is, inForce, wanted)
	is.Status.Logger = status
	is.Status.ObservedMetadata = metadata.Hash(observed)
	is.Status.MarkMetadata(missing, denied, stillSent(is, observed, denied))
	if differences := resources.Behind(is, inForce, wanted); len(differences) > 0 {
		is.Status.MarkAgentBehind(differences)
	} else {
		is.Status.MarkAgentCurrent()
	}
}

// reportTokens says where a sink asks for a token that its template hasn't.
func reportTokens(is *v1beta1.InferenceService, inForce resources.InForce, wanted resources.Wanted) {
	const reason, message = "TokenNotMounted", "the sink asks for a token for the audience %q, for which the template has none: events go out without one, and a sink that requires it answers 401; the next change of the specification brings it"
	if audience := resources.LacksToken(inForce.Sink, &wanted.Sink); audience != "" {
		is.Status.MarkSinkNotResolved(reason, fmt.Sprintf(message, audience))
	}
	if audience := resources.LacksToken(inForce.DeadLetterSink, wanted.DeadLetterSink); audience != "" {
		is.Status.MarkDeadLetterSinkNotResolved(reason, fmt.Sprintf(message, audience))
	}
}

// stillSent gives the denied annotations whose attributes go out all the same.
func stillSent(is *v1beta1.InferenceService, observed []metadata.Attribute, denied []string) (keys []string) {
	for _, source := range is.Spec.Predictor.Logger.MetadataSources() {
		if slices.Contains(denied, source.Annotation) &&
			slices.ContainsFunc(observed, func(a metadata.Attribute) bool { return a.Name == source.Attribute }) {
			keys = append(keys, source.Annotation)
		}
	}
	return keys
}

// reportIgnored says in the status what of the specification the template is
// made without, because the agent would not start with it.
func reportIgnored(is *v1beta1.InferenceService, inForce resources.InForce, attributes []error) {
	if reason := resources.NoAgent(is); reason != "" {
		is.Status.MarkNotLogging("NoAgent", reason+"; until then no event is sent")
	}
	ignored := resources.Ignored(is, inForce)
	for _, err := range attributes {
		ignored = append(ignored, "spec.predictor.logger.metadata: "+err.Error())
	}
	is.Status.MarkIgnored(ignored)
}

// recordTransitions records an event for each of the logger's conditions that
// turned false, or true again, since the status was read.
func recordTransitions(ctx context.Context, before, is *v1beta1.InferenceService) {
	recorder := controller.GetEventRecorder(ctx)
	for _, condition := range []apis.ConditionType{v1beta1.SinkResolved, v1beta1.DeadLetterSinkResolved, v1beta1.LoggerValid, v1beta1.MetadataReady, v1beta1.TrustReady} {
		was, now := before.Status.GetCondition(condition), is.Status.GetCondition(condition)
		switch {
		case now == nil:
		case now.IsFalse() && (was == nil || was.Message != now.Message):
			recorder.Event(is, corev1.EventTypeWarning, now.Reason, now.Message)
		case now.IsTrue() && was != nil && was.IsFalse():
			recorder.Eventf(is, corev1.EventTypeNormal, string(condition), "%s is true again", condition)
		}
	}
}
