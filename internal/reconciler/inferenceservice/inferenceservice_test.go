/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	"knative.dev/pkg/tracker"
	servingconfig "knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/telemetry"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const (
	isTrue    = corev1.ConditionTrue
	isFalse   = corev1.ConditionFalse
	isUnknown = corev1.ConditionUnknown
)

// running is a world where the seed's example serves and its events go to the
// default Broker.
func running(t *testing.T, options ...Option) *world {
	t.Helper()
	w := newWorld(t, Seed(options...))
	w.appear(brokers, "default", ingress("default"))
	w.settle()
	w.serve()
	w.settle()
	w.events()
	return w
}

func TestTheSeedsExampleIsCreatedAndServes(t *testing.T) {
	w := newWorld(t, Seed())
	w.appear(brokers, "default", ingress("default"))
	w.assertWritten(w.settle(), "create ConfigMap", "create Knative Service", "status")
	w.assertEvents("Normal Created")
	w.assertSaid(apis.ConditionReady, isUnknown, "OutOfDate", "")
	w.serve()
	w.assertWritten(w.settle(), "status")
	w.assertEvents()

	is := w.is()
	if !is.IsReady() {
		t.Errorf("not ready: %+v", is.Status.Conditions)
	}
	for _, condition := range []apis.ConditionType{v1beta1.SinkResolved, v1beta1.LoggerReady, v1beta1.MetadataReady, v1beta1.AgentCurrent} {
		w.assertSaid(condition, isTrue, "", "")
	}
	want := &v1beta1.LoggerStatus{
		Mode: v1beta1.LogAll, SinkURI: ingress("default").URL, Attributes: []string{"owner", "team"}, AgentImage: "agent:v1",
		Sinks: []v1beta1.SinkStatus{{Name: v1beta1.DefaultSinkName, URI: ingress("default").URL}},
	}
	if diff := cmp.Diff(want, is.Status.Logger); diff != "" {
		t.Errorf("status.logger (-want, +got): %s", diff)
	}
	if got, want := is.Status.ObservedMetadata, metadata.Hash([]metadata.Attribute{{Name: "team", Value: "ai-platform"}, {Name: "owner", Value: "ml-ops"}}); got != want {
		t.Errorf("observedMetadata is %s, want %s", got, want)
	}
	if got, want := is.Status.URL.String(), "http://my-model-predictor-default.models.example.com"; got != want {
		t.Errorf("the URL is %s, want %s", got, want)
	}
	if got, want := is.Status.Components[v1beta1.PredictorComponent].LatestReadyRevision, "my-model-predictor-default-00001"; got != want {
		t.Errorf("the latest ready Revision is %s, want %s", got, want)
	}
	if slices.ContainsFunc(w.arguments(), func(a string) bool { return strings.Contains(a, "v2.1.0") }) {
		t.Errorf("the version is sent, though nobody listed it: %q", w.arguments())
	}
	if !slices.ContainsFunc(w.tracker.References(), func(r tracker.Reference) bool {
		return r.Kind == "Broker" && r.Name == "default" && r.Namespace == Namespace
	}) {
		t.Errorf("the Broker isn't tracked: %v", w.tracker.References())
	}
}

func TestNothingIsWrittenWhereNothingChanged(t *testing.T) {
	for what, options := range map[string][]Option{
		"with a logger":         nil,
		"without a logger":      {WithoutLogger()},
		"with live metadata":    {WithLogger(WithRefresh(v1beta1.RefreshLive))},
		"with a sink by url":    {WithLogger(WithURL("http://collector.example"))},
		"with a missing Broker": {WithLogger(WithBroker("gone"))},
		"with a missing value":  {WithoutAnnotation("team")},
		"with probes": {WithModel(func(c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/"}}}
		})},
	} {
		t.Run(what, func(t *testing.T) {
			w := running(t, options...)
			for range 10 {
				if err := w.reconcile(); err != nil && !isRequeue(err) {
					t.Fatal(err)
				}
				w.assertWritten(w.writes)
			}
			w.assertEvents()
			if w.revisions() != 1 {
				t.Errorf("%d Revisions, want 1", w.revisions())
			}
		})
	}
}

