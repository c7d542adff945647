/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventtypes

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	eventingv1beta3 "knative.dev/eventing/pkg/apis/eventing/v1beta3"
	eventingfake "knative.dev/eventing/pkg/client/clientset/versioned/fake"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/controller"
	pkgreconciler "knative.dev/pkg/reconciler"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// serviceOf returns the Knative Service of the predictor of an InferenceService,
// whose events go to a destination.
func serviceOf(t *testing.T, is *v1beta1.InferenceService, to duckv1.Destination) *servingv1.Service {
	t.Helper()
	is.SetDefaults(t.Context())
	agent, err := config.NewAgentFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"image": "agent"}})
	if err != nil {
		t.Fatal(err)
	}
	component := knativeservice.ComponentOf(is, v1beta1.PredictorComponent)
	applied := knativeservice.Applied{}
	if logger := component.Spec.Logger; logger != nil {
		applied = knativeservice.Decide(nil, true, knativeservice.Desired{
			Agent: *agent,
			Sinks: []knativeservice.DesiredPair{{
				Name: agentconfig.DefaultSinkName,
				Sink: knativeservice.DesiredSink{Destination: to, Address: &duckv1.Addressable{URL: apis.HTTP("broker.example")}},
			}},
			Metadata: knativeservice.SelectMetadata(is.MetadataObject(), logger, nil).Attributes,
		})
	}
	service := knativeservice.MakeService(component, "hash", applied)
	service.UID = "uid-of-the-service"
	return service
}

func broker(namespace string) duckv1.Destination {
	return duckv1.Destination{Ref: &duckv1.KReference{
		APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Namespace: namespace, Name: "default",
	}}
}

func desired(t *testing.T, service *servingv1.Service) []*eventingv1beta3.EventType {
	t.Helper()
	eventTypes, err := Desired(service)
	if err != nil {
		t.Fatal(err)
	}
	return eventTypes
}

// valuesOf returns the value of each attribute of an EventType.
func valuesOf(eventType *eventingv1beta3.EventType) map[string]string {
	values := make(map[string]string)
	for _, attribute := range eventType.Spec.Attributes {
		values[attribute.Name] = attribute.Value
	}
	return values
}

func typesOf(eventTypes []*eventingv1beta3.EventType) (kinds []string) {
	for _, eventType := range eventTypes {
		kinds = append(kinds, strings.TrimPrefix(valuesOf(eventType)["type"], agentconfig.TypePrefix))
	}
	slices.Sort(kinds)
	return kinds
}

func TestAServiceSendsTheTypesOfItsLogger(t *testing.T) {
	for what, test := range map[string]struct {
		is    *v1beta1.InferenceService
		to    duckv1.Destination
		kinds []string
	}{
		"the default": {Seed(), broker(Namespace), []string{
			"loop", "request", "request.encoded", "request.oversize", "response", "response.encoded", "response.oversize", "stream"}},
		"the request's side":        {Seed(WithLogger(WithMode(v1beta1.LogRequest))), broker(Namespace), []string{"loop", "request", "request.encoded", "request.oversize"}},
		"the response's side":       {Seed(WithLogger(WithMode(v1beta1.LogResponse), WithEvents("request", "response", "stream", "ledger"))), broker(Namespace), []string{"ledger", "response", "stream"}},
		"listed kinds":              {Seed(WithLogger(WithEvents("tunnel", "response.failure"))), broker(Namespace), []string{"response.failure", "tunnel"}},
		"a Broker elsewhere":        {Seed(), broker("elsewhere"), nil},
		"a URL":                     {Seed(), duckv1.Destination{URI: apis.HTTP("audit.example")}, nil},
		"an object of another kind": {Seed(), duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "messaging.knative.dev/v1", Kind: "Channel", Namespace: Namespace, Name: "default"}}, nil},
		"another kind of Broker":    {Seed(), duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "example.com/v1", Kind: "Broker", Namespace: Namespace, Name: "default"}}, nil},
		"no logger":                 {Seed(WithoutLogger()), broker(Namespace), nil},
	} {
		if kinds := typesOf(desired(t, serviceOf(t, test.is, test.to))); !slices.Equal(kinds, test.kinds) {
			t.Errorf("%s: %v, want %v", what, kinds, test.kinds)
		}
	}
}

