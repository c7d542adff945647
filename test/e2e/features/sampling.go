/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// Sampling tests that an exchange gives both of its events or none, each with its
// rate, and that every failure and every slow one does.
func Sampling() *feature.Feature {
	const service, all = "sampled", "every-event"
	const exchanges, oneIn = 40, 2
	const failureType = responseType + ".failure"
	f := feature.NewFeatureNamed("sampling")
	addBroker(f)
	addSubscriber(f, all)
	addService(f, service, inferenceservice.WithLogger(map[string]any{
		"sampling": map[string]any{"oneIn": oneIn, "keepFailures": true, "keepSlowerThan": "5s"},
	}))
	f.Assert("the events of half of the exchanges arrive, and those of each failure and slow one", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		model, err := modelURL(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		client := ingress.NewHTTPClient()
		failed := make(map[string]bool, exchanges)
		for i := range exchanges {
			id := newRequestID()
			headers := map[string]string{requestIDHeader: id}
			want := http.StatusOK
			if failed[id] = i%4 == 0; failed[id] {
				want = http.StatusInternalServerError
				headers["X-Model-Status"] = "500"
			}
			status, _, err := post(ctx, client, model, "/v1/models/m:predict", instances, headers)
			if err := errors.Join(err, expect("the status", status, want)); err != nil {
				t.Fatal(err)
			}
		}
		kept := 0
		eventually(ctx, t, "both events of each exchange that is sent", func(ctx context.Context) error {
			kept = 0
			for id, failed := range failed {
				events := subscriber.Events(ctx, all, ofExchange(id))
				response, rate := responseType, "2"
				if failed {
					response, rate = failureType, "1"
				}
				if !failed && len(events) == 0 {
					continue
				}
				kept++
				if err := expect("the number of events of "+id, len(events), 2); err != nil {
					return err
				}
				for _, event := range events {
					if event.Type() != requestType && event.Type() != response {
						t.Fatalf("%s sent %s", id, event.Type())
					}
					if err := expect(event.Type()+" sampledrate", subscriber.Attribute(event, "sampledrate"), rate); err != nil {
						t.Fatal(err)
					}
				}
			}
			if kept == exchanges/4 {
				return fmt.Errorf("failures only")
			}
			return nil
		})
		slow := predictWithHeaders(ctx, t, service, map[string]string{"X-Model-Delay": "6s"})
		awaitTypes(ctx, t, all, slow, []string{requestType, responseType})
		for _, event := range subscriber.Events(ctx, all, ofExchange(slow)) {
			if err := expect(event.Type()+" sampledrate", subscriber.Attribute(event, "sampledrate"), "1"); err != nil {
				t.Error(err)
			}
		}
		// Chance selects every one of 30 exchanges once in a billion times.
		if kept == exchanges {
			t.Errorf("all %d exchanges were sent", kept)
		}
		t.Logf("%d of %d exchanges were sent", kept, exchanges)
	})
	return f
}

// Ceiling tests that a pod sends no more events than its logger permits, both of an
// exchange or none, and counts the others.
func Ceiling() *feature.Feature {
	const service, all = "bounded", "every-event"
	const exchanges = 10
	f := feature.NewFeatureNamed("an upper bound of events")
	addDirectService(f, service, all, map[string]any{"maxEventsPerSecond": 2}, inferenceservice.WithPredictor("minReplicas", 1))
	f.Assert("a burst over the bound is dropped and counted", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		ids := make([]string, exchanges)
		var burst sync.WaitGroup
		for i := range ids {
			burst.Go(func() { ids[i] = predictOnce(ctx, t, service) })
		}
		burst.Wait()
		eventually(ctx, t, "the agent to count what it sent and dropped", func(ctx context.Context) error {
			status, err := statusOf(ctx, onlyPod(ctx, t, service))
			if err != nil {
				return err
			}
			account := status.Sinks[v1beta1.DefaultSinkName]
			return errors.Join(
				expect("it is true that events were dropped", account.Dropped["rate"] > 0, true),
				expect("the number of all events", account.Delivered+account.Dropped["rate"], account.Observed),
				expect("it is true that the others arrived", uint64(len(subscriber.Events(ctx, all))) >= account.Delivered, true),
			)
		})
		for _, id := range ids {
			if sent := len(subscriber.Events(ctx, all, ofExchange(id))); sent != 0 && sent != 2 {
				t.Errorf("%s sent %d events", id, sent)
			}
		}
	})
	return f
}
