/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// inputs are the arguments of Plan.
type inputs struct {
	is       *v1beta1.InferenceService
	live     Live
	platform Platform
}

// newInputs returns those of an InferenceService that was just created, with the
// default Broker as its sink.
func newInputs(t *testing.T, options ...Option) *inputs {
	is := Seed(options...)
	is.UID = "1"
	is.SetDefaults(t.Context())
	in := &inputs{is: is, platform: Platform{Config: config.FromContextOrDefaults(t.Context())}}
	in.live.Components = map[v1beta1.ComponentType]*LiveComponent{v1beta1.PredictorComponent: {}}
	in.platform.Agent.Image = "agent:v1"
	in.live.NamespaceReadsTrust = is.Spec.Predictor.Logger != nil
	in.sinkAt("default")
	return in
}

// predictor is the state of the predictor.
func (in *inputs) predictor() *LiveComponent { return in.live.Components[v1beta1.PredictorComponent] }

func (in *inputs) sinkAt(path string) {
	address := ingress(path)
	in.resolve(sinks.Resolution{Address: &address})
}

// resolve is the result of resolving the sink.
func (in *inputs) resolve(resolved sinks.Resolution) {
	in.predictor().Sinks = sinks.Resolutions{v1beta1.DefaultSinkName: {Sink: resolved}}
}

func (in *inputs) resolved() sinks.Resolution {
	return in.predictor().Sinks[v1beta1.DefaultSinkName].Sink
}

// owner changes the InferenceService as its owner does.
func (in *inputs) owner(t *testing.T, options ...Option) {
	for _, option := range options {
		option(in.is)
	}
	in.is.SetDefaults(t.Context())
}

// applied has the cluster be as planned, and Knative Serving serve the latest
// Revision alone.
func (in *inputs) applied(t *testing.T) {
	t.Helper()
	changes := Plan(in.is, in.live, in.platform)
	for _, change := range changes.ConfigMaps {
		in.store(t, change)
	}
	if changes.Components[0].Service != nil {
		generation := int64(1)
		if in.predictor().Service != nil {
			generation = in.predictor().Service.Generation + 1
		}
		in.predictor().Service = changes.Components[0].Service
		in.predictor().Service.Generation = generation
	}
	in.serves(fmt.Sprintf("revision-%d", in.predictor().Service.Generation))
	in.is.Status = changes.Status()
	in.is.Status.PropagateService(v1beta1.PredictorComponent, in.predictor().Service)
}

// store has a ConfigMap be as the change says.
func (in *inputs) store(t *testing.T, change configmaps.Change) {
	t.Helper()
	slot := map[string]**corev1.ConfigMap{
		in.is.TrustName(v1beta1.PredictorComponent): &in.predictor().Trust, in.is.MetadataName(v1beta1.PredictorComponent): &in.predictor().Metadata,
		knativeservice.NamespaceTrustName: &in.live.NamespaceTrust,
	}[change.Desired.Name]
	stored, err := configmaps.Fingerprint(change.Desired)
	if err != nil {
		t.Fatal(err)
	}
	cached := stored.(*corev1.ConfigMap)
	for _, key := range change.Kept {
		if *slot != nil {
			if digest, found := (*slot).Data[key]; found {
				cached.Data[key] = digest
			}
		}
	}
	*slot = cached
	if len(cached.Data) == 0 {
		*slot = nil
	}
}

func (in *inputs) serves(revision string) {
	status := &in.predictor().Service.Status
	status.ObservedGeneration = in.predictor().Service.Generation
	status.LatestCreatedRevisionName, status.LatestReadyRevisionName = revision, revision
	status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: isTrue}}
	status.Traffic = []servingv1.TrafficTarget{{RevisionName: revision, Percent: ptr.Int64(100)}}
}

// planned is what a test compares of a plan.
type planned struct {
	ConfigMaps []string
	Service    string
	// Conditions are those that aren't true.
	Conditions map[apis.ConditionType]string
	Events     []string
	RetryAfter time.Duration
}

