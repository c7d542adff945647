/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import "github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"

// SubjectReason says why a Knative Service isn't bound.
type SubjectReason string

// The reasons of a subject. docs/reference/loggerbinding.md is generated from
// their comments.
const (
	// ReasonMissing: the binding names a Knative Service that doesn't exist.
	ReasonMissing SubjectReason = "Missing"
	// ReasonNamespaceNotIncluded: the namespace lacks the label
	// bindings.sidenote.dev/include with the value true, so admission doesn't bind
	// its Knative Services.
	ReasonNamespaceNotIncluded SubjectReason = "NamespaceNotIncluded"
	// ReasonOtherBinding: an older binding selects the Knative Service, too.
	ReasonOtherBinding SubjectReason = "OtherBinding"
	// ReasonOwnLogger: the Knative Service belongs to an InferenceService of
	// Sidenote, which has a logger of its own.
	ReasonOwnLogger SubjectReason = "OwnLogger"
	// ReasonConflict: KServe's own logger, batcher or agent is in the template, and
	// takes the agent's port.
	ReasonConflict SubjectReason = "Conflict"
	// ReasonWaitingForRevisionName: the template names its Revision, so each change
	// of it needs a new name.
	ReasonWaitingForRevisionName SubjectReason = "WaitingForRevisionName"
	// ReasonReservedPort: the model listens on a port of the agent.
	ReasonReservedPort SubjectReason = "ReservedPort"
	// ReasonReservedName: a container or volume has a name that begins with
	// sidenote-.
	ReasonReservedName SubjectReason = "ReservedName"
	// ReasonSinkIsSelf: the sink is the Knative Service itself, which would receive
	// its own events without end.
	ReasonSinkIsSelf SubjectReason = "SinkIsSelf"
	// ReasonRefused: Knative Serving would refuse the template with the agent.
	ReasonRefused SubjectReason = "Refused"
	// ReasonNotWritten: the Knative Service couldn't be updated.
	ReasonNotWritten SubjectReason = "NotWritten"
	// ReasonNextChange: the template follows the binding with its next change, as
	// rollout says.
	ReasonNextChange SubjectReason = "NextChange"
	// ReasonRollingOut: other Knative Services that the rollout changed aren't ready
	// yet.
	ReasonRollingOut SubjectReason = "RollingOut"
	// ReasonNotSelected: the binding doesn't select the Knative Service any more.
	ReasonNotSelected SubjectReason = "NotSelected"
)

// DescribeReasons describes every reason of a condition that the controller
// sets.
func DescribeReasons() []v1beta1.ReasonDescription {
	reasons := []v1beta1.ReasonDescription{
		{Condition: SubjectsBound, Reason: "SubjectMissing", Meaning: "no Knative Service is selected"},
		{Condition: SubjectsBound, Reason: "NamespaceNotIncluded", Meaning: "the namespace lacks the label bindings.sidenote.dev/include with the value true"},
		{Condition: SubjectsBound, Reason: "NotBound", Meaning: "some Knative Services can't have the agent; status.subjects says why"},
		{Condition: SubjectsBound, Reason: "Waiting", Meaning: "some Knative Services have no agent yet, or an earlier one"},
	}
	for _, sink := range v1beta1.DescribeReasons() {
		if (sink.Condition == SinkResolved || sink.Condition == DeadLetterSinkResolved) && sink.Reason != "SinkIsSelf" {
			reasons = append(reasons, sink)
		}
	}
	return append(reasons,
		v1beta1.ReasonDescription{Condition: MetadataReady, Reason: "AnnotationMissing", Meaning: "a Knative Service lacks a listed annotation; its events go without the attribute"},
		v1beta1.ReasonDescription{Condition: MetadataReady, Reason: "LabelMissing", Meaning: "a Knative Service lacks a listed label; its events go without the attribute"},
		v1beta1.ReasonDescription{Condition: MetadataReady, Reason: "AnnotationDenied", Meaning: "denied-annotations of config-logger matches a listed annotation, label or header"},
		v1beta1.ReasonDescription{Condition: MetadataReady, Reason: "MatchLeftOut", Meaning: "no event carries an annotation that a pattern of metadataAnnotations matches; the message names the Knative Service and says why"},
		v1beta1.ReasonDescription{Condition: MetadataReady, Reason: "MetadataDenied", Meaning: "config-logger denies a value, or a key whose attribute running agents still send; the controller makes Revisions without it, a few at a time"},
		v1beta1.ReasonDescription{Condition: MetadataReady, Reason: "MetadataInvalid", Meaning: "the present value of a live annotation can't go into an event; events keep the last valid one"},
		v1beta1.ReasonDescription{Condition: MetadataReady, Reason: "MetadataNotWritten", Meaning: "a ConfigMap NAME-logger-metadata couldn't be written"},
		v1beta1.ReasonDescription{Condition: TrustReady, Reason: "TrustBundleLeftOut", Meaning: "a trust bundle of the cluster has no certificate, or exceeds the size limit"},
		v1beta1.ReasonDescription{Condition: TrustReady, Reason: "TrustNotWritten", Meaning: "a ConfigMap couldn't be written"},
		v1beta1.ReasonDescription{Condition: AgentCurrent, Reason: "Behind", Meaning: "the message names Knative Services with an earlier agent, and the settings that changed since"},
	)
}
