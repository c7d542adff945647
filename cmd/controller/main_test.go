/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"testing"

	"knative.dev/pkg/observability/resource"
	"knative.dev/pkg/system"
)

// TestKnativeAndOpenTelemetryAgree calls a function of Knative that panics if
// its schema is not that of the OpenTelemetry SDK in go.mod. Controller and webhook
// call it when they start.
func TestKnativeAndOpenTelemetryAgree(t *testing.T) {
	t.Setenv(system.NamespaceEnvKey, "sidenote-system")
	resource.Default("controller")
}