func (in *inputs) plan() planned {
	changes := Plan(in.is, in.live, in.platform)
	result := planned{RetryAfter: changes.RetryAfter, Conditions: make(map[apis.ConditionType]string)}
	for _, change := range changes.ConfigMaps {
		name, verb := strings.TrimPrefix(change.Desired.Name, in.is.ServiceName(v1beta1.PredictorComponent)+"-"), "write "
		if len(change.Desired.Data) == 0 {
			verb = "delete "
		}
		kept := ""
		for _, key := range change.Kept {
			if in.predictor().hasTrustKey(in.is, key) {
				kept += " keep " + key[:strings.LastIndex(key, "-")]
			}
		}
		result.ConfigMaps = append(result.ConfigMaps, verb+name+kept)
	}
	switch live := in.predictor().Service; {
	case changes.Components[0].Service == nil:
	case live == nil:
		result.Service = "create"
	case equality.Semantic.DeepEqual(live.Spec, changes.Components[0].Service.Spec):
		result.Service = "update metadata"
	default:
		result.Service = "update template"
	}
	status := changes.Status()
	for _, condition := range status.Conditions {
		if condition.IsFalse() {
			result.Conditions[condition.Type] = condition.Reason
		}
	}
	for _, event := range transitions(&in.is.Status, &status) {
		result.Events = append(result.Events, event.Type+" "+event.Reason)
	}
	return result
}

