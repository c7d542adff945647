/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package resources builds, without any I/O, what an InferenceService is made
// of: the Knative Service with the agent in front of the model, and the
// ConfigMap that carries metadata to running agents. It also decides what of
// the platform's settings holds for a template.
package resources
