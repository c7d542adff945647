/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// logsAllowance is what an agent's log may take of its ephemeral storage,
// beside a spool: the kubelet rotates it at 10 MiB, and keeps five, by default.
var logsAllowance = resource.MustParse("64Mi")

// spoolSize returns the size of the spool's volume, or nil if there is none.
// One that validation refuses is none, should an object have it all the same:
// an agent that refuses its arguments takes its model down.
func spoolSize(spool *v1beta1.SpoolSpec) *resource.Quantity {
	if spool == nil || spool.SizeLimit == nil ||
		spool.SizeLimit.Cmp(v1beta1.MinSpoolSize) < 0 || spool.SizeLimit.Cmp(v1beta1.MaxSpoolSize) > 0 {
		return nil
	}
	return spool.SizeLimit
}

// mountSpools gives the agent the volumes that its spools are on.
func mountSpools(pod *corev1.PodSpec, agent *corev1.Container, sinks []templateSink) {
	var storage resource.Quantity
	for _, sink := range sinks {
		size := spoolSize(sink.Spool)
		if size == nil {
			continue
		}
		limit := size.DeepCopy()
		if storage.IsZero() {
			storage = size.DeepCopy()
		} else {
			storage.Add(*size)
		}
		volume, directory := spoolPlace(sink.Name)
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
			EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit},
		}})
		agent.VolumeMounts = append(agent.VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: directory})
	}
	if storage.IsZero() || !limitsStorage(append(slices.Clone(pod.Containers), *agent)) {
		return
	}
	// The kubelet sums up the limits of those containers that have one, and
	// evicts a pod whose volumes take more: the spools must count in the sum.
	storage.Add(logsAllowance)
	for _, list := range []*corev1.ResourceList{&agent.Resources.Requests, &agent.Resources.Limits} {
		if *list == nil {
			*list = make(corev1.ResourceList, 1)
		}
		if own := (*list)[corev1.ResourceEphemeralStorage]; own.Cmp(storage) < 0 {
			(*list)[corev1.ResourceEphemeralStorage] = storage
		}
	}
}

func limitsStorage(containers []corev1.Container) bool {
	for i := range containers {
		if _, limited := containers[i].Resources.Limits[corev1.ResourceEphemeralStorage]; limited {
			return true
		}
	}
	return false
}

// addSpool adds the settings of a sink's spool. Its limit is three quarters of the
// volume's, which a filesystem's own needs count in as well.
func (d *agentDraft) addSpool(sink v1beta1.EffectiveSink) {
	spool := sink.Spool
	if spool == nil {
		return
	}
	_, directory := spoolPlace(sink.Name)
	d.addOfSink(sink, "spool", func(s *agentconfig.Sink) error {
		size := spoolSize(spool)
		if size == nil {
			return fmt.Errorf("its sizeLimit is missing or out of bounds: write from %s to %s", v1beta1.MinSpoolSize.String(), v1beta1.MaxSpoolSize.String())
		}
		s.Spool = &agentconfig.Spool{
			Directory: directory, Bytes: size.Value() / 4 * 3, DropNewest: spool.WhenFull == v1beta1.DropNewest, Sync: spool.Sync,
		}
		return nil
	})
	if spoolSize(spool) != nil && spool.WhenFull != v1beta1.DropNewest && spool.WhenFull != v1beta1.DropOldest {
		d.addOfLogger(sink.Field("spool.whenFull"), refuse(fmt.Errorf("%q is not supported: write %s or %s", spool.WhenFull, v1beta1.DropOldest, v1beta1.DropNewest)))
	}
}