func TestPlan(t *testing.T) {
	noConditions := map[apis.ConditionType]string{}
	image := WithImage("model:v2")
	for name, test := range map[string]struct {
		// options are of the InferenceService, which is applied unless it is new.
		options []Option
		isNew   bool
		// change is what happens then.
		change func(t *testing.T, in *inputs)
		want   planned
	}{
		"new": {
			isNew: true,
			want:  planned{ConfigMaps: []string{"write trust"}, Service: "create"},
		},
		"new with live metadata and a trust bundle": {
			options: []Option{WithLogger(WithRefresh(v1beta1.RefreshLive))},
			isNew:   true,
			change:  func(_ *testing.T, in *inputs) { in.platform.Trust.PEM = "pem" },
			want:    planned{ConfigMaps: []string{"write metadata", "write sidenote-trust", "write trust"}, Service: "create"},
		},
		"new without an address of the sink": {
			isNew: true,
			change: func(_ *testing.T, in *inputs) {
				in.resolve(sinks.Resolution{Err: errors.New("no such Broker")})
			},
			want: planned{
				Service:    "create",
				Conditions: map[apis.ConditionType]string{v1beta1.SinkResolved: "NotResolved", v1beta1.LoggerReady: "NoSink"},
				Events:     []string{"Warning NotResolved"},
				RetryAfter: time.Minute,
			},
		},
		"new without a logger": {
			options: []Option{WithoutLogger()},
			isNew:   true,
			want:    planned{Service: "create"},
		},
		"unchanged": {},
		"unchanged without a logger": {
			options: []Option{WithoutLogger()},
		},
		"the owner changes the image": {
			change: func(t *testing.T, in *inputs) { in.owner(t, image) },
			want:   planned{Service: "update template"},
		},
		"the owner changes an annotation that a Revision carries": {
			change: func(t *testing.T, in *inputs) { in.owner(t, WithAnnotation("team", "other")) },
			want:   planned{Service: "update template"},
		},
		"the owner changes a live annotation": {
			options: []Option{WithLogger(WithRefresh(v1beta1.RefreshLive))},
			change:  func(t *testing.T, in *inputs) { in.owner(t, WithAnnotation("team", "other")) },
			want:    planned{ConfigMaps: []string{"write metadata"}},
		},
		"the owner ends live metadata": {
			options: []Option{WithLogger(WithRefresh(v1beta1.RefreshLive))},
			change:  func(t *testing.T, in *inputs) { in.owner(t, WithLogger(WithRefresh(v1beta1.RefreshByRevision))) },
			want:    planned{Service: "update template"},
		},
		"the Revision without live metadata serves alone": {
			options: []Option{WithLogger(WithRefresh(v1beta1.RefreshLive))},
			change: func(t *testing.T, in *inputs) {
				in.owner(t, WithLogger(WithRefresh(v1beta1.RefreshByRevision)))
				in.applied(t)
			},
			want: planned{ConfigMaps: []string{"delete metadata"}},
		},
		"the owner removes an annotation": {
			change: func(t *testing.T, in *inputs) { in.owner(t, WithoutAnnotation("team")) },
			want: planned{
				Service:    "update template",
				Conditions: map[apis.ConditionType]string{v1beta1.MetadataReady: "AnnotationMissing"},
				Events:     []string{"Warning AnnotationMissing"},
			},
		},
		"the owner names another sink": {
			change: func(t *testing.T, in *inputs) {
				in.owner(t, WithLogger(WithBroker("other")))
				in.sinkAt("other")
			},
			want: planned{ConfigMaps: []string{"write trust keep sink"}, Service: "update template"},
		},
		"the Revision of another sink gets a part of the traffic": {
			change: func(t *testing.T, in *inputs) {
				in.owner(t, WithLogger(WithBroker("other")))
				in.sinkAt("other")
				in.applied(t)
				in.predictor().Service.Status.Traffic = append(in.predictor().Service.Status.Traffic, servingv1.TrafficTarget{RevisionName: "revision-1"})
			},
		},
		"the Revision of another sink serves alone": {
			change: func(t *testing.T, in *inputs) {
				in.owner(t, WithLogger(WithBroker("other")))
				in.sinkAt("other")
				in.applied(t)
			},
			want: planned{ConfigMaps: []string{"write trust"}},
		},
		"the owner removes the logger": {
			change: func(t *testing.T, in *inputs) {
				in.owner(t, WithoutLogger())
				in.live.NamespaceReadsTrust = false
			},
			want: planned{Service: "update template"},
		},
		"the Revision without the logger serves alone": {
			options: []Option{WithLogger(WithRefresh(v1beta1.RefreshLive))},
			change: func(t *testing.T, in *inputs) {
				in.platform.Trust.PEM = "pem"
				in.applied(t)
				in.owner(t, WithoutLogger())
				in.applied(t)
				in.live.NamespaceReadsTrust = false
			},
			want: planned{ConfigMaps: []string{"delete sidenote-trust", "delete trust", "delete metadata"}},
		},
		"the sink moves": {
			change: func(_ *testing.T, in *inputs) { in.sinkAt("moved") },
			want:   planned{ConfigMaps: []string{"write trust"}},
		},
		"the sink disappears": {
			change: func(_ *testing.T, in *inputs) {
				in.resolve(sinks.Resolution{Err: errors.New("no such Broker")})
			},
			want: planned{
				Conditions: map[apis.ConditionType]string{v1beta1.SinkResolved: "NotResolved"},
				Events:     []string{"Warning NotResolved"},
				RetryAfter: time.Minute,
			},
		},
		"the sink comes back": {
			change: func(t *testing.T, in *inputs) {
				resolved := in.resolved()
				in.resolve(sinks.Resolution{Err: errors.New("no such Broker")})
				in.applied(t)
				in.resolve(resolved)
			},
			want: planned{Events: []string{"Normal SinkResolved"}},
		},
		"the sink asks for a token of its own": {
			change: func(_ *testing.T, in *inputs) {
				address := ingressWithAudience("default")
				in.resolve(sinks.Resolution{Address: &address})
			},
			want: planned{ConfigMaps: []string{"write trust"}},
		},
		"the sink asks for a token of another": {
			change: func(_ *testing.T, in *inputs) {
				in.resolved().Address.Audience = ptr.String("https://kubernetes.default.svc")
			},
			want: planned{
				Conditions: map[apis.ConditionType]string{v1beta1.SinkResolved: "AudienceRefused"},
				Events:     []string{"Warning AudienceRefused"},
			},
		},
		"the sink is the service itself": {
			change: func(_ *testing.T, in *inputs) {
				in.resolved().Address.URL = apis.HTTP("my-model-predictor-default.models.svc.cluster.local")
			},
			want: planned{
				ConfigMaps: []string{"write trust"},
				Conditions: map[apis.ConditionType]string{v1beta1.SinkResolved: "SinkIsSelf", v1beta1.LoggerReady: "NoSink"},
				Events:     []string{"Warning SinkIsSelf"},
				RetryAfter: time.Minute,
			},
		},
		"the cluster gets another agent": {
			change: func(_ *testing.T, in *inputs) { in.platform.Agent.Image = "agent:v2" },
			want:   planned{Conditions: map[apis.ConditionType]string{v1beta1.AgentCurrent: "Behind"}},
		},
		"the cluster gets another agent, and the Revision failed": {
			change: func(_ *testing.T, in *inputs) {
				in.platform.Agent.Image = "agent:v2"
				in.predictor().Service.Status.Conditions = duckv1.Conditions{{Type: servingv1.ServiceConditionConfigurationsReady, Status: isFalse}}
			},
			want: planned{Service: "update template"},
		},
		"the cluster denies an annotation": {
			change: func(_ *testing.T, in *inputs) { in.platform.Logger.DeniedAnnotations = []string{"team"} },
			want: planned{
				Service:    "update template",
				Conditions: map[apis.ConditionType]string{v1beta1.MetadataReady: "MetadataDenied"},
				Events:     []string{"Warning MetadataDenied"},
			},
		},
		"the cluster gets a trust bundle": {
			change: func(_ *testing.T, in *inputs) { in.platform.Trust.PEM = "pem" },
			want:   planned{ConfigMaps: []string{"write sidenote-trust"}},
		},
		"the cluster's trust bundle is left out": {
			change: func(_ *testing.T, in *inputs) { in.platform.Trust.LeftOut = []string{"a/b has no certificate in PEM"} },
			want: planned{
				Conditions: map[apis.ConditionType]string{v1beta1.TrustReady: "TrustBundleLeftOut"},
				Events:     []string{"Warning TrustBundleLeftOut"},
			},
		},
		"somebody else changes the template": {
			change: func(_ *testing.T, in *inputs) {
				in.predictor().Service.Spec.Template.Spec.Containers[0].Image = "other"
				in.predictor().Service.Generation++
			},
			want: planned{Service: "update template"},
		},
		"somebody else removes a label": {
			change: func(_ *testing.T, in *inputs) { in.predictor().Service.Labels = nil },
			want:   planned{Service: "update metadata"},
		},
		"somebody else changes a ConfigMap": {
			change: func(_ *testing.T, in *inputs) { in.predictor().Trust.Data["more"] = "" },
			want:   planned{ConfigMaps: []string{"write trust"}},
		},
		"somebody else owns the Knative Service": {
			change: func(t *testing.T, in *inputs) {
				in.predictor().Service.OwnerReferences[0].UID = "2"
				in.owner(t, image)
			},
			want: planned{Conditions: map[apis.ConditionType]string{apis.ConditionReady: "NotOwned", v1beta1.PredictorReady: "NotOwned"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInputs(t, test.options...)
			if !test.isNew {
				in.applied(t)
			}
			if test.change != nil {
				test.change(t, in)
			}
			is, live, component := in.is.DeepCopy(), in.live, *in.predictor()
			component.Service, component.Trust = component.Service.DeepCopy(), component.Trust.DeepCopy()
			resolved := in.resolved()
			resolved.Address = resolved.Address.DeepCopy()
			component.Sinks = sinks.Resolutions{v1beta1.DefaultSinkName: {Sink: resolved}}
			live.Components = map[v1beta1.ComponentType]*LiveComponent{v1beta1.PredictorComponent: &component}
			if test.want.Conditions == nil {
				test.want.Conditions = noConditions
			}
			if diff := cmp.Diff(test.want, in.plan()); diff != "" {
				t.Errorf("plan (-want, +got): %s", diff)
			}
			if diff := cmp.Diff([]any{is, live}, []any{in.is, in.live}, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("Plan changed its arguments (-before, +after): %s", diff)
			}
		})
	}
}

// The status must not name a template that could not be written.
func TestPlanWithoutTheServiceKeepsTheLoggersStatus(t *testing.T) {
	in := newInputs(t)
	in.applied(t)
	in.platform.Agent.Image = "agent:v2"
	in.owner(t, WithImage("model:v2"))
	in.resolve(sinks.Resolution{Err: errors.New("no such Broker")})

	changes := Plan(in.is, in.live, in.platform)
	if got := changes.Status().Logger.AgentImage; got != "agent:v2" {
		t.Errorf("after all writes the agent's image is %s, want agent:v2", got)
	}
	if got := changes.Status(v1beta1.PredictorComponent).Logger.AgentImage; got != "agent:v1" {
		t.Errorf("without the Service the agent's image is %s, want agent:v1", got)
	}
	if unwritten := changes.Status(v1beta1.PredictorComponent); !unwritten.GetCondition(v1beta1.SinkResolved).IsFalse() {
		t.Error("without the Service the status doesn't say that the sink has no address")
	}
}

// A ConfigMap that fails is told by the condition of those who read it.
func TestPlanNamesTheConditionOfEachConfigMap(t *testing.T) {
	in := newInputs(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
	in.platform.Trust.PEM = "pem"
	got := make(map[string]apis.ConditionType)
	for _, change := range Plan(in.is, in.live, in.platform).ConfigMaps {
		got[change.Desired.Name] = change.Condition
		if owner := metav1.GetControllerOf(change.Desired); (owner == nil) != (change.Desired.Name == knativeservice.NamespaceTrustName) {
			t.Errorf("%s is owned by %v", change.Desired.Name, owner)
		}
	}
	want := map[string]apis.ConditionType{
		"my-model-predictor-default-metadata": v1beta1.MetadataReady,
		"my-model-predictor-default-trust":    v1beta1.TrustReady,
		knativeservice.NamespaceTrustName:     v1beta1.TrustReady,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want, +got): %s", diff)
	}
}
