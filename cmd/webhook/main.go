/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Command webhook admits InferenceServices, LoggerBindings and Sidenote's
// ConfigMaps, and adds the agent to Knative Services.
package main

import (
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"
	knativewebhook "knative.dev/pkg/webhook"
	"knative.dev/pkg/webhook/certificates"

	"github.com/sidenote-dev/sidenote/internal/webhook"
)

func main() {
	webhook.FollowOneSecret()
	ctx := knativewebhook.WithOptions(signals.NewContext(), knativewebhook.Options{
		ServiceName: knativewebhook.NameFromEnv(),
		Port:        knativewebhook.PortFromEnv(8443),
		SecretName:  webhook.SecretName,
	})
	// The webhook responds to probes on its own port, by TLS.
	ctx = sharedmain.WithHealthProbesDisabled(ctx)
	sharedmain.WebhookMainWithContext(ctx, "webhook",
		certificates.NewController,
		webhook.NewDefaultingController,
		webhook.NewValidationController,
		webhook.NewConfigValidationController,
		webhook.NewServicesController,
	)
}
