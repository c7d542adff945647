/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

func (w *world) deny(patterns ...string) {
	denied, err := metadata.ParseDeniedValues(patterns)
	if err != nil {
		w.t.Fatal(err)
	}
	logger := *w.config.Logger
	logger.DeniedValues = denied
	w.config.Logger = &logger
}

func (w *world) sends(name, argument string) bool {
	for _, container := range w.service(name).Spec.Template.Spec.Containers {
		if slices.Contains(container.Args, argument) {
			return true
		}
	}
	return false
}

// The rollout of the binding doesn't matter: a secret must not go on being sent.
func TestADeniedValueLeavesBoundServicesInStages(t *testing.T) {
	b := withRollout(v1alpha1.RolloutNow)
	b.Spec.Logger = &v1beta1.LoggerSpec{MetadataAnnotations: []string{"team"}}
	w := newWorld(t, b)
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprintf("iris%d", i))
	}
	w.create(names...)
	for range 3 {
		w.settle()
		w.ready(names...)
	}
	w.owner(func(spec *v1alpha1.LoggerBindingSpec) { spec.Rollout = v1alpha1.RolloutOnNextChange })
	w.settle()
	sending := func() (count int) {
		for _, name := range names {
			if w.sends(name, "--metadata=team=ai") {
				count++
			}
		}
		return count
	}
	if sending() != 5 {
		t.Fatalf("%d send the attribute", sending())
	}
	w.deny("^vision$")
	w.settle()
	if sending() != 5 {
		t.Errorf("%d send the attribute under a list that doesn't concern it", sending())
	}
	w.deny("^ai$")
	w.settle()
	if sending() != 2 {
		t.Errorf("%d send the attribute, want 2", sending())
	}
	w.assertSaid(v1alpha1.MetadataReady, corev1.ConditionFalse, "MetadataDenied", "denies what running agents still send: iris3: team; iris4: team")
	w.ready(names...)
	w.settle()
	if sending() != 0 {
		t.Errorf("%d send the attribute", sending())
	}
	w.ready(names...)
	w.settle()
	w.assertSaid(v1alpha1.MetadataReady, corev1.ConditionFalse, "MetadataDenied", "events go without these attributes")
	if generation := w.service("iris0").Generation; generation != 3 {
		t.Errorf("generation %d, want 3: created, bound, and without the attribute", generation)
	}
}

func TestAnInvalidLiveValueOfABoundServiceKeepsTheLastValidOne(t *testing.T) {
	b := withRollout(v1alpha1.RolloutNow)
	b.Spec.Logger = &v1beta1.LoggerSpec{MetadataAnnotations: []string{"team"}, MetadataRefresh: v1beta1.RefreshLive}
	w := newWorld(t, b)
	w.create("iris")
	w.settle()
	w.ready("iris")
	w.settle()
	attributes := func() string {
		stored, _, _ := w.configMaps.GetByKey(namespace + "/iris-logger-metadata")
		return stored.(*corev1.ConfigMap).Data["attributes.json"]
	}
	annotate := func(value string) {
		service := w.service("iris").DeepCopy()
		service.Annotations["team"] = value
		w.put(w.services, service)
		w.settle()
	}
	annotate(strings.Repeat("a", 1025))
	if got := attributes(); got != `{"team":"ai"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	w.assertSaid(v1alpha1.MetadataReady, corev1.ConditionFalse, "MetadataInvalid", "iris: team")
	annotate("vision")
	if got := attributes(); got != `{"team":"vision"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	w.assertSaid(v1alpha1.MetadataReady, corev1.ConditionTrue, "", "")
}

func TestTheStatusNamesAMatchOfABoundServiceWhoseValueIsDenied(t *testing.T) {
	b := withRollout(v1alpha1.RolloutNow)
	b.Spec.Logger = &v1beta1.LoggerSpec{MetadataAnnotations: []string{"team", "example.com/*"}, MetadataRefresh: v1beta1.RefreshLive}
	w := newWorld(t, b)
	w.create("iris")
	w.deny("^top-secret$")
	service := w.service("iris").DeepCopy()
	service.Annotations["example.com/stage"] = "top-secret"
	w.put(w.services, service)
	w.settle()
	w.ready("iris")
	w.settle()
	w.assertSaid(v1alpha1.MetadataReady, corev1.ConditionFalse, "MetadataDenied", "denies values: iris: stage; events go without these attributes")
	stored, _, _ := w.configMaps.GetByKey(namespace + "/iris-logger-metadata")
	if got := stored.(*corev1.ConfigMap).Data["attributes.json"]; got != `{"team":"ai"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
}