// An object that no webhook saw may say anything: the agent starts, the rest of
// what it says holds, and a condition names what doesn't.
func TestUnvalidatedFieldsAreReported(t *testing.T) {
	w := running(t)
	w.assertSaid(v1beta1.LoggerValid, isTrue, "", "")
	unseen := w.is().DeepCopy()
	unseen.Generation++
	unseen.Annotations["owner"] = "a\nb"
	logger := unseen.Spec.Predictor.Logger
	logger.Mode, logger.MaxPayloadBytes = "everything", ptr.Int64(0)
	w.put(w.inferenceServices, unseen)
	w.settle()
	if slices.ContainsFunc(w.arguments(), func(a string) bool { return strings.Contains(a, "everything") || strings.Contains(a, "owner") }) {
		t.Errorf("the agent gets %q", w.arguments())
	}
	for _, said := range []string{
		"ignored: ", `spec.predictor.logger.mode: invalid mode "everything": must be one of all, request, response`,
		"spec.predictor.logger.maxPayloadBytes: it is 0", `attribute "owner": the value contains the control character U+000A`,
	} {
		w.assertSaid(v1beta1.LoggerValid, isFalse, "FieldsIgnored", said)
	}
	w.assertSaid(v1beta1.LoggerReady, isTrue, "", "")
	if diff := cmp.Diff([]string{"team"}, w.is().Status.Logger.Attributes); diff != "" {
		t.Errorf("attributes (-want, +got): %s", diff)
	}
	w.assertEvents("Normal Updated", "Warning FieldsIgnored")

	// The model serves alone where the agent can't be.
	w.owner(WithPort("", v1beta1.AgentPort))
	w.settle()
	w.assertSaid(v1beta1.LoggerReady, isFalse, "NoAgent", "let the model listen on another one")
	if containers := w.service().Spec.Template.Spec.Containers; len(containers) != 1 {
		t.Errorf("containers: %v", containers)
	}
}

// The hash of an earlier release has no version, and is of fewer inputs: what
// has it is written once, and keeps its Revision.
func TestAnEarlierReleasesHashRollsNone(t *testing.T) {
	for what, options := range map[string][]Option{
		"with a logger":      {WithLabel("app", "x"), WithAnnotation("note", "x")},
		"without a logger":   {WithoutLogger(), WithLabel("app", "x"), WithAnnotation("note", "x")},
		"with live metadata": {WithLogger(WithRefresh(v1beta1.RefreshLive)), WithLabel("app", "x")},
	} {
		t.Run(what, func(t *testing.T) {
			w := running(t, options...)
			attributes := []metadata.Attribute{{Name: "owner", Value: "ml-ops"}, {Name: "team", Value: "ai-platform"}}
			is := w.is()
			if is.Spec.Predictor.Logger == nil || is.Spec.Predictor.Logger.MetadataRefresh == v1beta1.RefreshLive {
				attributes = nil
			}
			earlier, err := json.Marshal(struct {
				Predictor v1beta1.PredictorSpec `json:"predictor"`
				Metadata  []metadata.Attribute  `json:"metadata,omitempty"`
			}{is.Spec.Predictor, attributes})
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(earlier)
			live := w.service().DeepCopy()
			current := live.Annotations[serving.OwnerHashAnnotationKey]
			live.Annotations[serving.OwnerHashAnnotationKey] = hex.EncodeToString(sum[:8])
			// An earlier release passed neither on.
			live.Spec.Template.Annotations = nil
			delete(live.Spec.Template.Labels, "app")
			w.put(w.services, live)

			w.assertWritten(w.settle(), "update Knative Service")
			if w.revisions() != 1 {
				t.Errorf("%d Revisions, want 1", w.revisions())
			}
			service := w.service()
			if got := service.Annotations[serving.OwnerHashAnnotationKey]; got != current {
				t.Errorf("the hash is %s, want %s", got, current)
			}
			if _, found := service.Spec.Template.Labels["app"]; found {
				t.Error("the template changed")
			}
			w.assertWritten(w.settle())

			w.owner(WithLabel("app", "y"))
			w.settle()
			if w.revisions() != 2 || w.service().Spec.Template.Labels["app"] != "y" {
				t.Errorf("the owner's next change gives %d Revisions with %v", w.revisions(), w.service().Spec.Template.Labels)
			}
		})
	}
}

