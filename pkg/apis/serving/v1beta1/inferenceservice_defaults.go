/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

const (
	// DefaultContainerName is what a lone container without a name is called.
	DefaultContainerName = "kfserving-container"
	// DefaultPort is where a lone container without a port is expected to
	// listen.
	DefaultPort int32 = 8080
)

// SetDefaults implements apis.Defaultable. It is idempotent, and sets nothing
// that Knative Serving defaults itself.
func (is *InferenceService) SetDefaults(ctx context.Context) {
	if is.DeletionTimestamp != nil {
		return
	}
	for _, component := range is.Spec.Components() {
		is.Spec.Component(component).SetDefaults(apis.WithinParent(ctx, is.ObjectMeta))
	}
}

// SetDefaults names containers that have no name, and gives a lone container
// without a port the default one.
func (s *PredictorSpec) SetDefaults(ctx context.Context) {
	nameContainers(s.Containers)
	if len(s.Containers) == 1 && len(s.Containers[0].Ports) == 0 {
		s.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: DefaultPort}}
	}
	if s.Logger != nil {
		s.Logger.SetDefaults(ctx)
	}
}

// SetDefaults makes the mode, the refresh, the spool's overflow and the sinks'
// namespaces explicit.
func (s *LoggerSpec) SetDefaults(ctx context.Context) {
	setSinkDefaults(ctx, s.Sink, s.Delivery, s.Spool)
	for i := range s.Sinks {
		sink := &s.Sinks[i]
		setSinkDefaults(ctx, sink.Sink, sink.Delivery, sink.Spool)
	}
	if s.Mode == "" {
		s.Mode = LogAll
	}
	if s.MetadataRefresh == "" {
		s.MetadataRefresh = RefreshByRevision
	}
}

func setSinkDefaults(ctx context.Context, sink *duckv1.Destination, delivery *eventingduckv1.DeliverySpec, spool *SpoolSpec) {
	sink.SetDefaults(ctx)
	if delivery != nil {
		delivery.DeadLetterSink.SetDefaults(ctx)
	}
	if spool != nil && spool.WhenFull == "" {
		spool.WhenFull = DropOldest
	}
}

// nameContainers calls the first container without a name
// DefaultContainerName and any further one that with a number, around the
// names that are taken.
func nameContainers(containers []corev1.Container) {
	taken := make(map[string]bool, len(containers))
	for _, container := range containers {
		taken[container.Name] = true
	}
	for i := range containers {
		if containers[i].Name != "" {
			continue
		}
		name := DefaultContainerName
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", DefaultContainerName, n)
		}
		containers[i].Name = name
		taken[name] = true
	}
}
