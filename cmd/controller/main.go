/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Command controller reconciles InferenceServices and LoggerBindings, and keeps the
// EventTypes of their events.
package main

import (
	filteredfactory "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"

	"github.com/sidenote-dev/sidenote/internal/reconciler/eventtypes"
	"github.com/sidenote-dev/sidenote/internal/reconciler/inferenceservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/loggerbinding"
)

func main() {
	ctx := filteredfactory.WithSelectors(signals.NewContext(), inferenceservice.ConfigMapSelector, loggerbinding.ConfigMapSelector)
	sharedmain.MainWithContext(ctx, "controller",
		inferenceservice.NewController, loggerbinding.NewController, eventtypes.NewController)
}