func TestOwnersChangeCreatesOneRevision(t *testing.T) {
	for what, test := range map[string]struct {
		change    Option
		revisions int64
		writes    []string
	}{
		"an image":                     {WithImage("model:v2"), 2, []string{"update Knative Service", "status"}},
		"a listed annotation":          {WithAnnotation("team", "research"), 2, []string{"update Knative Service", "status"}},
		"a mode":                       {WithLogger(WithMode(v1beta1.LogRequest)), 2, []string{"update Knative Service", "status"}},
		"a spool":                      {WithLogger(WithSpool("1Gi")), 2, []string{"update Knative Service", "status"}},
		"the logger's end":             {WithoutLogger(), 2, []string{"update Knative Service", "status"}},
		"an unlisted annotation":       {WithAnnotation("version", "v3"), 2, []string{"update Knative Service", "status"}},
		"a label":                      {WithLabel("app", "x"), 2, []string{"update Knative Service", "status"}},
		"an annotation of a tool's":    {WithAnnotation("argocd.argoproj.io/tracking-id", "x"), 1, nil},
		"a label of a tool's":          {WithLabel("helm.sh/chart", "model-1.2.3"), 1, nil},
		"how a Service rolls out":      {WithAnnotation("serving.knative.dev/rollout-duration", "60s"), 1, []string{"update Knative Service"}},
		"who may reach a Service":      {WithLabel("networking.knative.dev/visibility", "cluster-local"), 1, []string{"update Knative Service"}},
		"a target of the autoscaler's": {WithAnnotation("autoscaling.knative.dev/target", "5"), 2, []string{"update Knative Service", "status"}},
	} {
		t.Run(what, func(t *testing.T) {
			w := running(t)
			w.owner(test.change)
			w.assertWritten(w.settle(), test.writes...)
			if w.revisions() != test.revisions {
				t.Errorf("%d Revisions, want %d", w.revisions(), test.revisions)
			}
			if len(test.writes) == 0 {
				w.assertEvents()
			} else {
				w.assertEvents("Normal Updated")
			}
		})
	}
}

func TestPlatformChangeCreatesNoRevision(t *testing.T) {
	for what, test := range map[string]struct {
		change func(*world)
		behind string
	}{
		"a new agent image":  {func(w *world) { w.config.Agent.Image = "agent:v2" }, "agent image"},
		"new agent defaults": {func(w *world) { w.config.Agent.BufferBytes *= 2 }, "agent configuration"},
		"another collector": {func(w *world) {
			w.config.Observability.Traces = telemetry.Traces{Protocol: telemetry.GRPC, Endpoint: "http://collector:4317", SamplingRate: 1}
		}, "metrics and traces"},
		"a new default sink": {func(w *world) {
			w.appear(brokers, "other", ingress("other"))
			w.config.Logger.DefaultSink.Ref.Name = "other"
		}, "default sink"},
	} {
		t.Run(what, func(t *testing.T) {
			w := running(t)
			before := w.service()
			test.change(w)
			w.assertWritten(w.settle(), "status")
			if w.service() != before {
				t.Error("the Knative Service was written")
			}
			w.assertSaid(v1beta1.AgentCurrent, isFalse, "Behind", test.behind)
			w.assertSaid(apis.ConditionReady, isTrue, "", "")
			if got := w.is().Status.Logger; got.AgentImage != "agent:v1" || got.SinkURI.String() != ingress("default").URL.String() {
				t.Errorf("the status says what isn't in force: %+v", got)
			}

			// The owner's own change brings it.
			w.owner(WithImage("model:v2"))
			if written := slices.DeleteFunc(w.settle(), func(write string) bool { return write == "update ConfigMap" }); !slices.Equal(written, []string{"update Knative Service", "status"}) {
				t.Errorf("written: %q", written)
			}
			w.assertSaid(v1beta1.AgentCurrent, isTrue, "", "")
			if w.revisions() != 2 {
				t.Errorf("%d Revisions, want 2", w.revisions())
			}
		})
	}
}

// docs/operations.md says so. The cluster in memory has Serving's own
// validation.
func TestTemplateAnnotationUpdatesTheAgent(t *testing.T) {
	w := running(t)
	w.config.Agent.Image = "agent:v2"
	w.assertWritten(w.settle(), "status")
	w.owner(WithAnnotation("features.knative.dev/rolled", "1795382000"))
	w.assertWritten(w.settle(), "update Knative Service", "status")
	w.assertSaid(v1beta1.AgentCurrent, isTrue, "", "")
	if errs := knativeservice.Validate(t.Context(), w.is()); errs.Filter(apis.ErrorLevel) != nil {
		t.Errorf("Serving refuses it: %v", errs)
	}
}

