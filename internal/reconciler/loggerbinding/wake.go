/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// waker wakes the keys that the change of an object concerns. Where a lister
// fails, which those of informers don't, it wakes fewer: the resync wakes all.
type waker struct {
	bindings   v1alpha1listers.LoggerBindingLister
	services   servingv1listers.ServiceLister
	configMaps corev1listers.ConfigMapLister
	wake       func(types.NamespacedName)
}

// eachState calls a function with each state of an object: that before and that
// after a change, and the last one of a deleted object. A binding that selected a
// Knative Service before the change must know of it, too.
func eachState[T any](call func(T)) cache.ResourceEventHandler {
	with := func(object any) {
		if gone, isGone := object.(cache.DeletedFinalStateUnknown); isGone {
			object = gone.Obj
		}
		if typed, isTyped := object.(T); isTyped {
			call(typed)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    with,
		DeleteFunc: with,
		UpdateFunc: func(before, after any) {
			with(before)
			with(after)
		},
	}
}

// binding wakes the binding, and the others of its namespace: which one binds a
// Knative Service depends on all of them.
func (w waker) binding(b *v1alpha1.LoggerBinding) {
	w.wake(types.NamespacedName{Namespace: b.Namespace, Name: b.Name})
	w.all(b.Namespace)
}

func (w waker) all(namespace string) {
	for _, b := range w.of(namespace) {
		w.wake(types.NamespacedName{Namespace: b.Namespace, Name: b.Name})
	}
}

func (w waker) of(namespace string) []*v1alpha1.LoggerBinding {
	all, err := w.bindings.LoggerBindings(namespace).List(labels.Everything())
	if err != nil {
		return nil
	}
	return all
}

// service wakes the bindings that select a Knative Service, and the one that its
// record names. If there is none, and it has ConfigMaps from when there was one,
// it wakes a key that no binding has: see ObserveDeletion.
func (w waker) service(service *servingv1.Service) {
	woken := false
	for _, b := range w.of(service.Namespace) {
		if binding.Selects(b, service) || b.Spec.Subject.Name == service.Name {
			w.wake(types.NamespacedName{Namespace: b.Namespace, Name: b.Name})
			woken = true
		}
	}
	if record := binding.RecordOf(&service.Spec.Template); record != nil {
		w.wake(types.NamespacedName{Namespace: service.Namespace, Name: record.Binding})
		woken = true
	}
	if woken {
		return
	}
	for _, name := range configMapNames(service) {
		if _, err := w.configMaps.ConfigMaps(service.Namespace).Get(name); err == nil {
			w.wake(types.NamespacedName{Namespace: service.Namespace, Name: service.Name})
			return
		}
	}
}

// configMap wakes what the Knative Service of a ConfigMap wakes, and a key that
// no binding has if there is no such Knative Service: what the namespace shares
// may not be read any more.
func (w waker) configMap(configMap *corev1.ConfigMap) {
	name := configMap.Labels[bindings.ServiceLabelKey]
	if service, err := w.services.Services(configMap.Namespace).Get(name); err == nil {
		w.service(service)
	}
	w.wake(types.NamespacedName{Namespace: configMap.Namespace, Name: name})
}

// namespace wakes the bindings of a namespace that is included now, or isn't any
// more.
func (w waker) namespace(before, after any) {
	was, isNamespace := before.(*corev1.Namespace)
	is, isStillNamespace := after.(*corev1.Namespace)
	if isNamespace && isStillNamespace && isIncluded(was) != isIncluded(is) {
		w.all(is.Name)
	}
}
