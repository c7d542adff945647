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
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"knative.dev/eventing/test/rekt/resources/broker"
	"knative.dev/pkg/apis"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/knativeservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/kserve"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/loggerbinding"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// texts is the request that the test transformer documents. Its predictor gets
// instances, and the client predictions.
const texts = `{"instances": ["1 1", "-1 -1"]}`

// ofKServe selects every Knative Service of KServe's in the namespace, with the
// attributes team and owner.
func ofKServe(rollout v1alpha1.Rollout) []loggerbinding.Option {
	return []loggerbinding.Option{
		loggerbinding.WithSelector(metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: kserve.InferenceServiceLabel, Operator: metav1.LabelSelectorOpExists},
		}}),
		loggerbinding.WithLogger(map[string]any{"mode": "all", "metadataAnnotations": []string{"team", "owner"}}),
		loggerbinding.WithRollout(rollout),
	}
}

// bindKServe applies the binding once the Broker is ready.
func bindKServe(rollout v1alpha1.Rollout) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		broker.IsReady(defaultBroker)(ctx, t)
		bind(ctx, t, payloads, ofKServe(rollout)...)
	}
}

func owned(team string) kserve.Option {
	return kserve.WithAnnotations(map[string]string{"team": team, "owner": "ml-ops"})
}

// KServeComponents tests that InferenceServices of KServe, which know nothing of
// Sidenote, send the events of each of their components: of a model format that
// a runtime serves, of a custom container, of a transformer and its predictor.
func KServeComponents() *feature.Feature {
	const format, custom, transformed, team = "iris", "custom", "texts", "ai-platform"
	f := feature.NewFeatureNamed("the components of KServe's InferenceServices log")
	addBroker(f)
	addSubscriber(f, team, exact("team", team))
	f.Setup("there are a binding, a model format, a custom container and a transformer", inOrder(include, bindKServe(v1alpha1.RolloutOnNextChange),
		kserve.Install(format, owned(team), kserve.WithModelFormat()),
		kserve.Install(custom, owned(team), kserve.WithContainer()),
		kserve.Install(transformed, owned(team), kserve.WithTransformer(), kserve.WithModelFormat())))
	for _, c := range []struct {
		service, body string
		// sent is the data of the request event of each component.
		sent map[string]string
	}{
		{format, instances, map[string]string{kserve.Predictor: instances}},
		{custom, instances, map[string]string{kserve.Predictor: instances}},
		{transformed, texts, map[string]string{kserve.Transformer: texts, kserve.Predictor: instances}},
	} {
		f.Requirement(c.service+" responds", kserveAnswers(c.service, c.body))
		f.Assert("each component of "+c.service+" gives a request and a response event", func(ctx context.Context, t feature.T) {
			for component := range c.sent {
				askUntilSeen(ctx, t, c.service, c.body, team, subscriber.WithSource(kserve.ServiceName(c.service, component)))
			}
			events := eventsOfKServe(ctx, t, c.service, c.body, team, 2*len(c.sent))
			for component, sent := range c.sent {
				if err := oneComponent(events, c.service, component, team, sent); err != nil {
					t.Error(err)
				}
				awaitSubject(ctx, t, payloads, kserve.ServiceName(c.service, component), v1alpha1.SubjectBound, "")
				awaitServiceRevisions(ctx, t, kserve.ServiceName(c.service, component), 1)
			}
		})
	}
	return f
}

// KServeNow tests that a running InferenceService of KServe gets the agent by one
// binding, in one Revision, and is what it was before when the binding is gone.
func KServeNow() *feature.Feature {
	const service, team = "running", "ai-platform"
	child := kserve.ServiceName(service, kserve.Predictor)
	f := feature.NewFeatureNamed("a binding of a running InferenceService of KServe")
	addBroker(f)
	addSubscriber(f, team, exact("team", team))
	f.Setup("there is an InferenceService", inOrder(include, kserve.Install(service, owned(team), kserve.WithModelFormat())))
	f.Requirement("it responds", kserveAnswers(service, instances))
	f.Assert("it gets the agent in one Revision, and is what it was when the binding is gone", func(ctx context.Context, t feature.T) {
		before := templateOf(ctx, t, child)
		awaitServiceRevisions(ctx, t, child, 1)
		bindKServe(v1alpha1.RolloutNow)(ctx, t)
		awaitAgent(ctx, t, child, true)
		askUntilSeen(ctx, t, service, instances, team)
		if err := oneComponent(eventsOfKServe(ctx, t, service, instances, team, 2), service, kserve.Predictor, team, instances); err != nil {
			t.Error(err)
		}
		awaitSubject(ctx, t, payloads, child, v1alpha1.SubjectBound, "")
		awaitServiceRevisions(ctx, t, child, 2)

		if err := loggerbinding.Delete(ctx, payloads); err != nil {
			t.Fatal(err)
		}
		awaitAgent(ctx, t, child, false)
		if after := templateOf(ctx, t, child); after != before {
			t.Errorf("the template is\n%s\nand was\n%s", after, before)
		}
		eventually(ctx, t, "the ConfigMaps of its agent to be gone", func(ctx context.Context) error { return withoutConfigMaps(ctx, child) })
		kserveAnswers(service, instances)(ctx, t)
		awaitServiceRevisions(ctx, t, child, 3)
	})
	return f
}