// A wrong image of the agent, once mended, heals every service that rolled
// with it, and no other.
func TestFailedTemplateGetsTheCurrentAgentAtOnce(t *testing.T) {
	w := running(t)
	w.config.Agent.Image = "agent:mistyped"
	w.owner(WithImage("model:v2"))
	w.settle()
	w.change(func(service *servingv1.Service) {
		service.Status.ObservedGeneration = service.Generation
		service.Status.Conditions = duckv1.Conditions{
			{Type: servingv1.ServiceConditionConfigurationsReady, Status: corev1.ConditionFalse, Reason: "RevisionFailed"},
			{Type: apis.ConditionReady, Status: corev1.ConditionFalse, Reason: "RevisionMissing"},
		}
	})
	w.assertWritten(w.settle(), "status")
	w.assertSaid(v1beta1.PredictorReady, isFalse, "RevisionFailed", "")

	w.config.Agent.Image = "agent:v2"
	w.assertWritten(w.settle(), "update Knative Service", "status")
	if got := w.is().Status.Logger.AgentImage; got != "agent:v2" {
		t.Errorf("the agent's image is %s, want the mended one", got)
	}
	w.serve()
	w.settle()
	w.config.Agent.Image = "agent:v3"
	w.assertWritten(w.settle(), "status")
}

// An older controller built the template otherwise and recorded less: an
// upgrade must roll no model.
func TestATemplateOfAnOlderControllerStays(t *testing.T) {
	w := running(t)
	w.change(func(service *servingv1.Service) {
		service.Spec.Template.Labels["built-by"] = "an older controller"
		service.Annotations[serving.LastAppliedAnnotationKey] = strings.Replace(service.Annotations[serving.LastAppliedAnnotationKey], "{", "{ ", 1)
	})
	w.owner(With(func(is *v1beta1.InferenceService) {
		component := is.Status.Components[v1beta1.PredictorComponent]
		component.ServiceGeneration = w.service().Generation
		is.Status.Components[v1beta1.PredictorComponent] = component
	}))
	before := w.service().Spec.DeepCopy()
	w.serve()
	w.assertWritten(w.settle(), "status")

	w.owner(WithLabel("networking.knative.dev/visibility", "cluster-local"))
	w.assertWritten(w.settle(), "update Knative Service")
	if diff := cmp.Diff(before, &w.service().Spec); diff != "" {
		t.Errorf("a label of the Service changed its template (-before, +after): %s", diff)
	}
	w.owner(WithImage("model:v2"))
	w.settle()
	if _, found := w.service().Spec.Template.Labels["built-by"]; found {
		t.Error("the owner's change didn't bring a template of this controller's")
	}
}

func TestForeignChangeIsReverted(t *testing.T) {
	w := running(t)
	before := w.service().DeepCopy()
	w.change(func(service *servingv1.Service) { service.Spec.Template.Spec.Containers[0].Image = "miner" })
	written := w.settle()
	if len(written) == 0 || written[0] != "update Knative Service" {
		t.Errorf("written: %q", written)
	}
	if diff := cmp.Diff(before.Spec, w.service().Spec); diff != "" {
		t.Errorf("(-before, +after): %s", diff)
	}
	w.assertEvents("Normal Updated")

	for _, key := range []string{serving.OwnerHashAnnotationKey, serving.LastAppliedAnnotationKey} {
		w.change(func(service *servingv1.Service) { delete(service.Annotations, key) })
		w.settle()
		if diff := cmp.Diff(before.Annotations, w.service().Annotations); diff != "" {
			t.Errorf("after %s was deleted (-before, +after): %s", key, diff)
		}
		if diff := cmp.Diff(before.Spec, w.service().Spec); diff != "" {
			t.Errorf("after %s was deleted (-before, +after): %s", key, diff)
		}
	}
	// What others wrote beside ours stays.
	w.change(func(service *servingv1.Service) { service.Annotations["team"] = "theirs" })
	w.assertWritten(w.settle())
	w.owner(WithImage("model:v2"))
	w.settle()
	if w.service().Annotations["team"] != "theirs" {
		t.Error("an annotation of somebody else's is gone")
	}
}

