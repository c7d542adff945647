/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package relay installs Knative Services that hand each event on, for
// features whose sink is a Knative Service.
package relay

import (
	"context"
	"embed"

	"knative.dev/pkg/network"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/eventshub"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/manifest"
	"knative.dev/reconciler-test/pkg/resources/knativeservice"
)

//go:embed *.yaml
var templates embed.FS

// Install applies a Knative Service that sends what it gets to a subscriber.
func Install(name, subscriber string) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		if _, err := manifest.InstallYamlFS(ctx, templates, map[string]any{
			"name":  name,
			"image": eventshub.ImageFromContext(ctx),
			"sink":  "http://" + network.GetServiceHostname(subscriber, environment.FromContext(ctx).Namespace()),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// IsReady waits until a relay is ready.
func IsReady(name string) feature.StepFn {
	return knativeservice.IsReady(name)
}
