/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package features holds what Sidenote promises on a real Kubernetes with
// Knative, one feature each, seen from outside: by what the client, the model
// and the subscriber got.
package features
