/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const (
	predictor   = v1beta1.PredictorComponent
	transformer = v1beta1.TransformerComponent
	explainer   = v1beta1.ExplainerComponent
)

// newComponents has a predictor, a transformer and an explainer that serve.
func newComponents(t *testing.T) *world {
	w := newWorld(t, Seed(
		WithTransformer("transformer:v1", WithMetadataAnnotations("version"), WithRefresh(v1beta1.RefreshLive)),
		WithExplainer("explainer:v1"),
	))
	w.appear(brokers, "default", ingress("default"))
	w.settle()
	for _, component := range v1beta1.ComponentTypes() {
		w.serveOf(component)
	}
	w.settle()
	w.events()
	return w
}

func (w *world) assertReady(want corev1.ConditionStatus) {
	w.t.Helper()
	if got := w.is().Status.GetCondition(apis.ConditionReady); got == nil || got.Status != want {
		w.t.Errorf("Ready is %+v, want %s", got, want)
	}
}

func TestEachComponentIsAKnativeService(t *testing.T) {
	w := newComponents(t)
	status := w.is().Status
	for _, component := range v1beta1.ComponentTypes() {
		service := w.serviceOf(component)
		if service == nil {
			t.Fatalf("there is no %s", component)
		}
		if !metav1.IsControlledBy(service, w.is()) {
			t.Errorf("the %s is owned by %v", component, service.OwnerReferences)
		}
		if got := status.Components[component]; got.ServiceName != service.Name || got.LatestReadyRevision == "" || got.URL == nil {
			t.Errorf("the status of the %s is %+v", component, got)
		}
		w.assertSaid(component.ReadyCondition(), isTrue, "", "")
	}
	w.assertReady(isTrue)
	if got, want := status.URL.Host, "my-model-transformer-default.models.example.com"; got != want {
		t.Errorf("clients go to %s, want %s", got, want)
	}
	if got, want := status.Address.URL.Host, "my-model-transformer-default.models.svc.cluster.local"; got != want {
		t.Errorf("within the cluster clients go to %s, want %s", got, want)
	}
	if got := status.Components[transformer].Logger; got == nil || !cmp.Equal(got.Attributes, []string{"version"}) || got.SinkURI == nil {
		t.Errorf("the transformer's logger is %+v", got)
	}
	if got := status.Logger; got == nil || !cmp.Equal(got.Attributes, []string{"owner", "team"}) {
		t.Errorf("the predictor's logger is %+v", got)
	}
	if got := status.Components[explainer].Logger; got != nil {
		t.Errorf("the explainer has the logger %+v, and none is specified", got)
	}
	for _, name := range []string{"my-model-predictor-default-trust", "my-model-transformer-default-trust", "my-model-transformer-default-metadata"} {
		if _, found, _ := w.configMaps.GetByKey(Namespace + "/" + name); !found {
			t.Errorf("there is no ConfigMap %s", name)
		}
	}
	if written := w.settle(); written != nil {
		t.Errorf("written without a change: %q", written)
	}
}

// Ready needs each component that there is.
func TestReadyFollowsEachComponent(t *testing.T) {
	for _, component := range v1beta1.ComponentTypes() {
		w := newComponents(t)
		w.changeOf(component, func(service *servingv1.Service) {
			service.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: isFalse, Reason: "RevisionFailed", Message: "no such image"}}
		})
		w.settle()
		w.assertSaid(component.ReadyCondition(), isFalse, "RevisionFailed", "no such image")
		w.assertSaid(apis.ConditionReady, isFalse, "RevisionFailed", "no such image")
		w.serveOf(component)
		w.settle()
		w.assertReady(isTrue)
	}
}

