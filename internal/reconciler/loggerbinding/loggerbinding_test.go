/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func withRollout(rollout v1alpha1.Rollout) *v1alpha1.LoggerBinding {
	b := newBinding("payloads", 1000)
	b.Spec.Rollout = rollout
	return b
}

func TestABindingIsReadyOnceItsServicesAreBound(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	w.create("iris")
	w.assertWritten(w.settle(), "create ConfigMap iris-logger-trust", "update Knative Service iris", "status")
	b := w.binding()
	if !b.IsReady() || b.Status.Bound != 1 || b.Status.Logger.SinkURI.Host != "broker-ingress.knative-eventing.svc.cluster.local" {
		t.Errorf("status: %+v", b.Status)
	}
	if events := w.events(); len(events) != 1 || !strings.HasPrefix(events[0], "Normal AgentAdded") {
		t.Errorf("events: %q", events)
	}
	record := binding.RecordOf(&w.service("iris").Spec.Template)
	if record == nil || record.Binding != "payloads" {
		t.Errorf("the record is %+v", record)
	}
	w.ready("iris")
	w.assertWritten(w.settle(), "status")
	if got := b.Status.Subjects; len(got) != 1 {
		t.Errorf("subjects: %+v", got)
	}
}

// Admission changes templates together with their owners' changes; the controller
// keeps the files.
func TestOnNextChangeLeavesServicesToAdmission(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutOnNextChange))
	w.create("iris")
	w.assertWritten(w.settle(), "create ConfigMap iris-logger-trust", "status")
	w.assertSaid(v1alpha1.SubjectsBound, corev1.ConditionUnknown, "Waiting", "iris: the next change")

	changed := w.service("iris").Spec.Template.DeepCopy()
	changed.Spec.Containers[0].Image = "model:v2"
	if !w.admit("iris", changed) {
		t.Fatal("the owner's change makes no Revision")
	}
	w.assertWritten(w.settle(), "status")
	w.assertSaid(v1alpha1.SubjectsBound, corev1.ConditionTrue, "", "")
}

// KServe's controller sends the template without the agent each time it reconciles,
// and compares what it gets back from a dry run with the live one.
func TestReconcilesRestartsAndUpgradesMakeNoRevision(t *testing.T) {
	for _, rollout := range []v1alpha1.Rollout{v1alpha1.RolloutNow, v1alpha1.RolloutOnNextChange} {
		w := newWorld(t, withRollout(rollout))
		w.create("iris", "rose")
		theirs := w.service("iris").Spec.Template.DeepCopy()
		if rollout == v1alpha1.RolloutOnNextChange {
			theirs.Spec.Containers[0].Image = "model:v2"
			w.admit("iris", theirs)
		}
		w.settle()
		w.ready("iris", "rose")
		w.settle()
		generation := w.service("iris").Generation
		if generation != 2 {
			t.Fatalf("%s: the generation is %d", rollout, generation)
		}
		for range 10 {
			w.restart()
			for range 10 {
				if w.admit("iris", theirs) {
					t.Fatalf("%s: KServe's reconcile made a Revision", rollout)
				}
				w.assertWritten(w.settle())
			}
		}
		w.config.Agent.Image = "agent:v2"
		w.config.Agent.MaxPayloadBytes++
		w.config.Logger.DefaultSink.Ref.Name = "other"
		w.settle()
		if w.admit("iris", theirs) || w.service("iris").Generation != generation {
			t.Errorf("%s: a new version and new defaults made a Revision", rollout)
		}
		w.assertSaid(v1alpha1.AgentCurrent, corev1.ConditionFalse, "Behind", "iris: agent image, agent configuration, default sink")
	}
}

func TestASinkThatMovesReachesRunningAgents(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	w.create("iris")
	w.settle()
	w.ready("iris")
	w.settle()
	w.events()
	w.moveBroker(apis.HTTP("elsewhere.example.com"))
	w.assertWritten(w.settle(), "update ConfigMap iris-logger-trust", "status")
	if events := w.events(); len(events) != 1 || !strings.HasPrefix(events[0], "Normal TrustUpdated") {
		t.Errorf("events: %q", events)
	}
}

func TestADeletedBindingRestoresEachTemplate(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	names := []string{"a", "b", "c", "d"}
	w.create(names...)
	before := make(map[string]servingv1.RevisionTemplateSpec)
	for _, name := range names {
		before[name] = *w.service(name).Spec.Template.DeepCopy()
	}
	for range 2 {
		w.settle()
		w.ready(names...)
	}
	w.settle()
	w.delete()
	if err := w.reconcile(); !isRequeue(err) {
		t.Errorf("the rest is not retried: %v", err)
	}
	w.assertWritten(w.writes, "update Knative Service a", "update Knative Service b", "update Knative Service c")
	w.ready(names...)
	if err := w.reconcile(); !isRequeue(err) {
		t.Errorf("the rest is not retried: %v", err)
	}
	w.assertWritten(w.writes, "update Knative Service d", "delete ConfigMap a-logger-trust", "delete ConfigMap b-logger-trust", "delete ConfigMap c-logger-trust")
	w.ready("d")
	w.assertWritten(w.settle(), "delete ConfigMap d-logger-trust")
	for _, name := range names {
		if diff := cmp.Diff(before[name], w.service(name).Spec.Template); diff != "" {
			t.Errorf("%s (-before, +after): %s", name, diff)
		}
	}
	if events := w.events(); !slices.ContainsFunc(events, func(event string) bool { return strings.HasPrefix(event, "Normal AgentRemoved") }) {
		t.Errorf("events: %q", events)
	}
}