// KServeCanary tests that a canary of KServe splits the traffic between a Revision
// from before the binding and one with the agent, and that the events are those
// of the latter alone until all traffic is its.
func KServeCanary() *feature.Feature {
	const service, team = "canary", "ai-platform"
	child := kserve.ServiceName(service, kserve.Predictor)
	f := feature.NewFeatureNamed("a canary of KServe")
	addBroker(f)
	addSubscriber(f, team, exact("team", team))
	f.Setup("there is an InferenceService", inOrder(include, kserve.Install(service, kserve.WithModelFormat(), kserve.WithAnnotations(map[string]string{
		"team": team, "owner": "ml-ops", "serving.kserve.io/enable-tag-routing": "true",
	}))))
	f.Requirement("it responds", kserveAnswers(service, instances))
	f.Assert("the binding waits for the canary, and all traffic gives events once it is the canary's", func(ctx context.Context, t feature.T) {
		bindKServe(v1alpha1.RolloutOnNextChange)(ctx, t)
		awaitSubject(ctx, t, payloads, child, v1alpha1.SubjectWaiting, "")
		awaitServiceRevisions(ctx, t, child, 1)

		// The canary has the agent, and the previous Revision has not.
		if err := kserve.Update(ctx, service, func(service *unstructured.Unstructured) error {
			return errors.Join(
				unstructured.SetNestedField(service.Object, int64(50), "spec", "predictor", "canaryTrafficPercent"),
				unstructured.SetNestedField(service.Object, "2", "metadata", "annotations", "turn"),
			)
		}); err != nil {
			t.Fatal(err)
		}
		awaitAgent(ctx, t, child, true)
		awaitServiceRevisions(ctx, t, child, 2)
		latest, previous := tagURL(ctx, t, child, "latest"), tagURL(ctx, t, child, "prev")
		askAtUntilSeen(ctx, t, latest, instances, team)
		unseen := newRequestID()
		eventually(ctx, t, "a response of the previous Revision", func(ctx context.Context) error {
			return ask(ctx, previous, instances, unseen)
		})
		seen := newRequestID()
		if err := ask(ctx, latest, instances, seen); err != nil {
			t.Fatal(err)
		}
		awaitTypes(ctx, t, team, seen, []string{requestType, responseType})
		if events := subscriber.Events(ctx, team, ofExchange(unseen)); len(events) != 0 {
			t.Errorf("the Revision without an agent gave %v", events)
		}

		if err := kserve.Update(ctx, service, func(service *unstructured.Unstructured) error {
			unstructured.RemoveNestedField(service.Object, "spec", "predictor", "canaryTrafficPercent")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		awaitAllTraffic(ctx, t, service, latest, team)
		awaitServiceRevisions(ctx, t, child, 2)
	})
	return f
}

// KServeUpdate tests that the owner's change of an annotation gives one Revision,
// whose events carry it, and that a deletion leaves nothing of the agent and
// nothing changed at another InferenceService.
func KServeUpdate() *feature.Feature {
	const service, other, before, after = "updated", "staying", "before", "after"
	child := kserve.ServiceName(service, kserve.Predictor)
	f := feature.NewFeatureNamed("an update and a deletion of KServe's InferenceService")
	addBroker(f)
	addSubscriber(f, before, exact("team", before))
	addSubscriber(f, after, exact("team", after))
	f.Setup("there are a binding and two InferenceServices", inOrder(include, bindKServe(v1alpha1.RolloutOnNextChange),
		kserve.Install(service, owned(before), kserve.WithModelFormat()),
		kserve.Install(other, owned(before), kserve.WithContainer())))
	f.Requirement("it responds", kserveAnswers(service, instances))
	f.Requirement("the other responds", kserveAnswers(other, instances))
	f.Assert("a changed annotation gives one Revision, whose events carry it, and a deletion leaves nothing", func(ctx context.Context, t feature.T) {
		askUntilSeen(ctx, t, service, instances, before, subscriber.WithSource(child))
		if err := kserve.Annotate(ctx, service, "team", after); err != nil {
			t.Fatal(err)
		}
		askUntilSeen(ctx, t, service, instances, after, subscriber.WithSource(child))
		awaitAgent(ctx, t, child, true)
		awaitServiceRevisions(ctx, t, child, 2)

		if err := kserve.Delete(ctx, service); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "everything of it to be gone", func(ctx context.Context) error {
			if _, err := knativeservice.Get(ctx, child); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the Knative Service is there: %w", err)
			}
			if revisions, err := revisionsOf(ctx, child); err != nil || len(revisions) > 0 {
				return fmt.Errorf("the Revisions %v are there: %w", revisions, err)
			}
			if subject, err := loggerbinding.Subject(ctx, payloads, child); err != nil || subject != nil {
				return fmt.Errorf("the binding still names it: %v, %w", subject, err)
			}
			return withoutConfigMaps(ctx, child)
		})
		askUntilSeen(ctx, t, other, instances, before, subscriber.WithSource(kserve.ServiceName(other, kserve.Predictor)))
		awaitServiceRevisions(ctx, t, kserve.ServiceName(other, kserve.Predictor), 1)
	})
	return f
}

