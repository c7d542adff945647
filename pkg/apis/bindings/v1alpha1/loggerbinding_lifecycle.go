/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"fmt"
	"strings"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// The conditions of a LoggerBinding. Ready derives from SinkResolved and
// SubjectsBound. docs/reference/loggerbinding.md is generated from their comments
// and from DescribeReasons.
const (
	// SinkResolved: the sink has an address, and agents have the token that the
	// sink asks for, if any.
	SinkResolved apis.ConditionType = "SinkResolved"
	// SubjectsBound: each selected Knative Service has the agent that the binding
	// describes.
	SubjectsBound apis.ConditionType = "SubjectsBound"
	// DeadLetterSinkResolved: the same as SinkResolved for the dead letter sink. It
	// exists only if one is specified.
	DeadLetterSinkResolved apis.ConditionType = "DeadLetterSinkResolved"
	// MetadataReady: each bound Knative Service has every listed annotation and label,
	// the cluster permits to send them, and events have room for what patterns match.
	MetadataReady apis.ConditionType = "MetadataReady"
	// TrustReady: running agents get the addresses of the sinks and the certificate
	// authorities of the cluster and of the sinks. It exists only if there are any.
	TrustReady apis.ConditionType = "TrustReady"
	// AgentCurrent: each bound template has the agent that a new one would get.
	AgentCurrent apis.ConditionType = "AgentCurrent"
)

var conditionSet = apis.NewLivingConditionSet(SinkResolved, SubjectsBound)

// InitializeConditions sets every condition that isn't known yet to Unknown.
func (s *LoggerBindingStatus) InitializeConditions() {
	conditionSet.Manage(s).InitializeConditions()
}

// IsReady reports whether each selected Knative Service has the agent, and the
// sink an address.
func (b *LoggerBinding) IsReady() bool {
	return b.Status.ObservedGeneration == b.Generation &&
		b.GetConditionSet().Manage(&b.Status).IsHappy()
}

// MarkSinkResolved says that the sink has an address.
func (s *LoggerBindingStatus) MarkSinkResolved() {
	conditionSet.Manage(s).MarkTrue(SinkResolved)
}

// MarkSinkNotResolved says why the sink has no address.
func (s *LoggerBindingStatus) MarkSinkNotResolved(reason, message string) {
	conditionSet.Manage(s).MarkFalse(SinkResolved, reason, "%s", message)
}

// MarkDeadLetterSinkResolved says that the dead letter sink has an address.
func (s *LoggerBindingStatus) MarkDeadLetterSinkResolved() {
	conditionSet.Manage(s).MarkTrue(DeadLetterSinkResolved)
}

// MarkDeadLetterSinkNotResolved says why the dead letter sink has no address.
func (s *LoggerBindingStatus) MarkDeadLetterSinkNotResolved(reason, message string) {
	conditionSet.Manage(s).MarkFalse(DeadLetterSinkResolved, reason, "%s", message)
}

// ClearDeadLetterSink removes the condition of a dead letter sink, because none
// is specified.
func (s *LoggerBindingStatus) ClearDeadLetterSink() { s.clear(DeadLetterSinkResolved) }

// MarkSubjects derives the counts and SubjectsBound from the states of the
// subjects, in which selected ones and those that lose the agent are.
func (s *LoggerBindingStatus) MarkSubjects(subjects []SubjectStatus, namespaceIncluded bool) {
	var notBound, waiting []string
	s.Bound, s.Waiting, s.NotBound = 0, 0, 0
	selected := 0
	for _, subject := range subjects {
		if subject.State == SubjectUnbinding {
			continue
		}
		if subject.Reason != ReasonMissing {
			selected++
		}
		if subject.AgentImage != "" {
			s.Bound++
		}
		switch subject.State {
		case SubjectWaiting:
			s.Waiting++
			waiting = append(waiting, subject.Name+": "+subject.Message)
		case SubjectNotBound:
			s.NotBound++
			notBound = append(notBound, subject.Name+": "+subject.Message)
		}
	}
	manager := conditionSet.Manage(s)
	switch {
	case selected == 0:
		manager.MarkFalse(SubjectsBound, "SubjectMissing", "no Knative Service of the namespace is selected: create one, or correct spec.subject")
	case !namespaceIncluded:
		manager.MarkFalse(SubjectsBound, "NamespaceNotIncluded", "the namespace isn't included: label it bindings.sidenote.dev/include=true")
	case len(notBound) > 0:
		manager.MarkFalse(SubjectsBound, "NotBound", "%d of %d Knative Services can't have the agent: %s", len(notBound), selected, v1beta1.JoinBounded(notBound))
	case len(waiting) > 0:
		manager.MarkUnknown(SubjectsBound, "Waiting", "%d of %d Knative Services follow later: %s", len(waiting), selected, v1beta1.JoinBounded(waiting))
	default:
		manager.MarkTrue(SubjectsBound)
	}
	s.Subjects = listed(subjects)
}

// maxSubjects bounds status.subjects.
const maxSubjects = 100

// listed returns at most maxSubjects subjects in their order. Those that are
// neither bound nor waiting are listed rather than others.
func listed(subjects []SubjectStatus) []SubjectStatus {
	if len(subjects) <= maxSubjects {
		return subjects
	}
	isListed := make([]bool, len(subjects))
	room := maxSubjects
	for _, urgent := range []bool{true, false} {
		for i := range subjects {
			inOrder := subjects[i].State == SubjectBound || subjects[i].State == SubjectWaiting
			if inOrder != urgent && room > 0 {
				isListed[i] = true
				room--
			}
		}
	}
	result := make([]SubjectStatus, 0, maxSubjects)
	for i := range subjects {
		if isListed[i] {
			result = append(result, subjects[i])
		}
	}
	return result
}

