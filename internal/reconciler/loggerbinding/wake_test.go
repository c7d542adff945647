/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	v1alpha1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/bindings/v1alpha1"
)

func newIndexer() cache.Indexer {
	return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
}

func TestWhatAnEventWakes(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "bound", "plain", "left")
	in.service("bound").Labels = map[string]string{"app": "bound"}
	in.b.Spec.Subject.Selector.MatchLabels = map[string]string{"app": "bound"}
	in.reconcile()
	other := newBinding("other", 2000)
	other.Spec.Subject.Name, other.Spec.Subject.Selector = "absent", nil
	trustOfLeft := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: binding.TrustName("left"), Namespace: namespace, Labels: map[string]string{bindings.ServiceLabelKey: "left"},
	}}
	bindingIndexer, services, configMaps := newIndexer(), newIndexer(), newIndexer()
	for indexer, objects := range map[cache.Indexer][]any{
		bindingIndexer: {in.b, other},
		services:       {in.service("bound"), in.service("plain"), in.service("left")},
		configMaps:     {trustOfLeft},
	} {
		for _, object := range objects {
			if err := indexer.Add(object); err != nil {
				t.Fatal(err)
			}
		}
	}
	var woken []string
	w := waker{
		bindings: v1alpha1listers.NewLoggerBindingLister(bindingIndexer), services: servingv1listers.NewServiceLister(services),
		configMaps: corev1listers.NewConfigMapLister(configMaps), wake: func(key types.NamespacedName) { woken = append(woken, key.Name) },
	}
	relabelled := in.service("bound").DeepCopy()
	relabelled.Labels, relabelled.Spec.Template.Annotations = nil, nil
	ofDeleted := relabelled.DeepCopy()
	ofDeleted.Spec.Template = *in.service("bound").Spec.Template.DeepCopy()
	record := binding.RecordOf(&ofDeleted.Spec.Template)
	if record == nil || record.Binding != "payloads" {
		t.Fatalf("its record is %+v", record)
	}
	onService, onBinding, onConfigMap := eachState(w.service), eachState(w.binding), eachState(w.configMap)
	included := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{bindings.IncludeLabelKey: "true"}}}
	excluded := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	for what, test := range map[string]struct {
		event func()
		want  []string
	}{
		"a selected Knative Service":                    {func() { onService.OnAdd(in.service("bound"), false) }, []string{"payloads"}},
		"another one":                                   {func() { onService.OnAdd(in.service("plain"), false) }, nil},
		"one that was selected before":                  {func() { onService.OnUpdate(in.service("bound"), relabelled) }, []string{"payloads"}},
		"one with a record":                             {func() { onService.OnAdd(ofDeleted, false) }, []string{"payloads"}},
		"one with ConfigMaps":                           {func() { onService.OnAdd(in.service("left"), false) }, []string{"left"}},
		"a named one that appears":                      {func() { onService.OnAdd(named("absent"), false) }, []string{"other"}},
		"one that was deleted":                          {func() { onService.OnDelete(cache.DeletedFinalStateUnknown{Obj: in.service("bound")}) }, []string{"payloads"}},
		"a binding":                                     {func() { onBinding.OnAdd(other, false) }, []string{"other", "payloads"}},
		"a deleted binding":                             {func() { onBinding.OnDelete(newBinding("gone", 1)) }, []string{"gone", "other", "payloads"}},
		"a ConfigMap":                                   {func() { onConfigMap.OnAdd(trustOfLeft, false) }, []string{"left"}},
		"a namespace that is included":                  {func() { w.namespace(excluded, included) }, []string{"other", "payloads"}},
		"a namespace that isn't included any more":      {func() { w.namespace(included, excluded) }, []string{"other", "payloads"}},
		"a namespace that changes in another way":       {func() { w.namespace(included, included) }, nil},
		"an object of another type, for whatever cause": {func() { onService.OnAdd(included, false) }, nil},
	} {
		woken = nil
		test.event()
		slices.Sort(woken)
		if got := slices.Compact(woken); !slices.Equal(got, test.want) {
			t.Errorf("%s wakes %q, want %q", what, got, test.want)
		}
	}
}

func named(name string) *servingv1.Service {
	return &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
}
