/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/eventing/test/rekt/resources/broker"
	"knative.dev/eventing/test/rekt/resources/trigger"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/network"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/relay"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// SinkURL tests that events go to a url, without a Broker.
func SinkURL() *feature.Feature {
	const service, at = "to-url", "direct"
	f := feature.NewFeatureNamed("a url as the sink")
	addDirectService(f, service, at, nil)
	f.Assert("the events arrive at the url", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, at)
		if err := oneExchange(eventsOf(ctx, t, service, at, requestType, responseType)); err != nil {
			t.Error(err)
		}
	})
	return f
}

// addDirectService gives a feature a subscriber and an InferenceService whose
// logger names its URL.
func addDirectService(f *feature.Feature, service, at string, logger map[string]any, options ...inferenceservice.Option) {
	f.Setup("there is a subscriber "+at, subscriber.Install(at))
	f.Setup("there is an InferenceService "+service+" that sends to its URL", func(ctx context.Context, t feature.T) {
		fields := map[string]any{"url": urlOf(ctx, at)}
		maps.Copy(fields, logger)
		inferenceservice.Install(service, append(options, inferenceservice.WithLogger(fields))...)(ctx, t)
	})
	f.Requirement("the InferenceService "+service+" responds", responds(service))
}

func urlOf(ctx context.Context, subscriber string) string {
	return "http://" + network.GetServiceHostname(subscriber, environment.FromContext(ctx).Namespace())
}

// DeadLetter tests that an event which the sink refuses goes to the dead letter
// sink whole, and says where it was refused and how.
func DeadLetter() *feature.Feature {
	const service, refusing, at = "refused", "refusing", "dead-letters"
	f := feature.NewFeatureNamed("a dead letter sink")
	f.Setup("there is a sink that refuses every event", subscriber.Install(refusing, subscriber.Refusing(http.StatusBadRequest)))
	f.Setup("there is a subscriber "+at, subscriber.Install(at))
	f.Setup("there is an InferenceService with both", func(ctx context.Context, t feature.T) {
		inferenceservice.Install(service, inferenceservice.WithLogger(map[string]any{
			"url": urlOf(ctx, refusing),
			"delivery": map[string]any{
				"retry":          2,
				"backoffDelay":   "PT0.1S",
				"deadLetterSink": map[string]any{"ref": subscriber.AsReference(at)},
			},
		}))(ctx, t)
	})
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("every event arrives as a dead letter", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, at)
		events := eventsOf(ctx, t, service, at, requestType, responseType)
		if err := oneExchange(events); err != nil {
			t.Error(err)
		}
		for _, event := range events {
			if got := subscriber.Attribute(event, "knativeerrorcode"); got != strconv.Itoa(http.StatusBadRequest) {
				t.Errorf("%s has knativeerrorcode %q, want 400", event.Type(), got)
			}
			if got := subscriber.Attribute(event, "knativeerrordest"); got != urlOf(ctx, refusing) {
				t.Errorf("%s has knativeerrordest %q, want %q", event.Type(), got, urlOf(ctx, refusing))
			}
		}
	})
	return f
}

// SinkKnativeService tests that events go to a Knative Service that the sink
// refers to.
func SinkKnativeService() *feature.Feature {
	const service, at, sink = "to-service", "behind", "front"
	f := feature.NewFeatureNamed("a Knative Service as the sink")
	f.Setup("there is a subscriber", subscriber.Install(at))
	f.Setup("there is a Knative Service that hands on to it", relay.Install(sink, at))
	f.Setup("there is an InferenceService", inferenceservice.Install(service, inferenceservice.WithLogger(map[string]any{
		"sink": map[string]any{"ref": map[string]string{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": sink}},
	})))
	f.Requirement("the Knative Service is ready", relay.IsReady(sink))
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("the events arrive through it", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, at)
		if err := oneExchange(eventsOf(ctx, t, service, at, requestType, responseType)); err != nil {
			t.Error(err)
		}
	})
	return f
}

// MissingBroker tests that serving never depends on logging, and that a Broker
// which comes later is used by one Revision.
func MissingBroker() *feature.Feature {
	const service, at = "early", "every-event"
	f := feature.NewFeatureNamed("a Broker that comes later")
	f.Setup("there is a subscriber", subscriber.Install(at))
	f.Setup("there is an InferenceService", inferenceservice.Install(service))
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("the model serves without it, and its events flow once it is there", func(ctx context.Context, t feature.T) {
		for range 3 {
			predictOnce(ctx, t, service)
		}
		awaitCondition(ctx, t, service, v1beta1.SinkResolved, corev1.ConditionFalse)
		awaitCondition(ctx, t, service, v1beta1.LoggerReady, corev1.ConditionFalse)
		awaitRevisions(ctx, t, service, 1)

		broker.Install(defaultBroker, broker.WithEnvConfig()...)(ctx, t)
		broker.IsReady(defaultBroker)(ctx, t)
		trigger.Install(at, trigger.WithBrokerName(defaultBroker), trigger.WithSubscriber(subscriber.AsReference(at), ""))(ctx, t)
		trigger.IsReady(at)(ctx, t)

		predictUntilSeen(ctx, t, service, at)
		awaitCondition(ctx, t, service, v1beta1.LoggerReady, corev1.ConditionTrue)
		eventsOf(ctx, t, service, at, requestType, responseType)
		// Its address reached the agent that ran.
		awaitRevisions(ctx, t, service, 1)
	})
	return f
}

// awaitCondition waits until a condition of an InferenceService has a status.
func awaitCondition(ctx context.Context, t feature.T, name string, kind apis.ConditionType, want corev1.ConditionStatus) {
	eventually(ctx, t, fmt.Sprintf("condition %s of %s", kind, name), func(ctx context.Context) error {
		return hasCondition(ctx, name, kind, want)
	})
}

// hasCondition returns an error unless a condition of an InferenceService has a
// status.
func hasCondition(ctx context.Context, name string, kind apis.ConditionType, want corev1.ConditionStatus) error {
	service, err := inferenceservice.Get(ctx, name)
	if err != nil {
		return err
	}
	condition := service.Status.GetCondition(kind)
	if condition == nil {
		return fmt.Errorf("there is none")
	}
	if condition.Status != want {
		return fmt.Errorf("it is %s, %s: %s", condition.Status, condition.Reason, condition.Message)
	}
	return nil
}

// awaitRevisions waits until an InferenceService has so many Revisions, and
// fails at once where it has more.
func awaitRevisions(ctx context.Context, t feature.T, name string, want int) {
	eventually(ctx, t, "the Revisions of "+name, func(ctx context.Context) error {
		revisions, err := inferenceservice.Revisions(ctx, name)
		if err != nil {
			return err
		}
		if len(revisions) > want {
			t.Fatalf("%s has the Revisions %v, want %d", name, revisions, want)
		}
		return expect("their number", len(revisions), want)
	})
}