// MarkMetadata says which annotations the cluster denies, and which ones a bound
// Knative Service lacks, in texts of the form "name: key, key".
func (s *LoggerBindingStatus) MarkMetadata(denied, missing []string) {
	switch {
	case len(denied) > 0:
		conditionSet.Manage(s).MarkFalse(MetadataReady, "AnnotationDenied",
			"listed, but denied by the cluster: %s; new templates go without the attribute: list another annotation", strings.Join(denied, ", "))
	case len(missing) > 0:
		conditionSet.Manage(s).MarkFalse(MetadataReady, "AnnotationMissing",
			"listed, but not on the object: %s; events go without the attribute until it is there", v1beta1.JoinBounded(missing))
	default:
		conditionSet.Manage(s).MarkTrue(MetadataReady)
	}
}

// MarkLabelsMissing adds to what MarkMetadata says which labels a bound Knative
// Service lacks, in texts of the form "name: key, key".
func (s *LoggerBindingStatus) MarkLabelsMissing(missing []string) {
	if len(missing) > 0 {
		v1beta1.AddCause(conditionSet.Manage(s), MetadataReady, "LabelMissing", "listed, but not on the object: labels "+v1beta1.JoinBounded(missing)+"; events go without the attribute until it is there")
	}
}

// MarkLeftOut adds to what MarkMetadata says which annotations of a Knative Service
// a pattern matches that no event carries, and why, in texts of the form
// "name: key: why".
func (s *LoggerBindingStatus) MarkLeftOut(leftOut []string) {
	if len(leftOut) > 0 {
		v1beta1.AddCause(conditionSet.Manage(s), MetadataReady, "MatchLeftOut", "matched by a pattern, but left out: "+v1beta1.JoinBounded(leftOut))
	}
}

// MarkMetadataDenied says which attributes of bound Knative Services the cluster
// denies for their values, and which denied ones running agents still send, in texts
// of the form "name: attribute, attribute".
func (s *LoggerBindingStatus) MarkMetadataDenied(values, sent []string) {
	switch {
	case len(sent) > 0:
		v1beta1.AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataDenied", fmt.Sprintf(
			"config-logger denies what running agents still send: %s; the controller makes Revisions without it, a few at a time", v1beta1.JoinBounded(sent)))
	case len(values) > 0:
		v1beta1.AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataDenied", fmt.Sprintf(
			"denied-values of config-logger denies values: %s; events go without these attributes: change the values", v1beta1.JoinBounded(values)))
	}
}

// MarkMetadataInvalid says which attributes have an earlier value, because the present
// one can't go into an event, in texts of the form "name: attribute, attribute".
func (s *LoggerBindingStatus) MarkMetadataInvalid(kept []string) {
	v1beta1.AddMainCause(conditionSet.Manage(s), MetadataReady, "MetadataInvalid", fmt.Sprintf(
		"present values can't go into an event: %s; events keep the last valid ones: write one line of printable text of at most 1 KiB", v1beta1.JoinBounded(kept)))
}

// MarkMetadataNotWritten says why running agents don't get the metadata.
func (s *LoggerBindingStatus) MarkMetadataNotWritten(err error) {
	conditionSet.Manage(s).MarkFalse(MetadataReady, "MetadataNotWritten", "%s", err.Error())
}

// MarkTrust says which of the cluster's trust bundles running agents don't
// get.
func (s *LoggerBindingStatus) MarkTrust(leftOut []string) {
	if len(leftOut) == 0 {
		conditionSet.Manage(s).MarkTrue(TrustReady)
		return
	}
	conditionSet.Manage(s).MarkFalse(TrustReady, "TrustBundleLeftOut",
		"%s: sinks whose certificate comes from there are not trusted; fix the trust bundle, or set CACerts on the sink", strings.Join(leftOut, "; "))
}

// MarkTrustNotWritten says why running agents don't get the addresses and the
// certificate authorities.
func (s *LoggerBindingStatus) MarkTrustNotWritten(err error) {
	conditionSet.Manage(s).MarkFalse(TrustReady, "TrustNotWritten", "%s", err.Error())
}

// ClearTrust removes the condition of the authorities, because there are none.
func (s *LoggerBindingStatus) ClearTrust() { s.clear(TrustReady) }

// MarkAgents says which Knative Services have an agent that differs from a new
// one, in texts of the form "name: difference, difference".
func (s *LoggerBindingStatus) MarkAgents(behind []string) {
	if len(behind) == 0 {
		conditionSet.Manage(s).MarkTrue(AgentCurrent)
		return
	}
	conditionSet.Manage(s).MarkFalse(AgentCurrent, "Behind",
		"templates keep an earlier agent: %s; the next change of the template brings the new one", v1beta1.JoinBounded(behind))
}

// ClearAgents removes the condition of the agents, because there are none.
func (s *LoggerBindingStatus) ClearAgents() { s.clear(AgentCurrent) }

func (s *LoggerBindingStatus) clear(condition apis.ConditionType) {
	// The only error is that Ready depends on the condition, which it doesn't.
	_ = conditionSet.Manage(s).ClearCondition(condition)
}