func TestAnEventTypeDescribesTheAttributes(t *testing.T) {
	service := serviceOf(t, Seed(WithLogger(WithEvents("request", "response", "ledger"))), broker(Namespace))
	for _, eventType := range desired(t, service) {
		if err := eventType.Validate(t.Context()); err != nil {
			t.Errorf("%s: %v", eventType.Name, err)
		}
		if !metav1.IsControlledBy(eventType, service) || eventType.Namespace != service.Namespace || eventType.Labels[ServiceLabelKey] != service.Name {
			t.Errorf("%+v does not belong to the Knative Service", eventType.ObjectMeta)
		}
		if !strings.Contains(eventType.Spec.Description, ". Each event has the attributes specversion=1.0, id, source="+service.Name+", ") || eventType.Spec.Reference.Name != "default" {
			t.Errorf("%+v", eventType.Spec)
		}
		values := valuesOf(eventType)
		want := map[string]string{"source": service.Name, "id": "{id}", "team": "ai-platform", "owner": "ml-ops", "statuscode": "{statuscode}", "component": "predictor"}
		switch strings.TrimPrefix(values["type"], agentconfig.TypePrefix) {
		case "request":
			delete(want, "statuscode")
		case "ledger":
			want = map[string]string{"source": service.Name}
		}
		if _, ofOwner := want["team"]; ofOwner && !strings.Contains(eventType.Spec.Description, ", team=ai-platform") {
			t.Errorf("%s: the description is %q", eventType.Name, eventType.Spec.Description)
		}
		for name, value := range want {
			if values[name] != value {
				t.Errorf("%s: %s is %q, want %q", eventType.Name, name, values[name], value)
			}
		}
		for _, absent := range []string{"statuscode", "team"} {
			if _, expected := want[absent]; !expected && values[absent] != "" {
				t.Errorf("%s has %s", eventType.Name, absent)
			}
		}
	}
}

// With live metadata a running agent may have another value than the template.
func TestALiveValueIsNoPartOfTheType(t *testing.T) {
	service := serviceOf(t, Seed(WithLogger(WithRefresh(v1beta1.RefreshLive), WithMetadataAnnotations("team"))), broker(Namespace))
	for _, eventType := range desired(t, service) {
		if value := valuesOf(eventType)["team"]; value != "{team}" {
			t.Errorf("%s: team is %q", eventType.Name, value)
		}
	}
}

func TestAValueWithBracesIsNoTemplate(t *testing.T) {
	service := serviceOf(t, Seed(WithAnnotation("team", "{id}")), broker(Namespace))
	for _, eventType := range desired(t, service) {
		if value := valuesOf(eventType)["team"]; value != "{team}" {
			t.Errorf("%s: team is %q", eventType.Name, value)
		}
	}
}

func TestADollarSignIsAsTheAgentGetsIt(t *testing.T) {
	service := serviceOf(t, Seed(WithAnnotation("team", "$(HOME)")), broker(Namespace))
	for _, eventType := range desired(t, service) {
		if value := valuesOf(eventType)["team"]; value != "$(HOME)" {
			t.Errorf("%s: team is %q", eventType.Name, value)
		}
	}
}

func TestEachKindHasADescription(t *testing.T) {
	if len(descriptions) != len(agentconfig.Kinds()) {
		t.Errorf("%d descriptions of %d kinds", len(descriptions), len(agentconfig.Kinds()))
	}
}

func TestTheAttributesAreThoseOfTheContract(t *testing.T) {
	reference, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "reference", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, eventType := range desired(t, serviceOf(t, Seed(WithLogger(WithEvents("request", "response", "ledger"))), broker(Namespace))) {
		for name := range valuesOf(eventType) {
			switch name {
			case "specversion", "type", "team", "owner":
			default:
				if !strings.Contains(string(reference), "| `"+name+"` |") {
					t.Errorf("the reference has no attribute %s", name)
				}
			}
		}
	}
}

// world is a cluster with Knative Services and EventTypes.
type world struct {
	services   []*servingv1.Service
	eventTypes []runtime.Object
	disabled   bool
	// without says that Eventing is not installed.
	without bool
}