func TestAComponentComesAndGoesAlone(t *testing.T) {
	w := newWorld(t, Seed())
	w.appear(brokers, "default", ingress("default"))
	w.settle()
	w.serve()
	w.settle()
	before := w.service().DeepCopy()

	w.owner(WithTransformer("transformer:v1", WithMode(v1beta1.LogAll)))
	w.settle()
	w.assertSaid(v1beta1.TransformerReady, "Unknown", "OutOfDate", "")
	w.assertReady("Unknown")
	if url := w.is().Status.URL; url != nil {
		t.Errorf("clients go to %s, past the transformer", url)
	}
	w.serveOf(transformer)
	w.settle()
	w.assertReady(isTrue)

	w.events()
	w.owner(WithoutTransformer())
	w.assertWritten(w.settle(), "delete Knative Service", "status", "delete ConfigMap")
	w.assertEvents(`Normal Deleted Deleted Knative Service "my-model-transformer-default"`)
	if w.serviceOf(transformer) != nil {
		t.Error("the transformer is still there")
	}
	if got := w.is().Status.GetCondition(v1beta1.TransformerReady); got != nil {
		t.Errorf("TransformerReady is %+v, and there is no transformer", got)
	}
	if _, found := w.is().Status.Components[transformer]; found {
		t.Error("the status has a transformer")
	}
	w.assertReady(isTrue)
	if got, want := w.is().Status.URL.Host, "my-model-predictor-default.models.example.com"; got != want {
		t.Errorf("clients go to %s, want %s", got, want)
	}
	if diff := cmp.Diff(before, w.service()); diff != "" {
		t.Errorf("the predictor changed (-before, +after): %s", diff)
	}
}

// A Knative Service of somebody else stays as it is, and holds up no other.
func TestAForeignKnativeServiceOfAComponentIsLeftAlone(t *testing.T) {
	w := newWorld(t, Seed(WithTransformer("transformer:v1")))
	w.appear(brokers, "default", ingress("default"))
	foreign := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "my-model-transformer-default", UID: "foreign"}}
	w.put(w.services, foreign)
	for range 2 {
		if err := w.reconcile(); err == nil || !strings.Contains(err.Error(), "is not owned by this InferenceService") {
			t.Errorf("the error is %v", err)
		}
	}
	w.assertSaid(v1beta1.TransformerReady, isFalse, "NotOwned", `"my-model-transformer-default"`)
	if w.service() == nil {
		t.Error("there is no predictor")
	}
	w.owner(WithoutTransformer())
	w.settle()
	if w.serviceOf(transformer) == nil {
		t.Error("the Knative Service of somebody else is gone")
	}
}

// The conditions of loggers name the component.
func TestTheConditionsOfLoggersSpeakOfEachComponent(t *testing.T) {
	w := newComponents(t)
	w.owner(With(func(is *v1beta1.InferenceService) { WithBroker("missing")(is.Spec.Transformer.Logger) }))
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isFalse, "NotResolved", "logger of the transformer: the sink, Broker models/missing, has no address")
	w.owner(WithoutAnnotation("team"), WithoutAnnotation("version"))
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationMissing", "not on the object: team; events lack the attribute until it is added; logger of the transformer: listed, but not on the object: version;")
	w.owner(WithoutLogger(), WithoutTransformer())
	w.settle()
	if got := w.is().Status.GetCondition(v1beta1.SinkResolved); got != nil {
		t.Errorf("SinkResolved is %+v, and there is no logger", got)
	}
}

// A sink that is another component would be fed by its own events.
func TestASinkThatIsAnotherComponentGetsNothing(t *testing.T) {
	w := newComponents(t)
	w.owner(WithLogger(WithSinkURI("http://my-model-transformer-default.models.svc.cluster.local")))
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkIsSelf", "")
}

// What could not be written is said of the component, and its logger's status
// stays.
func TestARefusedComponentKeepsTheStatusOfItsLogger(t *testing.T) {
	w := newComponents(t)
	before := w.is().Status.DeepCopy()
	w.config.Agent.Image = "agent:v2"
	w.owner(With(func(is *v1beta1.InferenceService) { is.Spec.Transformer.Containers[0].Image = "transformer:v2" }))
	w.refusal = errors.New("refused")
	if err := w.reconcile(); err == nil {
		t.Error("the refusal is no error")
	}
	w.assertSaid(v1beta1.TransformerReady, isFalse, "ServiceNotWritten", "refused")
	after := w.is().Status
	if diff := cmp.Diff(before.Components[transformer], after.Components[transformer]); diff != "" {
		t.Errorf("the transformer's status changed (-before, +after): %s", diff)
	}
	w.assertSaid(v1beta1.AgentCurrent, isTrue, "", "")
	if after.ObservedMetadata != before.ObservedMetadata {
		t.Error("the observed metadata changed")
	}
	w.assertSaid(v1beta1.PredictorReady, isTrue, "", "")
}
