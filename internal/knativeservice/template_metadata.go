/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"
	"strconv"
	"strings"

	"knative.dev/serving/pkg/apis/autoscaling"
	knativeserving "knative.dev/serving/pkg/apis/serving"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// knativePrefixes begin the annotations that Knative reads from a Revision or
// its pods. All others of Knative's stay on the InferenceService.
var knativePrefixes = []string{
	autoscaling.GroupName + "/",
	"queue.sidecar." + knativeserving.GroupName + "/",
	"features.knative.dev/",
}

// keptDomains are the domains of annotations and labels that mean something to
// whoever reads or writes the InferenceService, and nothing to its pods. A
// subdomain is kept, too. Tools write many of them with each release, and a
// change on a template makes a Revision.
var keptDomains = []string{
	// Knative's, ours, and KServe's.
	"knative.dev", serving.GroupName, "kserve.io",
	// kubectl, kustomize, kpt and other clients of Kubernetes'.
	"kubectl.kubernetes.io", "deployment.kubernetes.io", "applyset.kubernetes.io",
	"config.kubernetes.io", "config.k8s.io", "control-plane.alpha.kubernetes.io", "kpt.dev",
	// Tools that deploy.
	"helm.sh", "argoproj.io", "fluxcd.io", "weave.works", "k14s.io", "carvel.dev", "cattle.io",
	"pulumi.com", "skaffold.dev", "tilt.dev", "banzaicloud.com", "configsync.gke.io", "configmanagement.gke.io",
	"image.openshift.io", "operatorframework.io",
}

// staysWithOwner reports whether an annotation or a label doesn't go to the
// template.
func staysWithOwner(key string) bool {
	domain, _, hasDomain := strings.Cut(key, "/")
	return hasDomain && slices.ContainsFunc(keptDomains, func(kept string) bool {
		return domain == kept || strings.HasSuffix(domain, "."+kept)
	})
}

// templateAnnotations returns the annotations of the template: the owner's, and
// what Knative reads there. Listed metadata goes into the events, not to the
// pods: under metadataRefresh Live its change makes no Revision.
func templateAnnotations(c Component) map[string]string {
	sources := c.metadataSources()
	annotations := knativeAnnotations(c)
	for key, value := range c.Of.Annotations {
		if !staysWithOwner(key) && !metadata.Reads(sources, key) {
			annotations[key] = value
		}
	}
	return annotations
}

func (c Component) metadataSources() []metadata.Source {
	if c.Spec.Logger == nil {
		return nil
	}
	return c.Spec.Logger.MetadataSources()
}

// knativeAnnotations returns the annotations that Knative reads from a template.
func knativeAnnotations(c Component) map[string]string {
	annotations := make(map[string]string)
	for key, value := range c.Of.Annotations {
		if key == knativeserving.ProgressDeadlineAnnotationKey {
			annotations[key] = value
		}
		for _, prefix := range knativePrefixes {
			if strings.HasPrefix(key, prefix) {
				annotations[key] = value
			}
		}
	}
	if replicas := c.Spec.MinReplicas; replicas != nil {
		annotations[autoscaling.MinScaleAnnotationKey] = strconv.Itoa(int(*replicas))
	}
	if replicas := c.Spec.MaxReplicas; replicas != nil {
		annotations[autoscaling.MaxScaleAnnotationKey] = strconv.Itoa(int(*replicas))
	}
	if target := c.Spec.ScaleTarget; target != nil {
		annotations[autoscaling.TargetAnnotationKey] = strconv.Itoa(int(*target))
	}
	if metric := c.Spec.ScaleMetric; metric != "" {
		annotations[autoscaling.MetricAnnotationKey] = string(metric)
	}
	return annotations
}

// templateLabels returns the labels of the template: the owner's, and ours. Listed
// labels go to the pods, as selectors may read them there; but not under
// metadataRefresh Live, where their change makes no Revision.
func templateLabels(c Component) map[string]string {
	live := make(map[string]bool)
	if logger := c.Spec.Logger; logger != nil && logger.MetadataRefresh == v1beta1.RefreshLive {
		for _, source := range c.metadataSources() {
			live[source.Label] = true
		}
	}
	labels := c.labels()
	for key, value := range c.Of.Labels {
		if !staysWithOwner(key) && !live[key] {
			labels[key] = value
		}
	}
	return labels
}