// The agents of a namespace share the authorities of the cluster.
func TestTheTrustOfANamespaceGoesWithItsLastAgent(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	w.put(w.bundles, TrustBundle("knative-eventing", "corporate", map[string]string{"ca.pem": Authority("corporate", 0)}))
	w.create("iris")
	w.assertWritten(w.settle(), "create ConfigMap sidenote-trust", "create ConfigMap iris-logger-trust", "update Knative Service iris", "status")
	w.ready("iris")
	w.settle()
	w.delete()
	w.assertWritten(w.settle(), "update Knative Service iris")
	w.ready("iris")
	w.assertWritten(w.settle(), "delete ConfigMap iris-logger-trust", "delete ConfigMap sidenote-trust")
}

// What is in a namespace that is being deleted goes with it: nothing starts
// another pod.
func TestNothingChangesInANamespaceThatEnds(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	w.create("iris", "rose")
	w.settle()
	w.ready("iris")
	w.includeNamespace(&metav1.Time{})
	w.owner(func(spec *v1alpha1.LoggerBindingSpec) { spec.Logger.Mode = v1beta1.LogRequest })
	if err := w.reconcile(); err != nil || slices.ContainsFunc(w.writes, func(write string) bool { return write != "status" }) {
		t.Errorf("written: %q, %v", w.writes, err)
	}
	w.delete()
	if err := w.reconcile(); err != nil || len(w.writes) > 0 {
		t.Errorf("written: %q, %v", w.writes, err)
	}
}

func TestARefusedServiceIsSaid(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	w.create("iris")
	w.refusal = apierrors.NewForbidden(servingv1.Resource("services"), "iris", errors.New("quota"))
	if err := w.reconcile(); err == nil || !strings.Contains(err.Error(), "quota") {
		t.Errorf("the error is %v", err)
	}
	w.assertSaid(v1alpha1.SubjectsBound, corev1.ConditionFalse, "NotBound", "quota")
	if got := w.binding().Status.Subjects[0]; got.State != v1alpha1.SubjectNotBound || got.Reason != v1alpha1.ReasonNotWritten || got.AgentImage != "" {
		t.Errorf("the subject is %+v", got)
	}
	refusal := w.refusal
	w.refusal = nil
	w.settle()
	w.assertSaid(v1alpha1.SubjectsBound, corev1.ConditionTrue, "", "")

	// It isn't selected any more, and keeps its agent.
	w.refusal = refusal
	w.owner(func(spec *v1alpha1.LoggerBindingSpec) {
		spec.Subject.Selector.MatchLabels = map[string]string{"app": "other"}
	})
	if err := w.reconcile(); err == nil {
		t.Error("it isn't retried")
	}
	if got := w.binding().Status.Subjects; len(got) != 1 || got[0].State != v1alpha1.SubjectUnbinding || got[0].Reason != v1alpha1.ReasonNotWritten {
		t.Errorf("the subjects are %+v", got)
	}
}

// A conflict says that the informer is behind, and is nobody's concern.
func TestAConflictIsRetried(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	w.create("iris")
	w.refusal = apierrors.NewConflict(servingv1.Resource("services"), "iris", errors.New("changed meanwhile"))
	if err := w.reconcile(); err == nil {
		t.Error("it isn't retried")
	}
	w.assertSaid(v1alpha1.SubjectsBound, corev1.ConditionUnknown, "Waiting", "")
}

// Serving never depends on logging, and neither does a rollout on a file.
func TestAServiceIsBoundWithoutItsConfigMap(t *testing.T) {
	w := newWorld(t, withRollout(v1alpha1.RolloutNow))
	w.create("iris")
	w.configMapRefusal = errors.New("quota")
	if err := w.reconcile(); err == nil || !strings.Contains(err.Error(), "quota") {
		t.Errorf("the error is %v", err)
	}
	w.assertWritten(w.writes, "update Knative Service iris", "status")
	w.assertSaid(v1alpha1.TrustReady, corev1.ConditionFalse, "TrustNotWritten", "quota")
}

func TestLiveMetadataFollowsTheAnnotations(t *testing.T) {
	b := withRollout(v1alpha1.RolloutNow)
	b.Spec.Logger.MetadataRefresh = v1beta1.RefreshLive
	w := newWorld(t, b)
	w.create("iris")
	w.settle()
	w.ready("iris")
	w.settle()
	service := w.service("iris").DeepCopy()
	service.Annotations["team"] = "other"
	w.put(w.services, service)
	w.assertWritten(w.settle(), "update ConfigMap iris-logger-metadata")
	if got := w.service("iris").Generation; got != 2 {
		t.Errorf("the generation is %d", got)
	}
}

// An object that no webhook saw may lack a logger.
func TestABindingWithoutALoggerHasTheDefaults(t *testing.T) {
	b := withRollout("")
	b.Spec.Logger = nil
	w := newWorld(t, b)
	w.create("iris")
	w.settle()
	w.assertSaid(v1alpha1.SinkResolved, corev1.ConditionTrue, "", "")
}
