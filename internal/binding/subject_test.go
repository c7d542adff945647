/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/tracker"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

func labelled(labels map[string]string) *servingv1.Service {
	return &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "iris-predictor", Namespace: namespace, UID: "1", Labels: labels}}
}

func TestWhatTheEventsOfASubjectName(t *testing.T) {
	binding := bindingTo(toAll(), v1beta1.LoggerSpec{})
	for what, test := range map[string]struct {
		labels                      map[string]string
		inferenceService, component string
	}{
		"a plain Knative Service":    {nil, "iris-predictor", "predictor"},
		"its label component":        {map[string]string{"component": "transformer"}, "iris-predictor", "predictor"},
		"KServe's predictor":         {map[string]string{"serving.kserve.io/inferenceservice": "iris", "component": "predictor"}, "iris", "predictor"},
		"KServe's transformer":       {map[string]string{"serving.kserve.io/inferenceservice": "iris", "component": "transformer"}, "iris", "transformer"},
		"KServe's explainer":         {map[string]string{"serving.kserve.io/inferenceservice": "iris", "component": "explainer"}, "iris", "explainer"},
		"a component we don't know":  {map[string]string{"serving.kserve.io/inferenceservice": "iris", "component": "worker"}, "iris", "predictor"},
		"KServe's without component": {map[string]string{"serving.kserve.io/inferenceservice": "iris"}, "iris", "predictor"},
	} {
		subject := SubjectOf(labelled(test.labels), binding)
		if subject.Service != "iris-predictor" || subject.InferenceService != test.inferenceService || string(subject.Component) != test.component {
			t.Errorf("%s: %+v", what, subject)
		}
	}
	subject := SubjectOf(labelled(nil), binding)
	want := metav1.OwnerReference{APIVersion: "serving.knative.dev/v1", Kind: "Service", Name: "iris-predictor", UID: "1", Controller: new(true)}
	if diff := cmp.Diff(want, subject.ConfigMapOwner); diff != "" {
		t.Errorf("the owner of the ConfigMaps (-want, +got): %s", diff)
	}
	if subject.TrustName != "iris-predictor-logger-trust" || subject.MetadataName != "iris-predictor-logger-metadata" {
		t.Errorf("the ConfigMaps are %s and %s", subject.TrustName, subject.MetadataName)
	}
}

// KServe copies the annotations of its InferenceService to the template, and
// compares with an object that lacks the Service's own.
func TestWhereMetadataIsReadFrom(t *testing.T) {
	binding := bindingTo(toAll(), v1beta1.LoggerSpec{
		MetadataAnnotations: []string{"team", "secret"}, Metadata: []v1beta1.MetadataSource{{Attribute: "tier", Label: "tier"}},
	})
	for what, test := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"a plain Knative Service": {nil, "of-the-service"},
		"one of KServe's":         {map[string]string{"serving.kserve.io/inferenceservice": "iris"}, "of-the-template"},
	} {
		service := labelled(test.labels)
		service.Annotations = map[string]string{"team": "of-the-service", "secret": "x"}
		service.Spec.Template.Annotations = map[string]string{"team": "of-the-template", "secret": "x"}
		metav1.SetMetaDataLabel(&service.ObjectMeta, "tier", "of-the-service")
		service.Spec.Template.Labels = map[string]string{"tier": "of-the-template"}
		got := MetadataOf(service, binding, metadata.Denylist{"secret"})
		if diff := cmp.Diff([]metadata.Attribute{{Name: "team", Value: test.want}, {Name: "tier", Value: test.want}}, got.Attributes); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
		if diff := cmp.Diff([]string{"secret"}, got.Denied); diff != "" {
			t.Errorf("%s: denied (-want, +got): %s", what, diff)
		}
	}
}