// reconcile reconciles the first Knative Service, and returns the EventTypes after
// that and the verbs of the writes.
func (w world) reconcile(t *testing.T) (after []*eventingv1beta3.EventType, verbs []string, err error) {
	t.Helper()
	client := eventingfake.NewSimpleClientset(w.eventTypes...)
	if w.without {
		client.PrependReactor("*", "eventtypes", func(clientgotesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "eventtypes"}, "")
		})
	}
	r := w.reconciler(t, client)
	key := types.NamespacedName{Namespace: w.services[0].Namespace, Name: w.services[0].Name}
	if err := r.Promote(pkgreconciler.UniversalBucket(), func(pkgreconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	err = r.Reconcile(t.Context(), key.String())
	for _, action := range client.Actions() {
		if !action.Matches("list", "eventtypes") {
			verbs = append(verbs, action.GetVerb())
		}
	}
	if w.without {
		return nil, verbs, err
	}
	list, listErr := client.EventingV1beta3().EventTypes(key.Namespace).List(t.Context(), metav1.ListOptions{})
	if listErr != nil {
		t.Fatal(listErr)
	}
	for i := range list.Items {
		after = append(after, &list.Items[i])
	}
	return after, verbs, err
}

func (w world) reconciler(t *testing.T, client *eventingfake.Clientset) *Reconciler {
	t.Helper()
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, service := range w.services {
		if err := indexer.Add(service); err != nil {
			t.Fatal(err)
		}
	}
	r := &Reconciler{
		eventing: client, serviceLister: servingv1listers.NewServiceLister(indexer), config: fixedConfig{!w.disabled},
	}
	r.LeaderAwareFuncs = pkgreconciler.LeaderAwareFuncs{PromoteFunc: r.promote}
	return r
}

// fixedConfig enables or disables EventTypes.
type fixedConfig struct{ enabled bool }

func (c fixedConfig) ToContext(ctx context.Context) context.Context {
	all := *config.FromContextOrDefaults(ctx)
	logger := *all.Logger
	logger.EventTypes = c.enabled
	all.Logger = &logger
	return config.ToContext(ctx, &all)
}

func objectsOf(eventTypes []*eventingv1beta3.EventType) (objects []runtime.Object) {
	for _, eventType := range eventTypes {
		objects = append(objects, eventType)
	}
	return objects
}

func TestEventTypesFollowTheService(t *testing.T) {
	seed := serviceOf(t, Seed(), broker(Namespace))
	bare := serviceOf(t, Seed(WithoutLogger()), broker(Namespace))
	fewer := serviceOf(t, Seed(WithLogger(WithMode(v1beta1.LogRequest))), broker(Namespace))
	unknown := seed.DeepCopy()
	agentOf(unknown).Args = append(agentOf(unknown).Args, "--of-a-later-release=1")
	foreign := &eventingv1beta3.EventType{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "foreign", Labels: map[string]string{ServiceLabelKey: seed.Name}}}

	all, some := desired(t, seed), desired(t, fewer)
	for what, test := range map[string]struct {
		world world
		want  []*eventingv1beta3.EventType
		quiet bool
	}{
		"a new service":                        {world{services: []*servingv1.Service{seed}}, all, false},
		"a resync":                             {world{services: []*servingv1.Service{seed}, eventTypes: objectsOf(all)}, all, true},
		"one was deleted":                      {world{services: []*servingv1.Service{seed}, eventTypes: objectsOf(all[1:])}, all, false},
		"fewer types":                          {world{services: []*servingv1.Service{fewer}, eventTypes: objectsOf(all)}, some, false},
		"the agent was removed":                {world{services: []*servingv1.Service{bare}, eventTypes: objectsOf(all)}, nil, false},
		"switched off":                         {world{services: []*servingv1.Service{seed}, eventTypes: objectsOf(all), disabled: true}, nil, false},
		"arguments of another release":         {world{services: []*servingv1.Service{unknown}, eventTypes: objectsOf(all)}, all, true},
		"somebody else's with the same label":  {world{services: []*servingv1.Service{bare}, eventTypes: []runtime.Object{foreign}}, []*eventingv1beta3.EventType{foreign}, true},
		"no agent, and Eventing not installed": {world{services: []*servingv1.Service{bare}, without: true}, nil, true},
	} {
		after, verbs, err := test.world.reconcile(t)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got, want := namesOf(after), namesOf(test.want); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
		if quiet := len(verbs) == 0; quiet != test.quiet {
			t.Errorf("%s: the writes are %v", what, verbs)
		}
	}
}

func namesOf(eventTypes []*eventingv1beta3.EventType) []string {
	names := make(map[string]bool)
	for _, eventType := range eventTypes {
		names[eventType.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Eventing may be installed after a service that names a Broker.
func TestEventingIsAskedAgain(t *testing.T) {
	_, _, err := world{services: []*servingv1.Service{serviceOf(t, Seed(), broker(Namespace))}, without: true}.reconcile(t)
	if requeue, after := controller.IsRequeueKey(err); !requeue || after != retryWithoutEventing {
		t.Errorf("the error is %v", err)
	}
}

// A controller that starts looks for EventTypes of agents that were removed
// meanwhile.
func TestAStartWakesServicesThatHadAnAgent(t *testing.T) {
	seed, bare := serviceOf(t, Seed(), broker(Namespace)), serviceOf(t, Seed(WithName("bare"), WithoutLogger()), broker(Namespace))
	left := desired(t, serviceOf(t, Seed(WithName("left")), broker(Namespace)))
	r := world{services: []*servingv1.Service{seed, bare}}.reconciler(t, eventingfake.NewSimpleClientset(objectsOf(left)...))
	woken := make(map[string]bool)
	err := r.Promote(pkgreconciler.UniversalBucket(), func(_ pkgreconciler.Bucket, key types.NamespacedName) { woken[key.Name] = true })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"left-predictor-default", seed.Name}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(woken)); !slices.Equal(got, want) {
		t.Errorf("woken are %v, want %v", got, want)
	}
}

func TestAChangeOfTheStatusConcernsNoEventType(t *testing.T) {
	before := serviceOf(t, Seed(), broker(Namespace))
	before.ResourceVersion, before.Generation = "1", 1
	with := func(change func(*servingv1.Service)) *servingv1.Service {
		after := before.DeepCopy()
		after.ResourceVersion = "2"
		change(after)
		return after
	}
	for what, test := range map[string]struct {
		after    *servingv1.Service
		concerns bool
	}{
		"a resync":         {before, true},
		"the status":       {with(func(s *servingv1.Service) { s.Status.LatestReadyRevisionName = "other" }), false},
		"the template":     {with(func(s *servingv1.Service) { s.Generation = 2 }), true},
		"the agent's sink": {with(func(s *servingv1.Service) { s.Annotations["changed"] = "yes" }), true},
	} {
		if got := concerns(before, test.after); got != test.concerns {
			t.Errorf("%s: %v, want %v", what, got, test.concerns)
		}
	}
}