func TestServingsStatusIsCopiedWithoutAWrite(t *testing.T) {
	w := running(t)
	w.change(func(service *servingv1.Service) {
		service.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: isFalse, Reason: "RevisionFailed", Message: "no image"}}
	})
	w.assertWritten(w.settle(), "status")
	w.assertSaid(apis.ConditionReady, isFalse, "RevisionFailed", "no image")
	w.assertSaid(v1beta1.LoggerReady, isTrue, "", "")
	w.serve()
	w.assertWritten(w.settle(), "status")
	w.assertSaid(apis.ConditionReady, isTrue, "", "")
}

func TestAKnativeServiceOfSomebodyElseStaysTheirs(t *testing.T) {
	w := newWorld(t, Seed())
	theirs := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "my-model-predictor-default", Namespace: Namespace}}
	w.put(w.services, theirs)
	if err := w.reconcile(); err == nil {
		t.Error("no error")
	}
	w.assertWritten(w.writes, "status")
	w.assertSaid(apis.ConditionReady, isFalse, "NotOwned", "delete it, or rename the InferenceService")
	if w.service() != theirs {
		t.Error("it was written")
	}
}

func TestServingsRefusalIsReported(t *testing.T) {
	const message = `admission webhook "validation.webhook.serving.knative.dev" denied the request: 100% no`
	w := newWorld(t, Seed())
	w.appear(brokers, "default", ingress("default"))
	w.refusal = apierrors.NewBadRequest(message)
	if err := w.reconcile(); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("the error is %v", err)
	}
	w.assertSaid(apis.ConditionReady, isFalse, "ServiceNotWritten", message)
	w.refusal = nil
	w.settle()
	w.serve()
	w.settle()
	w.assertSaid(apis.ConditionReady, isTrue, "", "")

	w.owner(WithImage("model:v2"))
	w.refusal = apierrors.NewBadRequest(message)
	if err := w.reconcile(); err == nil {
		t.Error("no error")
	}
	w.assertSaid(apis.ConditionReady, isFalse, "ServiceNotWritten", message)
}

// Such a URL was admitted by an earlier release, and no webhook sees the cluster's
// default in an InferenceService.
func TestURLWithInvalidCharactersIsReportedByField(t *testing.T) {
	odd := func() *apis.URL { return &apis.URL{Scheme: "http", Host: "sink.example", RawQuery: "q=a b\u00e9"} }
	for field, test := range map[string]struct {
		option    Option
		byDefault bool
		condition apis.ConditionType
	}{
		"spec.predictor.logger.url": {
			WithLogger(func(l *v1beta1.LoggerSpec) { l.URL = odd() }), false, v1beta1.SinkResolved,
		},
		"spec.predictor.logger.sink.uri": {
			WithLogger(func(l *v1beta1.LoggerSpec) { l.Sink = &duckv1.Destination{URI: odd()} }), false, v1beta1.SinkResolved,
		},
		"spec.predictor.logger.delivery.deadLetterSink.uri": {
			WithLogger(WithDelivery(eventingduckv1.DeliverySpec{DeadLetterSink: &duckv1.Destination{URI: odd()}})), false, v1beta1.DeadLetterSinkResolved,
		},
		"default-sink of the ConfigMap config-logger": {WithLogger(), true, v1beta1.SinkResolved},
	} {
		t.Run(field, func(t *testing.T) {
			w := newWorld(t, Seed(test.option))
			w.appear(brokers, "default", ingress("default"))
			if test.byDefault {
				w.config.Logger.DefaultSink = duckv1.Destination{URI: odd()}
			}
			w.settle()
			for _, part := range []string{field, "percent-encode them, as %20"} {
				w.assertSaid(test.condition, isFalse, "SinkUnusable", part)
			}
		})
	}
}

