/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// sendsDenied reports whether a template of an InferenceService has an attribute that
// the cluster denies.
func sendsDenied(is *v1beta1.InferenceService, live Live, platform Platform) bool {
	for component, present := range live.Components {
		spec := is.Spec.Component(component)
		if spec == nil || spec.Logger == nil || present.Service == nil {
			continue
		}
		if applied, _ := knativeservice.LastApplied(present.Service); len(knativeservice.DeniedIn(applied, spec.Logger, platform.Logger)) > 0 {
			return true
		}
	}
	return false
}

// removing returns the Knative Services of the cluster that lost an attribute that the
// cluster denies and aren't ready yet, by the cache and by what this process wrote.
func (r *Reconciler) removing() (names []string, err error) {
	services, err := r.serviceLister.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list the Knative Services: %w", err)
	}
	r.written.Retain(services)
	for _, service := range services {
		unseen := r.written.Unseen(service)
		if service.DeletionTimestamp != nil || (service.IsReady() && !unseen) {
			continue
		}
		if applied, _ := knativeservice.LastApplied(service); unseen || (applied != nil && applied.RemovedDenied) {
			names = append(names, service.Namespace+"/"+service.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}
