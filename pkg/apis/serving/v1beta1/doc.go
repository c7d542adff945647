/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package v1beta1 holds the v1beta1 version of the serving.kubeflow.org API
// group.
//
// +k8s:deepcopy-gen=package
// +groupName=serving.kubeflow.org
package v1beta1
