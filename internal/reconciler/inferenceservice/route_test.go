/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// route returns the Knative Route with the name of the InferenceService, or nil.
func (w *world) route() *servingv1.Route {
	stored, found, _ := w.routes.GetByKey(Namespace + "/my-model")
	if !found {
		return nil
	}
	return stored.(*servingv1.Route)
}

// serveRoute has Knative Serving say of the Route that it is ready.
func (w *world) serveRoute() {
	route := w.route().DeepCopy()
	route.Status.ObservedGeneration = route.Generation
	route.Status.URL = apis.HTTP("my-model.models.example.com")
	route.Status.Address = &duckv1.Addressable{URL: apis.HTTP("my-model.models.svc.cluster.local")}
	route.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: isTrue}}
	w.put(w.routes, route)
}

// routed writes where a Route leads as text.
func routed(route *servingv1.Route) string {
	var parts []string
	for _, target := range route.Spec.Traffic {
		parts = append(parts, fmt.Sprintf("%d%% %s", *target.Percent, target.ConfigurationName+target.RevisionName))
	}
	return strings.Join(parts, ", ")
}

func (w *world) assertRouted(want string) {
	w.t.Helper()
	if got := routed(w.route()); got != want {
		w.t.Errorf("the Route leads to %s, want %s", got, want)
	}
}

func TestTheNameIsAHostOfTheWholeService(t *testing.T) {
	w := newWorld(t, Seed(WithLabel("networking.knative.dev/visibility", "cluster-local")))
	w.appear(brokers, "default", ingress("default"))
	w.settle()
	w.serve()
	w.settle()
	w.assertRouted("100% my-model-predictor-default")
	if route := w.route(); !metav1.IsControlledBy(route, w.is()) || route.Labels["networking.knative.dev/visibility"] != "cluster-local" {
		t.Errorf("the Route is %+v", route.ObjectMeta)
	}
	w.assertSaid(v1beta1.RouteReady, "Unknown", "OutOfDate", "")
	w.assertReady(isTrue)
	if got, want := w.is().Status.URL.Host, "my-model-predictor-default.models.example.com"; got != want {
		t.Errorf("before the Route is ready, clients go to %s, want %s", got, want)
	}
	w.serveRoute()
	w.settle()
	w.assertSaid(v1beta1.RouteReady, isTrue, "", "")
	if status := w.is().Status; status.URL.Host != "my-model.models.example.com" || status.Address.URL.Host != "my-model.models.svc.cluster.local" {
		t.Errorf("clients go to %s, and within the cluster to %s", status.URL, status.Address.URL)
	}
	w.routeWrites = nil
	w.owner(WithImage("model:v2"))
	w.settle()
	if w.routeWrites != nil {
		t.Errorf("another image has the Route written: %q", w.routeWrites)
	}
}

// The Route leads to the transformer as soon as that is there, and away before it
// goes.
func TestTheRouteLeadsToTheComponentInFront(t *testing.T) {
	w := newComponents(t)
	w.assertRouted("100% my-model-transformer-default")
	w.owner(WithoutTransformer())
	if err := w.reconcile(); err != nil && !isRequeue(err) {
		t.Fatal(err)
	}
	w.assertRouted("100% my-model-predictor-default")
	w.owner(WithTransformer("transformer:v2"))
	if err := w.reconcile(); err != nil && !isRequeue(err) {
		t.Fatal(err)
	}
	w.assertRouted("100% my-model-predictor-default")
	w.settle()
	w.assertRouted("100% my-model-transformer-default")
}

func TestTheRouteDividesTheTrafficAsItsKnativeService(t *testing.T) {
	c := newCanary(t)
	ten := int64(10)
	c.owner(t, WithImage("model:v2"), WithPredictor(func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = &ten }))
	c.settle(true)
	changes := Plan(c.is, c.live, c.platform)
	if changes.Route == nil {
		t.Fatal("there is no Route to write")
	}
	if got, want := routed(changes.Route), "10% my-model-predictor-default, 90% r1"; got != want {
		t.Errorf("the Route leads to %s, want %s", got, want)
	}
}

// A name that is taken costs the host, and nothing else.
func TestAForeignRouteIsLeftAlone(t *testing.T) {
	w := newWorld(t, Seed(WithLogger(WithSinkURI("http://my-model.models.svc.cluster.local"))))
	w.put(w.routes, &servingv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "my-model", UID: "foreign"}})
	w.settle()
	w.serve()
	w.settle()
	if w.routeWrites != nil {
		t.Errorf("the Route of somebody else is written: %q", w.routeWrites)
	}
	w.assertSaid(v1beta1.RouteReady, isFalse, "NotOwned", `a Knative Route "my-model"`)
	w.assertReady(isTrue)
	// It is also the sink, and not the service itself.
	w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
	if got, want := w.is().Status.URL.Host, "my-model-predictor-default.models.example.com"; got != want {
		t.Errorf("clients go to %s, want %s", got, want)
	}
}

func TestASinkThatIsTheHostGetsNothing(t *testing.T) {
	w := newWorld(t, Seed())
	w.appear(brokers, "default", ingress("default"))
	w.settle()
	w.serve()
	w.settle()
	w.serveRoute()
	w.settle()
	for _, host := range []string{"my-model.models.svc", "my-model.models.example.com"} {
		w.owner(WithLogger(WithSinkURI("http://" + host)))
		w.settle()
		w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkIsSelf", "")
	}
	if !slices.Equal(w.routeWrites, []string{"create"}) {
		t.Errorf("the Route is written: %q", w.routeWrites)
	}
}
