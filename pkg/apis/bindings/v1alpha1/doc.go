/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package v1alpha1 holds the v1alpha1 version of the bindings.sidenote.dev API
// group.
//
// +k8s:deepcopy-gen=package
// +groupName=bindings.sidenote.dev
package v1alpha1