// Serving takes a probe of a model behind an agent only with a feature of its
// own, which may be switched off again.
func TestProbeThatServingRefusesIsReported(t *testing.T) {
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{}}}
	w := newWorld(t, Seed(WithModel(func(c *corev1.Container) { c.LivenessProbe, c.StartupProbe = probe, probe })))
	w.appear(brokers, "default", ingress("default"))
	w.multiContainerProbing(servingconfig.Enabled)
	w.settle()
	w.serve()
	w.settle()
	w.assertSaid(v1beta1.AgentCurrent, isTrue, "", "")

	w.multiContainerProbing(servingconfig.Disabled)
	w.assertWritten(w.settle(), "status")
	w.assertSaid(v1beta1.AgentCurrent, isFalse, "Behind", "multi-container-probing")
	w.assertSaid(apis.ConditionReady, isTrue, "", "")

	w.owner(WithImage("model:v2"))
	if err := w.reconcile(); err == nil {
		t.Error("no error")
	}
	for _, part := range []string{"spec.predictor.containers[0].livenessProbe", "set multi-container-probing to enabled"} {
		w.assertSaid(v1beta1.PredictorReady, isFalse, "ServiceNotWritten", part)
	}
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}

	w.owner(WithModel(func(c *corev1.Container) { c.LivenessProbe, c.StartupProbe = nil, nil }))
	w.settle()
	w.serve()
	w.settle()
	w.assertSaid(v1beta1.AgentCurrent, isTrue, "", "")
	w.assertSaid(apis.ConditionReady, isTrue, "", "")
}

func TestAConflictIsTriedAgainAndNotSaid(t *testing.T) {
	w := running(t)
	w.owner(WithImage("model:v2"))
	w.refusal = conflict()
	if err := w.reconcile(); !apierrors.IsConflict(err) {
		t.Errorf("the error is %v, want the conflict", err)
	}
	if got := w.is().Status.GetCondition(v1beta1.PredictorReady); got.Reason == "ServiceNotWritten" {
		t.Errorf("a conflict is said: %+v", got)
	}
	w.refusal = nil
	w.settle()
	if w.revisions() != 2 {
		t.Errorf("%d Revisions, want 2", w.revisions())
	}
}

func TestTheModelServesWithoutItsSink(t *testing.T) {
	for what, options := range map[string][]Option{
		"the default Broker": nil,
		"a named Broker":     {WithLogger(WithBroker("default"))},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, Seed(options...))
			w.assertWritten(w.settle(), "create Knative Service", "status")
			w.assertEvents("Normal Created", "Warning NotResolved")
			if err := w.reconcile(); !isRequeue(err) {
				t.Errorf("it isn't looked at again: %v", err)
			}
			w.serve()
			w.settle()
			w.assertSaid(apis.ConditionReady, isTrue, "", "")
			w.assertSaid(v1beta1.SinkResolved, isFalse, "NotResolved", "Broker models/default, has no address")
			w.assertSaid(v1beta1.LoggerReady, isFalse, "NoSink", "events are dropped and counted")
			if got := w.is().Status.Logger.SinkURI; got != nil || w.sink() != "" {
				t.Errorf("events go to %v by the status, and to %q", got, w.sink())
			}
			w.assertEvents()

			// A new model image rolls nevertheless.
			w.owner(WithImage("model:v2"))
			w.assertWritten(w.settle(), "update Knative Service", "status")
			w.assertEvents("Normal Updated")

			w.appear(brokers, "default", ingress("default"))
			w.assertWritten(w.settle(), "create ConfigMap", "status")
			w.assertEvents("Normal SinkResolved")
			w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
			w.assertSaid(v1beta1.LoggerReady, isTrue, "", "")
			if w.revisions() != 2 || w.sink() != ingress("default").URL.String() {
				t.Errorf("%d Revisions and sink %q, want the owner's 2 and the Broker", w.revisions(), w.sink())
			}

			// What it had last stays, whatever else the owner changes.
			w.disappear(brokers, "default")
			w.assertWritten(w.settle(), "status")
			w.assertEvents("Warning NotResolved")
			w.assertSaid(v1beta1.SinkResolved, isFalse, "NotResolved", "")
			w.assertSaid(v1beta1.LoggerReady, isTrue, "", "")
			w.owner(WithImage("model:v3"))
			w.settle()
			if w.sink() != ingress("default").URL.String() {
				t.Errorf("the sink is %q, want the last one resolved", w.sink())
			}

			w.appear(brokers, "default", ingressWithAudience("default"))
			w.settle()
			if !w.hasToken("sidenote-sink-token") {
				t.Error("no token for the Broker's audience")
			}
		})
	}
}

