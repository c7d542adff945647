/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/apis/duck"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func TestDuckTypes(t *testing.T) {
	for what, implementable := range map[string]duck.Implementable{
		"conditions":  &duckv1.Conditions{},
		"addressable": &duckv1.Addressable{},
	} {
		if err := duck.VerifyType(&v1beta1.InferenceService{}, implementable); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNames(t *testing.T) {
	is := InferenceService("my-model")
	if got, want := is.ServiceName(v1beta1.PredictorComponent), "my-model-predictor-default"; got != want {
		t.Errorf("the Knative Service is %q, want %q", got, want)
	}
	if got, want := is.MetadataName(v1beta1.PredictorComponent), "my-model-predictor-default-metadata"; got != want {
		t.Errorf("the ConfigMap is %q, want %q", got, want)
	}
	longest := strings.Repeat("a", v1beta1.MaxNameLength) + "-transformer-default"
	if got := len("blue-") + len(longest); got > 63 {
		t.Errorf("with a short tag the longest name that derives from one has %d characters, more than a DNS label", got)
	}
}

// said returns a condition's status, reason and message as one text.
func said(status *v1beta1.InferenceServiceStatus, condition apis.ConditionType) string {
	got := status.GetCondition(condition)
	if got == nil {
		return "absent"
	}
	return strings.TrimSpace(string(got.Status) + " " + got.Reason + " " + got.Message)
}

func servingService(options ...func(*servingv1.Service)) *servingv1.Service {
	service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "my-model-predictor-default", Generation: 3}}
	service.Status.ObservedGeneration = 3
	for _, option := range options {
		option(service)
	}
	return service
}

func withReady(status corev1.ConditionStatus, reason, message string) func(*servingv1.Service) {
	return func(service *servingv1.Service) {
		service.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: status, Reason: reason, Message: message}}
	}
}

func TestReadyFollowsTheKnativeService(t *testing.T) {
	for what, test := range map[string]struct {
		service *servingv1.Service
		want    string
	}{
		"it has said nothing":       {servingService(), "Unknown Deploying Knative Serving has not yet reported a status"},
		"it is ready":               {servingService(withReady(corev1.ConditionTrue, "", "")), "True"},
		"it has failed":             {servingService(withReady(corev1.ConditionFalse, "RevisionFailed", "no 100% of the image")), "False RevisionFailed no 100% of the image"},
		"it is deploying":           {servingService(withReady(corev1.ConditionUnknown, "Deploying", "pods")), "Unknown Deploying pods"},
		"it is ready with the last": {servingService(withReady(corev1.ConditionTrue, "", ""), func(s *servingv1.Service) { s.Generation++ }), "Unknown OutOfDate Knative Serving has not yet processed the latest change"},
		"it had failed with the last": {
			servingService(withReady(corev1.ConditionFalse, "RevisionFailed", "no image"), func(s *servingv1.Service) { s.Generation++ }),
			"Unknown OutOfDate Knative Serving has not yet processed the latest change",
		},
	} {
		t.Run(what, func(t *testing.T) {
			var status v1beta1.InferenceServiceStatus
			status.InitializeConditions()
			status.PropagateService(v1beta1.PredictorComponent, test.service)
			for _, condition := range []apis.ConditionType{v1beta1.PredictorReady, apis.ConditionReady} {
				if got := said(&status, condition); got != test.want {
					t.Errorf("%s is %q, want %q", condition, got, test.want)
				}
			}
		})
	}
}

// An object may have any number of fields that are ignored, of any length.
func TestMessageOfIgnoredFieldsIsBounded(t *testing.T) {
	var status v1beta1.InferenceServiceStatus
	status.MarkIgnored(nil)
	if got := said(&status, v1beta1.LoggerValid); got != "True" {
		t.Errorf("of nothing it says %q", got)
	}
	ignored := []string{"spec.predictor.logger.mode: " + strings.Repeat("東", 10_000)}
	for range 1000 {
		ignored = append(ignored, "spec.predictor.logger.events[1]: 100% none")
	}
	status.MarkIgnored(ignored)
	got := said(&status, v1beta1.LoggerValid)
	if !strings.HasPrefix(got, "False FieldsIgnored ignored: spec.predictor.logger.mode: 東") || !strings.Contains(got, "100% none") ||
		!strings.HasSuffix(got, "; and 993 more") || len(got) > 1000 || !utf8.ValidString(got) {
		t.Errorf("it says %q", got)
	}
	status.ClearLogger()
	if got := said(&status, v1beta1.LoggerValid); got != "absent" {
		t.Errorf("without a logger it says %q", got)
	}
}

func TestStatusCopiesServingsConditions(t *testing.T) {
	url := apis.HTTP("my-model-predictor-default.models.example.com")
	address := &duckv1.Addressable{URL: apis.HTTP("my-model-predictor-default.models.svc.cluster.local")}
	var status v1beta1.InferenceServiceStatus
	status.PropagateService(v1beta1.PredictorComponent, servingService(func(s *servingv1.Service) {
		s.Status.URL, s.Status.Address = url, address
		s.Status.LatestCreatedRevisionName, s.Status.LatestReadyRevisionName = "r-00002", "r-00001"
	}))
	want := v1beta1.InferenceServiceStatus{
		URL: url, Address: address,
		Components: map[v1beta1.ComponentType]v1beta1.ComponentStatus{v1beta1.PredictorComponent: {
			ServiceName: "my-model-predictor-default", ServiceGeneration: 3, URL: url,
			LatestCreatedRevision: "r-00002", LatestReadyRevision: "r-00001",
		}},
	}
	status.Conditions = nil
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
	// What is gone from the Knative Service is gone from the status.
	status.PropagateService(v1beta1.PredictorComponent, servingService())
	if status.URL != nil || status.Address != nil {
		t.Errorf("the status keeps URL %v and address %v", status.URL, status.Address)
	}
}

