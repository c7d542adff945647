/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Example is the seed's: a model whose owner chose the annotations team and
// owner, and a subscriber behind a Trigger on its team.
func Example() *feature.Feature {
	const service, team, otherTeam = "my-model", "ai-platform", "fraud-detection"
	f := feature.NewFeatureNamed("a prediction reaches the team's subscriber")
	addBroker(f)
	addSubscriber(f, team, exact("team", team))
	addSubscriber(f, otherTeam, exact("team", otherTeam))
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"team": team, "owner": "ml-ops", "version": "v2.1.0"}),
		inferenceservice.WithLogger(map[string]any{"mode": "all", "metadataAnnotations": []string{"team", "owner"}}))

	f.Assert("one prediction gives a request and a response event with the attributes chosen", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, team)
		events := eventsOf(ctx, t, service, team, requestType, responseType)
		for _, event := range events {
			for what, pair := range map[string][2]string{
				"source":               {event.Source(), "my-model-predictor-default"},
				"team":                 {subscriber.Attribute(event, "team"), team},
				"owner":                {subscriber.Attribute(event, "owner"), "ml-ops"},
				"version":              {subscriber.Attribute(event, "version"), ""},
				"inferenceservicename": {subscriber.Attribute(event, "inferenceservicename"), service},
				"component":            {subscriber.Attribute(event, "component"), "predictor"},
				"datacontenttype":      {event.DataContentType(), "application/json"},
				"subject":              {event.Subject(), "/v1/models/m:predict"},
			} {
				if err := expect(event.Type()+" "+what, pair[0], pair[1]); err != nil {
					t.Error(err)
				}
			}
		}
		if err := oneExchange(events); err != nil {
			t.Error(err)
		}
		if got := subscriber.Events(ctx, otherTeam); len(got) != 0 {
			t.Errorf("the Trigger of %s let through %v", otherTeam, got)
		}
	})
	return f
}

// oneExchange returns an error unless the events are the request and the
// response of one exchange with the documented bodies.
func oneExchange(events []cloudevents.Event) error {
	request, response := events[0], events[1]
	if request.Type() != requestType {
		request, response = response, request
	}
	correlation := subscriber.Attribute(request, "correlationid")
	switch {
	case request.ID() == response.ID():
		return fmt.Errorf("both events have the id %s", request.ID())
	case correlation == "" || correlation != subscriber.Attribute(response, "correlationid"):
		return fmt.Errorf("correlationid is %q and %q", correlation, subscriber.Attribute(response, "correlationid"))
	case !sameJSON(string(request.Data()), instances):
		return fmt.Errorf("the request event carries %s", request.Data())
	case !sameJSON(string(response.Data()), predictions):
		return fmt.Errorf("the response event carries %s", response.Data())
	}
	return expect("statuscode of the response event", subscriber.Attribute(response, "statuscode"), "200")
}

// TwoServices tests that each of two models' subscribers gets the events of its
// own model.
func TwoServices() *feature.Feature {
	teams := map[string]string{"pricing": "sales", "scoring": "risk"}
	f := feature.NewFeatureNamed("two services side by side")
	addBroker(f)
	for service, team := range teams {
		addSubscriber(f, team, exact("team", team))
		addService(f, service,
			inferenceservice.WithAnnotations(map[string]string{"example.com/team": team}),
			inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"example.com/team"}}))
	}
	f.Assert("each team gets the events of its own model and no others", func(ctx context.Context, t feature.T) {
		for service, team := range teams {
			predictUntilSeen(ctx, t, service, team)
		}
		for service, team := range teams {
			eventsOf(ctx, t, service, team, requestType, responseType)
		}
		for service, team := range teams {
			source := inferenceservice.ServiceName(service)
			for _, event := range subscriber.Events(ctx, team) {
				if err := expect("source of an event at "+team, event.Source(), source); err != nil {
					t.Error(err)
				}
			}
		}
	})
	return f
}

// MetadataValues tests that values survive whatever characters they have, so
// that a Trigger matches what the owner wrote.
func MetadataValues() *feature.Feature {
	const service, all, region = "unicode", "every-event", "one-region"
	values := map[string]string{
		"region": "東京 50%",
		"owner":  `a"b, c=d`,
		"cost":   "$(HOME) $$HOME $",
	}
	f := feature.NewFeatureNamed("metadata of any characters")
	addBroker(f)
	addSubscriber(f, all)
	addSubscriber(f, region, exact("region", values["region"]))
	addService(f, service,
		inferenceservice.WithAnnotations(values),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"region", "owner", "cost"}}))
	f.Assert("every value arrives as it was written, and a Trigger matches it", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		predictUntilSeen(ctx, t, service, region)
		for _, at := range []string{all, region} {
			for _, event := range eventsOf(ctx, t, service, at, requestType, responseType) {
				for _, name := range []string{"region", "owner", "cost"} {
					if err := expect(name, subscriber.Attribute(event, name), values[name]); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
	return f
}
