/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"fmt"

	"knative.dev/eventing/test/rekt/resources/broker"
	"knative.dev/eventing/test/rekt/resources/channel"
	"knative.dev/eventing/test/rekt/resources/subscription"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// SeveralSinks tests that each sink of a logger gets what it selects, although another
// one has no address, and that the status names their addresses.
func SeveralSinks() *feature.Feature {
	const service, monitoring, audit, archive, nowhere = "to-several", "monitoring", "audit", "archive", "nowhere"
	f := feature.NewFeatureNamed("several sinks")
	addBroker(f)
	addSubscriber(f, monitoring)
	f.Setup("there is a subscriber "+audit, subscriber.Install(audit))
	f.Setup("there is a subscriber "+archive, subscriber.Install(archive))
	f.Setup("there is a Channel", channel.Install(archive, channel.WithTemplate()))
	f.Setup("there is a Subscription", subscription.Install(archive,
		subscription.WithChannel(channel.AsRef(archive)), subscription.WithSubscriber(subscriber.AsReference(archive), "", "")))
	f.Requirement("the Subscription is ready", subscription.IsReady(archive))
	addService(f, service, inferenceservice.WithLogger(map[string]any{
		"sinks": []map[string]any{
			{
				"name": nowhere, "sink": map[string]any{"ref": brokerNamed(nowhere)},
			},
			{
				"name": monitoring, "sink": map[string]any{"ref": brokerNamed(defaultBroker)},
				"filter": map[string]any{"cesql": "type = '" + responseType + "' AND statuscode = 200"},
			},
			{
				"name": audit, "sink": map[string]any{"ref": subscriber.AsReference(audit), "uri": "/events"},
				"mode": "request",
			},
			{
				"name": archive, "sink": map[string]any{"ref": channel.AsRef(archive)},
				"filter": map[string]any{"not": map[string]any{"suffix": map[string]string{"type": ".request"}}},
			},
		},
	}))
	f.Assert("each gets what it selects", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, monitoring)
		predictUntilSeen(ctx, t, service, audit)
		predictUntilSeen(ctx, t, service, archive)
		eventsOf(ctx, t, service, monitoring, responseType)
		eventsOf(ctx, t, service, audit, requestType)
		eventsOf(ctx, t, service, archive, responseType)
	})
	f.Assert("the status names the addresses", func(ctx context.Context, t feature.T) {
		ofBroker, err := broker.Address(ctx, defaultBroker)
		if err != nil {
			t.Fatal(err)
		}
		ofChannel, err := channel.Address(ctx, archive)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			monitoring: ofBroker.URL.String(), audit: urlOf(ctx, audit) + "/events", archive: ofChannel.URL.String(), nowhere: "",
		}
		eventually(ctx, t, "the sinks in the status", func(ctx context.Context) error {
			got, err := sinkURIs(ctx, service)
			if err != nil {
				return err
			}
			var errs []error
			for name, uri := range want {
				errs = append(errs, expect("the address of "+name, got[name], uri))
			}
			return errors.Join(append(errs,
				expect("the number of sinks", len(got), len(want)),
				conditionSays(ctx, service, v1beta1.SinkResolved, "NotResolved", nowhere),
			)...)
		})
	})
	return f
}

// brokerNamed refers to a Broker of the namespace.
func brokerNamed(name string) map[string]string {
	return map[string]string{"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": name}
}

// sinkURIs returns the addresses in the status of an InferenceService by the names of
// the sinks, empty for one without an address.
func sinkURIs(ctx context.Context, service string) (map[string]string, error) {
	is, err := inferenceservice.Get(ctx, service)
	if err != nil {
		return nil, err
	}
	if is.Status.Logger == nil {
		return nil, fmt.Errorf("there is no status.logger")
	}
	uris := make(map[string]string)
	for _, sink := range is.Status.Logger.Sinks {
		uris[sink.Name] = ""
		if sink.URI != nil {
			uris[sink.Name] = sink.URI.String()
		}
	}
	return uris, nil
}
