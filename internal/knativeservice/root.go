/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/ptr"
)

// moveRootToContainers returns the owner's containers the user root that they
// have from their pod. Neither queue-proxy, which Serving adds, nor the agent
// may be root, and both have the user of their image unless the pod names
// another one: in a pod that is root's, the kubelet would not start them.
func moveRootToContainers(pod *corev1.PodSpec) {
	if pod.SecurityContext == nil || pod.SecurityContext.RunAsUser == nil || *pod.SecurityContext.RunAsUser != 0 {
		return
	}
	// An empty one stays, for Serving to judge that there is one.
	pod.SecurityContext.RunAsUser = nil
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			if containers[i].SecurityContext == nil {
				containers[i].SecurityContext = &corev1.SecurityContext{}
			}
			if security := containers[i].SecurityContext; security.RunAsUser == nil {
				security.RunAsUser = ptr.Int64(0)
			}
		}
	}
}
