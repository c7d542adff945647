/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"strings"

	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// StrictTLS tests that events reach a Broker that takes only https and tokens for its own
// audience. It needs Eventing with these settings.
func StrictTLS() *feature.Feature {
	const service, team = "my-model", "ai-platform"
	f := feature.NewFeatureNamed("a Broker with strict TLS and OIDC")
	addBroker(f)
	addSubscriber(f, team, exact("team", team))
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"team": team}),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}}))
	f.Assert("events arrive over https, with a token for the Broker", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, team)
		if err := oneExchange(eventsOf(ctx, t, service, team, requestType, responseType)); err != nil {
			t.Error(err)
		}
		status, err := inferenceservice.Get(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		if sink := status.Status.Logger.SinkURI.String(); !strings.HasPrefix(sink, "https://") {
			t.Errorf("the sink is %s", sink)
		}
		want := fmt.Sprintf("eventing.knative.dev/broker/%s/%s", environment.FromContext(ctx).Namespace(), defaultBroker)
		for _, volume := range podsOf(ctx, t, service)[0].Spec.Volumes {
			if volume.Projected == nil {
				continue
			}
			for _, source := range volume.Projected.Sources {
				if token := source.ServiceAccountToken; token != nil && token.Audience == want {
					return
				}
			}
		}
		t.Errorf("no token has the audience %s", want)
	})
	return f
}