func TestReplacedSinkGetsNothing(t *testing.T) {
	w := running(t)
	w.owner(WithLogger(WithBroker("missing")))
	w.settle()
	if w.sink() != "" {
		t.Errorf("events still go to %s", w.sink())
	}
	w.assertSaid(v1beta1.LoggerReady, isFalse, "NoSink", "")
	w.assertSaid(v1beta1.SinkResolved, isFalse, "NotResolved", "create it, or name another")
	w.owner(WithLogger(WithURL("https://collector.example/in"), func(logger *v1beta1.LoggerSpec) { logger.Sink = nil }))
	w.settle()
	if w.sink() != "https://collector.example/in" {
		t.Errorf("events go to %q", w.sink())
	}
	w.assertSaid(v1beta1.LoggerReady, isTrue, "", "")
}

func TestASinkThatIsTheServiceItselfGetsNothing(t *testing.T) {
	for _, url := range []string{
		"http://my-model-predictor-default.models.svc.cluster.local/in",
		"http://my-model-predictor-default.models.svc.cluster.local.",
		"http://MY-MODEL-predictor-default.models.svc",
		"http://my-model-predictor-default.models.svc:80",
		"http://my-model-predictor-default.models",
		"http://my-model-predictor-default",
		"http://my-model-predictor-default.models.example.com",
	} {
		t.Run(url, func(t *testing.T) {
			w := running(t, WithLogger(WithURL(url)))
			w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkIsSelf", "name another sink")
			w.assertSaid(v1beta1.LoggerReady, isFalse, "NoSink", "")
			if w.sink() != "" {
				t.Errorf("events go to %s", w.sink())
			}
		})
	}
	for _, url := range []string{"http://another-predictor-default.models", "http://my-model-predictor-default.elsewhere", "http://my-model-predictor-default.models.example.org"} {
		t.Run(url, func(t *testing.T) {
			w := running(t, WithLogger(WithURL(url)))
			w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
			if w.sink() != url {
				t.Errorf("events go to %q", w.sink())
			}
		})
	}
	t.Run("by the default sink", func(t *testing.T) {
		w := newWorld(t, Seed())
		w.config.Logger.DefaultSink = duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "serving.knative.dev/v1", Kind: "Service", Name: "my-model-predictor-default"}}
		w.appear(knativeServices, "my-model-predictor-default", duckv1.Addressable{URL: apis.HTTP("my-model-predictor-default.models.svc.cluster.local")})
		w.settle()
		w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkIsSelf", "the cluster's default sink, Service models/my-model-predictor-default,")
		if w.sink() != "" {
			t.Errorf("events go to %s", w.sink())
		}
	})
}

func TestAnAddressThatTheAgentCannotUseGetsNothingAndTheModelServes(t *testing.T) {
	for what, address := range map[string]duckv1.Addressable{
		"another scheme":  {URL: &apis.URL{Scheme: "ftp", Host: "broker"}},
		"a fragment":      {URL: &apis.URL{Scheme: "http", Host: "broker", Fragment: "x"}},
		"no certificates": {URL: apis.HTTPS("broker"), CACerts: ptr.String("not PEM")},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, Seed())
			w.appear(brokers, "default", address)
			w.settle()
			w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkUnusable", "that the agent can't use")
			if w.sink() != "" {
				t.Errorf("events go to %s", w.sink())
			}
		})
	}
}

