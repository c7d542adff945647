/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import "knative.dev/pkg/apis"

// ReasonDescription describes why a condition is not true.
// docs/reference/conditions.md is generated from it.
//
// +k8s:deepcopy-gen=false
type ReasonDescription struct {
	Condition       apis.ConditionType
	Reason, Meaning string
}

// DescribeReasons describes every reason that the controller sets.
// The conditions of the components also have the reasons of the Knative Services.
func DescribeReasons() []ReasonDescription {
	var reasons []ReasonDescription
	for _, component := range ComponentTypes() {
		ready := component.ReadyCondition()
		reasons = append(reasons,
			ReasonDescription{ready, "NotOwned", "another owner has a Knative Service of that name"},
			ReasonDescription{ready, "ServiceNotWritten", "the API server refused the Knative Service"},
			ReasonDescription{ready, "PodNotCreated", "the API server refused the pod; the message names the rule and what to change"},
			ReasonDescription{ready, "OutOfDate", "Knative Serving has not yet processed the latest change"},
			ReasonDescription{ready, "Deploying", "Knative Serving has not yet reported a status"},
		)
	}
	reasons = append(reasons,
		ReasonDescription{RouteReady, "NotOwned", "another owner, such as a Knative Service, has a Knative Route of that name"},
		ReasonDescription{RouteReady, "RouteNotWritten", "the API server refused the Knative Route"},
		ReasonDescription{RouteReady, "OutOfDate", "Knative Serving has not yet processed the latest change"},
		ReasonDescription{RouteReady, "Deploying", "Knative Serving has not yet reported a status"},
	)
	for _, sink := range []apis.ConditionType{SinkResolved, DeadLetterSinkResolved} {
		reasons = append(reasons,
			ReasonDescription{sink, "NotResolved", "the sink has no address"},
			ReasonDescription{sink, "SinkNotAddressable", "objects of this kind are never a sink"},
			ReasonDescription{sink, "SinkNotAllowed", "cross-namespace-sinks or allowed-uri-hosts of config-logger forbids the sink; its events are dropped and counted"},
			ReasonDescription{sink, "SinkIsSelf", "the sink is the InferenceService itself"},
			ReasonDescription{sink, "SinkUnusable", "the agent can't use the sink's address"},
			ReasonDescription{sink, "AudienceRefused", "the sink asks for a token of an audience that the cluster doesn't permit; events go without a token"},
			ReasonDescription{sink, "TokenNotMounted", "the sink asks for a token that the running template doesn't have; the next change of the specification adds it"},
		)
	}
	return append(reasons,
		ReasonDescription{LoggerReady, "NoSink", "no sink has had an address yet; events are dropped and counted"},
		ReasonDescription{LoggerReady, "NoAgent", "the model listens on a port of the agent, so it serves without an agent"},
		ReasonDescription{LoggerValid, "FieldsIgnored", "the message names each field that is ignored, and why"},
		ReasonDescription{MetadataReady, "AnnotationMissing", "the object lacks a listed annotation; events go without the attribute"},
		ReasonDescription{MetadataReady, "LabelMissing", "the object lacks a listed label; events go without the attribute"},
		ReasonDescription{MetadataReady, "AnnotationDenied", "denied-annotations of config-logger matches a listed annotation, label or header"},
		ReasonDescription{MetadataReady, "MatchLeftOut", "no event carries an annotation that a pattern of metadataAnnotations matches; the message says why"},
		ReasonDescription{MetadataReady, "MetadataDenied", "config-logger denies a value, or a key whose attribute running agents still send; the controller makes Revisions without it, a few at a time"},
		ReasonDescription{MetadataReady, "MetadataInvalid", "the present value of a live annotation can't go into an event; events keep the last valid one"},
		ReasonDescription{MetadataReady, "MetadataNotWritten", "the ConfigMap NAME-predictor-default-metadata couldn't be written"},
		ReasonDescription{TrustReady, "TrustBundleLeftOut", "a trust bundle of the cluster has no certificate, or exceeds the size limit"},
		ReasonDescription{TrustReady, "TrustNotWritten", "a ConfigMap couldn't be written"},
		ReasonDescription{AgentCurrent, "Behind", "the message names the settings that changed since the running template was made"},
	)
}
