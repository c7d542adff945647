/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package knativeservice builds the Knative Service of an InferenceService, with
// the agent in front of the model, and the ConfigMaps that carry its sinks'
// addresses, trusted certificates and live metadata. It does no I/O. It also
// decides which of the platform's settings a template keeps, and validates what
// can't become a Knative Service.
package knativeservice