func TestLiveMetadataReachesPodsWithoutARevision(t *testing.T) {
	w := newWorld(t, Seed(WithLogger(WithRefresh(v1beta1.RefreshLive))))
	w.appear(brokers, "default", ingress("default"))
	// Before the pods that mount them.
	w.assertWritten(w.settle(), "create ConfigMap", "create ConfigMap", "create Knative Service", "status")
	w.serve()
	w.settle()
	w.events()

	before := w.is().Status.ObservedMetadata
	w.owner(WithAnnotation("team", "research"))
	w.assertWritten(w.settle(), "update ConfigMap", "status")
	w.assertEvents("Normal MetadataUpdated")
	if got := w.configMap().Data["attributes.json"]; got != `{"owner":"ml-ops","team":"research"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	if w.is().Status.ObservedMetadata == before {
		t.Error("observedMetadata stays")
	}
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}

	// Somebody else's change is reverted.
	changed := w.configMap().DeepCopy()
	changed.Data = map[string]string{"attributes.json": "{}"}
	w.put(w.configMaps, changed)
	w.assertWritten(w.settle(), "update ConfigMap")

	w.owner(WithLogger(WithRefresh(v1beta1.RefreshByRevision)))
	w.assertWritten(w.settle(), "update Knative Service", "status")
	w.serve()
	w.assertWritten(w.settle(), "delete ConfigMap", "status")
	if w.configMap() != nil {
		t.Error("the ConfigMap stays")
	}
}

func (w *world) configMap() *corev1.ConfigMap {
	stored, found, _ := w.configMaps.GetByKey(Namespace + "/my-model-predictor-default-metadata")
	if !found {
		return nil
	}
	return stored.(*corev1.ConfigMap)
}

func TestForeignConfigMapIsKept(t *testing.T) {
	for what, options := range map[string][]Option{
		"live metadata": {WithLogger(WithRefresh(v1beta1.RefreshLive))},
		"by Revision":   nil,
		"no logger":     {WithoutLogger()},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, Seed(options...))
			w.appear(brokers, "default", ingress("default"))
			theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "my-model-predictor-default-metadata", Namespace: Namespace}}
			w.put(w.configMaps, theirs)
			if err := w.reconcile(); (err != nil) != (what == "live metadata") {
				t.Errorf("the error is %v", err)
			}
			if w.configMap() != theirs {
				t.Error("the ConfigMap was written")
			}
			if w.service() == nil {
				t.Error("serving depends on logging")
			}
		})
	}
}

func TestWithoutTheLoggerNothingOfItStays(t *testing.T) {
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
	w.owner(WithoutLogger())
	w.assertWritten(w.settle(), "update Knative Service", "status")
	w.serve()
	w.assertWritten(w.settle(), "delete ConfigMap", "delete ConfigMap", "status")
	if w.arguments() != nil {
		t.Error("the agent stays")
	}
	if _, found := w.service().Annotations[serving.LastAppliedAnnotationKey]; found {
		t.Error("the record stays")
	}
	status := w.is().Status
	if status.Logger != nil || status.ObservedMetadata != "" {
		t.Errorf("the status still speaks of a logger: %+v, %s", status.Logger, status.ObservedMetadata)
	}
	for _, condition := range []apis.ConditionType{v1beta1.SinkResolved, v1beta1.LoggerReady, v1beta1.MetadataReady, v1beta1.AgentCurrent} {
		if got := status.GetCondition(condition); got != nil {
			t.Errorf("%s stays: %+v", condition, got)
		}
	}
	w.owner(WithLogger(WithMetadataAnnotations("team")))
	w.settle()
	if w.sink() != ingress("default").URL.String() {
		t.Errorf("a new logger sends to %q", w.sink())
	}
}

func TestMissingAnnotationIsReportedOnce(t *testing.T) {
	w := running(t)
	w.owner(WithoutAnnotation("team"))
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationMissing", "team")
	w.assertSaid(apis.ConditionReady, isUnknown, "OutOfDate", "")
	w.assertEvents("Normal Updated", "Warning AnnotationMissing")
	if got := w.is().Status.Logger; !slices.Equal(got.MissingAnnotations, []string{"team"}) || !slices.Equal(got.Attributes, []string{"owner"}) {
		t.Errorf("status.logger is %+v", got)
	}
	w.settle()
	w.assertEvents()
	w.owner(WithAnnotation("team", "back"))
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isTrue, "", "")
	w.assertEvents("Normal Updated", "Normal MetadataReady")
}

func TestABrokenRecordIsMadeAnew(t *testing.T) {
	w := running(t)
	before := w.service().DeepCopy()
	w.change(func(service *servingv1.Service) { service.Annotations[serving.LastAppliedAnnotationKey] = "{" })
	w.settle()
	if diff := cmp.Diff(before.Annotations, w.service().Annotations); diff != "" {
		t.Errorf("(-before, +after): %s", diff)
	}
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

func TestDeletedObjectIsLeftAlone(t *testing.T) {
	w := running(t)
	w.owner(WithDeletion(), WithImage("model:v2"))
	w.assertWritten(w.settle())
}

func TestAWriteThatFailsForNow(t *testing.T) {
	w := newWorld(t, Seed())
	w.refusal = errors.New("connection refused")
	if err := w.reconcile(); err == nil {
		t.Error("no error: it isn't tried again")
	}
	w.refusal = nil
	w.settle()
	if w.service() == nil {
		t.Error("it isn't made later")
	}
}
