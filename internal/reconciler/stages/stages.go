/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package stages bounds how many Knative Services the controller changes at a time.
// A change that breaks Knative Services breaks MaxUnready of them at most.
package stages

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// MaxUnready bounds the Knative Services of a rollout that aren't ready at a time.
const MaxUnready = 3

// Room returns how many of due Knative Services may change now beside those that
// changed and aren't ready yet.
func Room(due, unready int) int { return min(due, max(0, MaxUnready-unready)) }

// Written remembers the Knative Services that the controller wrote until its cache
// has them. It is safe for concurrent use, and its zero value is empty.
type Written struct {
	mu          sync.Mutex
	generations map[types.NamespacedName]int64
}

// Add remembers what was written.
func (w *Written) Add(service *servingv1.Service) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.generations == nil {
		w.generations = make(map[types.NamespacedName]int64)
	}
	w.generations[keyOf(service)] = service.Generation
}

// Unseen forgets what the cache has, and reports whether it lacks the last write of
// a Knative Service.
func (w *Written) Unseen(cached *servingv1.Service) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	generation, found := w.generations[keyOf(cached)]
	if found && cached.Generation >= generation {
		delete(w.generations, keyOf(cached))
		return false
	}
	return found
}

// Retain forgets the Knative Services that a cache doesn't have any more.
func (w *Written) Retain(cached []*servingv1.Service) {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := make(map[types.NamespacedName]bool, len(w.generations))
	for _, service := range cached {
		if _, found := w.generations[keyOf(service)]; found {
			there[keyOf(service)] = true
		}
	}
	for key := range w.generations {
		if !there[key] {
			delete(w.generations, key)
		}
	}
}

func keyOf(service *servingv1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
}
