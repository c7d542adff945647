/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	. "github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

func TestSubjectsDecideWhetherABindingIsReady(t *testing.T) {
	bound := SubjectStatus{Name: "a", State: SubjectBound, AgentImage: "agent:1"}
	waiting := SubjectStatus{Name: "b", State: SubjectWaiting, Reason: ReasonNextChange, Message: "its next change"}
	behind := SubjectStatus{Name: "c", State: SubjectWaiting, Reason: ReasonNextChange, Message: "the logger changed", AgentImage: "agent:1"}
	conflict := SubjectStatus{Name: "d", State: SubjectNotBound, Reason: ReasonConflict, Message: "KServe's logger"}
	unbinding := SubjectStatus{Name: "e", State: SubjectUnbinding, Reason: ReasonNotSelected, AgentImage: "agent:1"}
	missing := SubjectStatus{Name: "f", State: SubjectNotBound, Reason: ReasonMissing, Message: "none"}
	for what, test := range map[string]struct {
		subjects                 []SubjectStatus
		excluded                 bool
		status                   corev1.ConditionStatus
		reason                   string
		bound, waiting, notBound int32
	}{
		"bound":                   {subjects: []SubjectStatus{bound}, status: corev1.ConditionTrue, bound: 1},
		"one loses its agent":     {subjects: []SubjectStatus{bound, unbinding}, status: corev1.ConditionTrue, bound: 1},
		"waiting":                 {subjects: []SubjectStatus{bound, waiting}, status: corev1.ConditionUnknown, reason: "Waiting", bound: 1, waiting: 1},
		"bound to an older state": {subjects: []SubjectStatus{behind}, status: corev1.ConditionUnknown, reason: "Waiting", bound: 1, waiting: 1},
		"not bound":               {subjects: []SubjectStatus{bound, waiting, conflict}, status: corev1.ConditionFalse, reason: "NotBound", bound: 1, waiting: 1, notBound: 1},
		"missing":                 {subjects: []SubjectStatus{missing}, status: corev1.ConditionFalse, reason: "SubjectMissing", notBound: 1},
		"none":                    {status: corev1.ConditionFalse, reason: "SubjectMissing"},
		"none any more":           {subjects: []SubjectStatus{unbinding}, status: corev1.ConditionFalse, reason: "SubjectMissing"},
		"no label":                {subjects: []SubjectStatus{conflict}, excluded: true, status: corev1.ConditionFalse, reason: "NamespaceNotIncluded", notBound: 1},
	} {
		t.Run(what, func(t *testing.T) {
			var status LoggerBindingStatus
			status.InitializeConditions()
			status.MarkSinkResolved()
			status.MarkSubjects(test.subjects, !test.excluded)
			for _, condition := range []apis.ConditionType{SubjectsBound, apis.ConditionReady} {
				if got := status.GetCondition(condition); got.Status != test.status || got.Reason != test.reason {
					t.Errorf("%s is %+v, want %s of %q", condition, got, test.status, test.reason)
				}
			}
			if status.Bound != test.bound || status.Waiting != test.waiting || status.NotBound != test.notBound {
				t.Errorf("%d bound, %d waiting, %d not bound: want %d, %d, %d", status.Bound, status.Waiting, status.NotBound, test.bound, test.waiting, test.notBound)
			}
		})
	}
}

func TestTheListOfSubjectsIsBounded(t *testing.T) {
	var subjects []SubjectStatus
	for i := range 150 {
		subject := SubjectStatus{Name: fmt.Sprintf("s-%03d", i), State: SubjectBound, AgentImage: "a"}
		if i >= 140 {
			subject.State, subject.Reason, subject.Message = SubjectNotBound, ReasonConflict, strings.Repeat("x", 1000)
		}
		subjects = append(subjects, subject)
	}
	var status LoggerBindingStatus
	status.MarkSubjects(subjects, true)
	if len(status.Subjects) != 100 || status.Subjects[0].Name != "s-000" || status.Subjects[99].Name != "s-149" || status.Subjects[90].Name != "s-140" {
		t.Errorf("%d subjects, from %s to %s", len(status.Subjects), status.Subjects[0].Name, status.Subjects[len(status.Subjects)-1].Name)
	}
	if status.NotBound != 10 || len(status.GetCondition(SubjectsBound).Message) > 4000 {
		t.Errorf("%d, %d bytes", status.NotBound, len(status.GetCondition(SubjectsBound).Message))
	}
}

// Ready says whether events are sent and each subject has the agent.
func TestOtherConditionsLeaveABindingReady(t *testing.T) {
	var status LoggerBindingStatus
	status.InitializeConditions()
	status.MarkSinkResolved()
	status.MarkSubjects([]SubjectStatus{{Name: "a", State: SubjectBound, AgentImage: "a"}}, true)
	for _, mark := range []func(){
		func() { status.MarkDeadLetterSinkNotResolved("NotResolved", "none") },
		func() { status.MarkMetadata(nil, []string{"a: team"}) },
		func() { status.MarkMetadata([]string{"secret"}, nil) },
		func() { status.MarkMetadataNotWritten(errors.New("refused")) },
		func() { status.MarkTrust([]string{"bundle"}) },
		func() { status.MarkTrustNotWritten(errors.New("refused")) },
		func() { status.MarkAgents([]string{"a: agent image"}) },
	} {
		mark()
		if !status.GetCondition(apis.ConditionReady).IsTrue() {
			t.Errorf("ready is %+v", status.GetCondition(apis.ConditionReady))
		}
	}
	status.MarkDeadLetterSinkResolved()
	status.MarkMetadata(nil, nil)
	status.MarkTrust(nil)
	status.MarkAgents(nil)
	for _, condition := range []apis.ConditionType{DeadLetterSinkResolved, MetadataReady, TrustReady, AgentCurrent} {
		if !status.GetCondition(condition).IsTrue() {
			t.Errorf("%s is %+v", condition, status.GetCondition(condition))
		}
	}
	status.ClearDeadLetterSink()
	status.ClearTrust()
	status.ClearAgents()
	for _, condition := range []apis.ConditionType{DeadLetterSinkResolved, TrustReady, AgentCurrent} {
		if got := status.GetCondition(condition); got != nil {
			t.Errorf("%s is %+v", condition, got)
		}
	}
	binding := &LoggerBinding{Status: status}
	if !binding.IsReady() {
		t.Error("it isn't ready")
	}
	binding.Generation = 2
	if binding.IsReady() {
		t.Error("it is ready before the controller has seen the change")
	}
}