// KServeLogger tests that an InferenceService with KServe's own logger keeps it,
// and that the binding says why it has no agent.
func KServeLogger() *feature.Feature {
	const service = "own-logger"
	child := kserve.ServiceName(service, kserve.Predictor)
	f := feature.NewFeatureNamed("an InferenceService with KServe's own logger")
	addBroker(f)
	f.Setup("there are a binding and an InferenceService with a logger", inOrder(include, bindKServe(v1alpha1.RolloutNow),
		kserve.Install(service, owned("x"), kserve.WithModelFormat(), kserve.WithLogger("http://nowhere.example"))))
	f.Assert("its template has no agent, and the binding says why", func(ctx context.Context, t feature.T) {
		awaitSubject(ctx, t, payloads, child, v1alpha1.SubjectNotBound, "Conflict")
		knative, err := knativeservice.Get(ctx, child)
		if err != nil {
			t.Fatal(err)
		}
		if len(knative.Spec.Template.Spec.Containers) != 1 {
			t.Errorf("its containers are %v", knative.Spec.Template.Spec.Containers)
		}
		awaitServiceRevisions(ctx, t, child, 1)
	})
	return f
}

// KServeNotIncluded tests that a namespace without the label keeps its services as
// they are, and that the binding says so.
func KServeNotIncluded() *feature.Feature {
	const service = "not-included"
	child := kserve.ServiceName(service, kserve.Predictor)
	f := feature.NewFeatureNamed("an InferenceService of KServe in a namespace without the label")
	addBroker(f)
	f.Setup("there are a binding and an InferenceService", inOrder(bindKServe(v1alpha1.RolloutNow),
		kserve.Install(service, owned("x"), kserve.WithModelFormat())))
	f.Requirement("it responds", kserveAnswers(service, instances))
	f.Assert("its template has no agent, and the binding says why", func(ctx context.Context, t feature.T) {
		awaitSubject(ctx, t, payloads, child, v1alpha1.SubjectNotBound, "NamespaceNotIncluded")
		awaitAgent(ctx, t, child, false)
		awaitServiceRevisions(ctx, t, child, 1)
	})
	return f
}

// kserveAnswers waits until an InferenceService of KServe is ready and the
// ingress has heard of it.
func kserveAnswers(name, body string) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		kserve.IsReady(name)(ctx, t)
		eventually(ctx, t, "a response of "+name, func(ctx context.Context) error {
			url, err := kserve.URL(ctx, name)
			if err != nil {
				return err
			}
			return ask(ctx, url, body, newRequestID())
		})
	}
}

// ask sends a request and gives an error for any other response than the
// documented one.
func ask(ctx context.Context, url *apis.URL, body, requestID string) error {
	status, response, err := post(ctx, ingress.NewHTTPClient(), url, "/v1/models/m:predict", body, map[string]string{requestIDHeader: requestID})
	if err != nil {
		return err
	}
	if status != http.StatusOK || strings.TrimSpace(response) != predictions {
		return fmt.Errorf("%s responded with %d %q", url, status, response)
	}
	return nil
}

