/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Command controller reconciles InferenceServices.
package main

import (
	filteredfactory "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"

	"github.com/sidenote-dev/sidenote/internal/reconciler/inferenceservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
)

func main() {
	ctx := filteredfactory.WithSelectors(signals.NewContext(), inferenceservice.ConfigMapSelector, bindings.ServiceLabelKey)
	sharedmain.MainWithContext(ctx, "controller", inferenceservice.NewController)
}