func TestWhatTheHashOfALoggerCovers(t *testing.T) {
	hash := func(team string, change func(*v1beta1.LoggerSpec)) string {
		logger := v1beta1.LoggerSpec{MetadataAnnotations: []string{"team"}}
		change(&logger)
		service := labelled(nil)
		service.Annotations = map[string]string{"team": team, "other": team}
		return LoggerHash(service, bindingTo(toAll(), logger))
	}
	as := func(*v1beta1.LoggerSpec) {}
	live := func(l *v1beta1.LoggerSpec) { l.MetadataRefresh = v1beta1.RefreshLive }
	if hash("a", as) == hash("b", as) {
		t.Error("another value of a listed annotation has the same hash")
	}
	if hash("a", live) != hash("b", live) {
		t.Error("another value of live metadata has another hash")
	}
	if hash("a", as) == hash("a", func(l *v1beta1.LoggerSpec) { l.Mode = v1beta1.LogRequest }) {
		t.Error("another logger has the same hash")
	}
	renamed := bindingTo(toAll(), v1beta1.LoggerSpec{})
	renamed.Name, renamed.Generation = "other", 7
	if LoggerHash(labelled(nil), renamed) != LoggerHash(labelled(nil), bindingTo(toAll(), v1beta1.LoggerSpec{})) {
		t.Error("the same logger of another binding has another hash")
	}
}

func TestWhatABindingSelects(t *testing.T) {
	service := labelled(map[string]string{"app": "iris"})
	for what, test := range map[string]struct {
		subject tracker.Reference
		change  func(*v1alpha1.LoggerBinding)
		want    bool
	}{
		"by name":            {subject: tracker.Reference{Name: "iris-predictor"}, want: true},
		"by another name":    {subject: tracker.Reference{Name: "iris"}},
		"by a label":         {subject: tracker.Reference{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "iris"}}}, want: true},
		"by another label":   {subject: tracker.Reference{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}}},
		"everything":         {subject: toAll(), want: true},
		"nothing":            {},
		"an invalid one":     {subject: tracker.Reference{Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}}}},
		"another namespace":  {subject: tracker.Reference{Name: "iris-predictor", Namespace: "team-b"}},
		"its own namespace":  {subject: tracker.Reference{Name: "iris-predictor", Namespace: namespace}, want: true},
		"of another kind":    {subject: toAll(), change: func(b *v1alpha1.LoggerBinding) { b.Spec.Subject.Kind = "Configuration" }},
		"of another group":   {subject: toAll(), change: func(b *v1alpha1.LoggerBinding) { b.Spec.Subject.APIVersion = "v1" }},
		"as it goes":         {subject: toAll(), change: func(b *v1alpha1.LoggerBinding) { b.DeletionTimestamp = new(metav1.Now()) }},
		"in another's place": {subject: toAll(), change: func(b *v1alpha1.LoggerBinding) { b.Namespace = "team-b" }},
	} {
		binding := bindingTo(test.subject, v1beta1.LoggerSpec{})
		if test.change != nil {
			test.change(binding)
		}
		if got := Selects(binding, service); got != test.want {
			t.Errorf("%s: selects is %v", what, got)
		}
	}
}

func TestTheOldestBindingBinds(t *testing.T) {
	at := func(name string, second int64, subject tracker.Reference) *v1alpha1.LoggerBinding {
		binding := bindingTo(subject, v1beta1.LoggerSpec{})
		binding.Name, binding.CreationTimestamp = name, metav1.NewTime(time.Unix(second, 0))
		return binding
	}
	service := labelled(nil)
	oldest, first := at("z", 1, toAll()), at("a", 2, toAll())
	others := []*v1alpha1.LoggerBinding{at("b", 2, toAll()), first, at("c", 0, tracker.Reference{Name: "x"})}
	if got := Select(append(others, oldest), service); got != oldest {
		t.Errorf("of all: %v", got.Name)
	}
	if got := Select(others, service); got != first {
		t.Errorf("of two of one age: %v", got.Name)
	}
	if got := Select(others[2:], service); got != nil {
		t.Errorf("of none: %v", got.Name)
	}
}