// askUntilSeen repeats a request to an InferenceService until a subscriber has
// an event of it that the matchers choose.
func askUntilSeen(ctx context.Context, t feature.T, service, body, at string, matchers ...subscriber.Matcher) {
	url, err := kserve.URL(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	askAtUntilSeen(ctx, t, url, body, at, matchers...)
}

func askAtUntilSeen(ctx context.Context, t feature.T, url *apis.URL, body, at string, matchers ...subscriber.Matcher) {
	eventually(ctx, t, fmt.Sprintf("events of %s at %s", url, at), func(ctx context.Context) error {
		if err := ask(ctx, url, body, newRequestID()); err != nil {
			return err
		}
		if len(subscriber.Events(ctx, at, matchers...)) == 0 {
			return fmt.Errorf("it got %d events, none of these", len(subscriber.Events(ctx, at)))
		}
		return nil
	})
}

// eventsOfKServe returns the events of one exchange that a subscriber got, once
// there are as many as expected and those of an exchange after it have arrived
// too.
func eventsOfKServe(ctx context.Context, t feature.T, service, body, at string, want int) []cloudevents.Event {
	url, err := kserve.URL(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	exchange := func() string {
		requestID := newRequestID()
		if err := ask(ctx, url, body, requestID); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the events of an exchange with "+service, func(ctx context.Context) error {
			if events := subscriber.Events(ctx, at, ofExchange(requestID)); len(events) < want {
				return fmt.Errorf("there are %d of %d", len(events), want)
			}
			return nil
		})
		return requestID
	}
	first := exchange()
	exchange()
	events := subscriber.Events(ctx, at, ofExchange(first))
	if len(events) != want {
		t.Fatalf("%s got %d events of one exchange, want %d: %v", at, len(events), want, events)
	}
	return events
}

// awaitAllTraffic waits until ten requests in a row, to the URL of an
// InferenceService, have given their events by those of a request after them to
// a Revision that has the agent. The ingress may hear of a changed split a
// moment after the Knative Service says so.
func awaitAllTraffic(ctx context.Context, t feature.T, service string, bound *apis.URL, at string) {
	url, err := kserve.URL(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "events of all traffic of "+service, func(ctx context.Context) error {
		exchanges := make([]string, 10)
		for i := range exchanges {
			exchanges[i] = newRequestID()
			if err := ask(ctx, url, instances, exchanges[i]); err != nil {
				return err
			}
		}
		last := newRequestID()
		if err := ask(ctx, bound, instances, last); err != nil {
			return err
		}
		awaitTypes(ctx, t, at, last, []string{requestType, responseType})
		for _, requestID := range exchanges {
			if err := expect("the number of events of "+requestID, len(subscriber.Events(ctx, at, ofExchange(requestID))), 2); err != nil {
				return err
			}
		}
		return nil
	})
}

// oneComponent returns an error unless the events of a component are the request
// and the response of one exchange, with that data of the request and the
// attributes that the binding lists.
func oneComponent(all []cloudevents.Event, service, component, team, sent string) error {
	var failures []error
	data := map[string]string{requestType: sent, responseType: predictions}
	for _, event := range all {
		if event.Source() != kserve.ServiceName(service, component) {
			continue
		}
		want, found := data[event.Type()]
		if !found {
			failures = append(failures, fmt.Errorf("a second event, or another one: %v", event))
			continue
		}
		delete(data, event.Type())
		if !sameJSON(string(event.Data()), want) {
			failures = append(failures, fmt.Errorf("the data of %s is %s, want %s", event.Type(), event.Data(), want))
		}
		for name, value := range map[string]string{"component": component, "inferenceservicename": service, "team": team, "owner": "ml-ops"} {
			failures = append(failures, expect(name, subscriber.Attribute(event, name), value))
		}
	}
	for missing := range data {
		failures = append(failures, fmt.Errorf("%s gave no event of type %s", component, missing))
	}
	return errors.Join(failures...)
}

// tagURL returns the URL of a tag of a Knative Service's traffic.
func tagURL(ctx context.Context, t feature.T, name, tag string) (url *apis.URL) {
	eventually(ctx, t, fmt.Sprintf("the tag %s of %s", tag, name), func(ctx context.Context) error {
		service, err := knativeservice.Get(ctx, name)
		if err != nil {
			return err
		}
		for _, target := range service.Status.Traffic {
			if target.Tag == tag && target.URL != nil {
				url = target.URL
				return nil
			}
		}
		return fmt.Errorf("the traffic is %v", service.Status.Traffic)
	})
	return url
}

// serviceLabel is on the ConfigMaps of a bound Knative Service's agent.
const serviceLabel = "bindings.sidenote.dev/service"

// withoutConfigMaps returns an error that names a ConfigMap of a Knative
// Service's agent.
func withoutConfigMaps(ctx context.Context, service string) error {
	list, err := kubeclient.Get(ctx).CoreV1().ConfigMaps(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
		LabelSelector: serviceLabel + "=" + service,
	})
	if err != nil {
		return err
	}
	names := make([]string, 0, len(list.Items))
	for _, configMap := range list.Items {
		names = append(names, configMap.Name)
	}
	if len(names) > 0 {
		return fmt.Errorf("there are the ConfigMaps %v", names)
	}
	return nil
}