func TestServingNeverDependsOnLogging(t *testing.T) {
	var status v1beta1.InferenceServiceStatus
	status.InitializeConditions()
	status.PropagateService(v1beta1.PredictorComponent, servingService(withReady(corev1.ConditionTrue, "", "")))

	status.MarkSinkNotResolved("NotResolved", "100% gone")
	status.MarkNotLogging("NoSink", "nowhere")
	status.MarkMetadata([]string{"team", "owner"}, nil, nil)
	status.MarkTrust([]string{"a/b has 100% of it", "c/d"})
	status.MarkAgentBehind([]string{"agent image"})
	for condition, want := range map[apis.ConditionType]string{
		apis.ConditionReady:    "True",
		v1beta1.SinkResolved:   "False NotResolved 100% gone",
		v1beta1.LoggerReady:    "False NoSink nowhere",
		v1beta1.MetadataReady:  "False AnnotationMissing listed, but not on the object: team, owner; events lack the attribute until it is added",
		v1beta1.TrustReady:     "False TrustBundleLeftOut a/b has 100% of it; c/d: sinks whose certificate comes from there are not trusted; fix the trust bundle, or set CACerts on the sink",
		v1beta1.AgentCurrent:   "False Behind the template keeps an older agent image: the next change of the specification applies the new one",
		v1beta1.PredictorReady: "True",
	} {
		if got := said(&status, condition); got != want {
			t.Errorf("%s is %q, want %q", condition, got, want)
		}
	}
	for _, condition := range []apis.ConditionType{v1beta1.SinkResolved, v1beta1.LoggerReady, v1beta1.MetadataReady, v1beta1.TrustReady, v1beta1.AgentCurrent} {
		if got := status.GetCondition(condition).Severity; got != apis.ConditionSeverityInfo {
			t.Errorf("%s has severity %q, want Info", condition, got)
		}
	}

	status.MarkSinkResolved()
	status.MarkLogging()
	status.MarkMetadata(nil, nil, nil)
	status.MarkTrust(nil)
	status.MarkAgentCurrent()
	for _, condition := range []apis.ConditionType{v1beta1.SinkResolved, v1beta1.LoggerReady, v1beta1.MetadataReady, v1beta1.TrustReady, v1beta1.AgentCurrent, apis.ConditionReady} {
		if got := said(&status, condition); got != "True" {
			t.Errorf("%s is %q, want True", condition, got)
		}
	}

	// And logging that is well makes no model ready.
	status.MarkServiceRefused(v1beta1.PredictorComponent, errors.New("admission says 100% no"))
	if got, want := said(&status, apis.ConditionReady), "False ServiceNotWritten admission says 100% no"; got != want {
		t.Errorf("Ready is %q, want %q", got, want)
	}
	status.MarkServiceNotOwned(v1beta1.PredictorComponent, "theirs")
	if got := said(&status, apis.ConditionReady); !strings.HasPrefix(got, "False NotOwned") || !strings.Contains(got, "rename the InferenceService") {
		t.Errorf("Ready is %q, want NotOwned with a remedy", got)
	}
}

func TestWithoutALoggerTheStatusSaysNothingOfOne(t *testing.T) {
	var with, without v1beta1.InferenceServiceStatus
	for _, status := range []*v1beta1.InferenceServiceStatus{&with, &without} {
		status.InitializeConditions()
		status.PropagateService(v1beta1.PredictorComponent, servingService(withReady(corev1.ConditionTrue, "", "")))
	}
	with.Logger = &v1beta1.LoggerStatus{Mode: v1beta1.LogAll}
	with.ObservedMetadata = "0123456789abcdef"
	with.MarkSinkNotResolved("NotResolved", "gone")
	with.MarkNotLogging("NoSink", "nowhere")
	with.MarkMetadata([]string{"team"}, nil, nil)
	with.MarkTrust(nil)
	with.MarkAgentBehind([]string{"agent image"})

	with.ClearLogger()
	ignoreTimes := cmp.Comparer(func(a, b apis.VolatileTime) bool { return true })
	if diff := cmp.Diff(without, with, ignoreTimes); diff != "" {
		t.Errorf("(-without, +cleared): %s", diff)
	}
}

func TestIsReadyNeedsTheLatestGenerationObserved(t *testing.T) {
	ready := func(generation, observed int64, status corev1.ConditionStatus) bool {
		is := InferenceService("my-model", WithGeneration(generation))
		is.Status.InitializeConditions()
		is.Status.PropagateService(v1beta1.PredictorComponent, servingService(withReady(status, "", "")))
		is.Status.ObservedGeneration = observed
		return is.IsReady()
	}
	if !ready(2, 2, corev1.ConditionTrue) {
		t.Error("served as specified, but not ready")
	}
	if ready(3, 2, corev1.ConditionTrue) {
		t.Error("ready with a specification that nobody has seen")
	}
	if ready(2, 2, corev1.ConditionUnknown) || ready(2, 2, corev1.ConditionFalse) {
		t.Error("ready with a Knative Service that isn't")
	}
}
