/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	"knative.dev/pkg/tracker"
	servingconfig "knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const namespace = "team-a"

// inputs are the arguments of Plan.
type inputs struct {
	t        *testing.T
	b        *v1alpha1.LoggerBinding
	live     Live
	platform Platform
}

// newInputs returns those of a binding that was just created and selects every
// Knative Service of an included namespace, of which there are the named ones.
func newInputs(t *testing.T, rollout v1alpha1.Rollout, services ...string) *inputs {
	t.Helper()
	in := &inputs{t: t, b: newBinding("payloads", 1000)}
	in.b.Spec.Rollout = rollout
	in.platform = Platform{Platform: binding.Platform{Config: config.FromContextOrDefaults(t.Context()), Serving: servingconfig.FromContextOrDefaults(t.Context())}}
	in.platform.Agent.Image = "agent:v1"
	in.live = Live{NamespaceIncluded: true, ConfigMaps: make(map[string]*corev1.ConfigMap), Bindings: []*v1alpha1.LoggerBinding{in.b}}
	in.sinkAt("default")
	for _, name := range services {
		in.create(name)
	}
	return in
}

func newBinding(name string, created int64) *v1alpha1.LoggerBinding {
	b := &v1alpha1.LoggerBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: types.UID(name), Generation: 1, CreationTimestamp: metav1.NewTime(time.Unix(created, 0))},
		Spec: v1alpha1.LoggerBindingSpec{
			Subject: tracker.Reference{APIVersion: "serving.knative.dev/v1", Kind: "Service", Selector: &metav1.LabelSelector{}},
			Logger:  &v1beta1.LoggerSpec{MetadataAnnotations: []string{"team"}},
		},
	}
	b.SetDefaults(context.Background())
	return b
}

func (in *inputs) sinkAt(path string) {
	in.resolve(sinks.Resolution{Address: &duckv1.Addressable{URL: &apis.URL{Scheme: "http", Host: "broker-ingress.knative-eventing.svc.cluster.local", Path: "/" + path}}})
}

// resolve is the result of resolving the sink.
func (in *inputs) resolve(resolved sinks.Resolution) {
	in.live.Sinks = sinks.Resolutions{v1beta1.DefaultSinkName: {Sink: resolved}}
}

// create has a user create a Knative Service before there is admission for it.
func (in *inputs) create(name string) *servingv1.Service {
	service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: namespace, UID: types.UID(name), Generation: 1, Annotations: map[string]string{"team": "ai"},
	}}
	service.Spec.Template.Spec.Containers = []corev1.Container{{Image: "model:v1"}}
	service.SetDefaults(servingconfig.ToContext(apis.WithinCreate(in.t.Context()), in.platform.Serving))
	in.live.Services = append(in.live.Services, service)
	in.ready(name)
	return service
}

func (in *inputs) service(name string) *servingv1.Service {
	in.t.Helper()
	i := slices.IndexFunc(in.live.Services, func(s *servingv1.Service) bool { return s.Name == name })
	if i < 0 {
		in.t.Fatalf("there is no Knative Service %q", name)
	}
	return in.live.Services[i]
}

// ready has Knative Serving serve the latest Revision alone.
func (in *inputs) ready(names ...string) {
	in.t.Helper()
	for _, name := range names {
		service := in.service(name)
		revision := fmt.Sprintf("%s-%05d", name, service.Generation)
		service.Status.ObservedGeneration = service.Generation
		service.Status.LatestCreatedRevisionName, service.Status.LatestReadyRevisionName = revision, revision
		service.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionTrue}}
		service.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: revision, Percent: ptr.Int64(100)}}
	}
}

// fails has the latest Revision of a Knative Service fail.
func (in *inputs) fails(name string) {
	service := in.service(name)
	service.Status.ObservedGeneration = service.Generation
	service.Status.Conditions = duckv1.Conditions{
		{Type: servingv1.ServiceConditionConfigurationsReady, Status: corev1.ConditionFalse},
		{Type: servingv1.ServiceConditionReady, Status: corev1.ConditionFalse},
	}
}

// owner has the owner of a Knative Service change its template, which passes
// admission.
func (in *inputs) owner(name string, change func(*servingv1.RevisionTemplateSpec)) {
	in.t.Helper()
	service := in.service(name)
	updated := service.DeepCopy()
	change(&updated.Spec.Template)
	in.template(service, binding.Admit(service, updated, in.live.Bindings, in.platform.Platform))
}

func image(image string) func(*servingv1.RevisionTemplateSpec) {
	return func(template *servingv1.RevisionTemplateSpec) { template.Spec.Containers[0].Image = image }
}

func (in *inputs) template(service *servingv1.Service, template *servingv1.RevisionTemplateSpec) {
	if !equality.Semantic.DeepEqual(service.Spec.Template, *template) {
		service.Generation++
		service.Spec.Template = *template.DeepCopy()
	}
}

// apply has the cluster be as a plan says.
func (in *inputs) apply(changes Changes) {
	in.t.Helper()
	for _, change := range changes.ConfigMaps {
		in.store(change)
	}
	for _, change := range changes.Services {
		in.template(in.service(change.Service.Name), change.Template)
	}
	for _, service := range in.live.Services {
		if binding.RecordOf(&service.Spec.Template) != nil {
			in.live.NamespaceReadsTrust = true
		}
	}
}

func (in *inputs) store(change configmaps.Change) {
	in.t.Helper()
	stored, err := configmaps.Fingerprint(change.Desired)
	if err != nil {
		in.t.Fatal(err)
	}
	cached := stored.(*corev1.ConfigMap)
	name := change.Desired.Name
	before := in.live.ConfigMaps[name]
	if name == knativeservice.NamespaceTrustName {
		before = in.live.NamespaceTrust
	}
	for _, key := range change.Kept {
		if before != nil {
			if digest, found := before.Data[key]; found {
				cached.Data[key] = digest
			}
		}
	}
	if len(cached.Data) == 0 {
		cached = nil
	}
	switch {
	case name == knativeservice.NamespaceTrustName:
		in.live.NamespaceTrust = cached
	case cached == nil:
		delete(in.live.ConfigMaps, name)
	default:
		in.live.ConfigMaps[name] = cached
	}
}

// reconcile plans and applies. It fails if Plan changes its arguments.
func (in *inputs) reconcile() planned {
	in.t.Helper()
	before, services := in.b.DeepCopy(), make(map[string]*servingv1.Service)
	for _, service := range in.live.Services {
		services[service.Name] = service.DeepCopy()
	}
	changes := Plan(in.b, in.live, in.platform)
	if diff := cmp.Diff(before, in.b); diff != "" {
		in.t.Errorf("Plan changed the binding: %s", diff)
	}
	for _, service := range in.live.Services {
		if diff := cmp.Diff(services[service.Name], service); diff != "" {
			in.t.Errorf("Plan changed a Knative Service: %s", diff)
		}
	}
	result := in.planned(changes)
	in.apply(changes)
	in.b.Status = changes.Status
	in.b.Status.MarkSubjects(changes.Subjects, in.live.NamespaceIncluded)
	in.b.Status.ObservedGeneration = in.b.Generation
	return result
}

// reconcileDeletion does so for the deleted binding.
func (in *inputs) reconcileDeletion() planned {
	in.t.Helper()
	in.live.Bindings = slices.DeleteFunc(in.live.Bindings, func(b *v1alpha1.LoggerBinding) bool { return b.Name == in.b.Name })
	changes := PlanDeletion(namespace, in.b.Name, in.live, in.platform)
	result := in.planned(changes)
	in.apply(changes)
	return result
}

// planned is what a test compares of a plan.
type planned struct {
	ConfigMaps []string
	Services   []string
	// Subjects have a state, and a reason if there is one.
	Subjects []string
	// Conditions are those that aren't true.
	Conditions map[apis.ConditionType]string
	RetryAfter time.Duration
}

func (in *inputs) planned(changes Changes) planned {
	result := planned{RetryAfter: changes.RetryAfter}
	for _, change := range changes.ConfigMaps {
		verb := "write "
		if len(change.Desired.Data) == 0 && len(change.Kept) == 0 {
			verb = "delete "
		}
		result.ConfigMaps = append(result.ConfigMaps, verb+change.Desired.Name)
	}
	for _, change := range changes.Services {
		verb := "unbind "
		if change.Bound {
			verb = "bind "
		}
		result.Services = append(result.Services, verb+change.Service.Name)
	}
	for _, subject := range changes.Subjects {
		if subject.Reason != "" && subject.Message == "" {
			in.t.Errorf("%s has the reason %s and no message", subject.Name, subject.Reason)
		}
		result.Subjects = append(result.Subjects, strings.TrimSuffix(fmt.Sprintf("%s %s %s", subject.Name, subject.State, subject.Reason), " "))
	}
	status := changes.Status.DeepCopy()
	status.MarkSubjects(changes.Subjects, in.live.NamespaceIncluded)
	for _, condition := range status.Conditions {
		if !condition.IsTrue() && condition.Type != apis.ConditionReady && changes.Status.Logger != nil {
			if result.Conditions == nil {
				result.Conditions = make(map[apis.ConditionType]string)
			}
			result.Conditions[condition.Type] = condition.Reason
		}
	}
	return result
}

func assertPlanned(t *testing.T, got, want planned) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
}

// waiting are the conditions of a binding whose subjects follow later.
func waiting() map[apis.ConditionType]string {
	return map[apis.ConditionType]string{v1alpha1.SubjectsBound: "Waiting"}
}

func notBound() map[apis.ConditionType]string {
	return map[apis.ConditionType]string{v1alpha1.SubjectsBound: "NotBound"}
}

func TestPlan(t *testing.T) {
	for name, test := range map[string]struct {
		rollout  v1alpha1.Rollout
		services []string
		// settled says that the binding is reconciled and everything ready before
		// the change.
		settled bool
		change  func(in *inputs)
		want    planned
	}{
		"OnNextChange waits": {
			rollout: v1alpha1.RolloutOnNextChange, services: []string{"b", "a"},
			want: planned{
				ConfigMaps: []string{"write a-logger-trust", "write b-logger-trust"},
				Subjects:   []string{"a Waiting NextChange", "b Waiting NextChange"}, Conditions: waiting(),
			},
		},
		"a new one of an owner is bound by admission": {
			rollout: v1alpha1.RolloutOnNextChange, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.owner("a", image("model:v2")) },
			want:   planned{Subjects: []string{"a Bound"}},
		},
		"Now binds": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			want: planned{ConfigMaps: []string{"write a-logger-trust"}, Services: []string{"bind a"}, Subjects: []string{"a Bound"}},
		},
		"Now binds three at a time": {
			rollout: v1alpha1.RolloutNow, services: []string{"a", "b", "c", "d", "e"},
			want: planned{
				ConfigMaps: []string{"write a-logger-trust", "write b-logger-trust", "write c-logger-trust", "write d-logger-trust", "write e-logger-trust"},
				Services:   []string{"bind a", "bind b", "bind c"},
				Subjects:   []string{"a Bound", "b Bound", "c Bound", "d Waiting RollingOut", "e Waiting RollingOut"}, Conditions: waiting(),
			},
		},
		"Now binds those first that are ready": {
			rollout: v1alpha1.RolloutNow, services: []string{"a", "b", "c", "d"},
			change: func(in *inputs) { in.service("a").Status.Conditions[0].Status = corev1.ConditionFalse },
			want: planned{
				ConfigMaps: []string{"write a-logger-trust", "write b-logger-trust", "write c-logger-trust", "write d-logger-trust"},
				Services:   []string{"bind b", "bind c", "bind d"},
				Subjects:   []string{"a Waiting RollingOut", "b Bound", "c Bound", "d Bound"}, Conditions: waiting(),
			},
		},
		"unchanged": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			want: planned{Subjects: []string{"a Bound"}},
		},
		"a failed Revision with an outdated agent": {
			rollout: v1alpha1.RolloutOnNextChange, services: []string{"a"},
			change: func(in *inputs) {
				in.reconcile()
				in.owner("a", image("model:v2"))
				in.fails("a")
				in.platform.Agent.Image = "agent:v2"
			},
			want: planned{Services: []string{"bind a"}, Subjects: []string{"a Bound"}},
		},
		"a failed Revision with the present agent": {
			rollout: v1alpha1.RolloutOnNextChange, services: []string{"a"},
			change: func(in *inputs) {
				in.reconcile()
				in.owner("a", image("model:v2"))
				in.fails("a")
			},
			want: planned{Subjects: []string{"a Bound"}},
		},
		"a token that is no longer permitted": {
			rollout: v1alpha1.RolloutOnNextChange, services: []string{"a", "b"},
			change: func(in *inputs) {
				audience := "elsewhere"
				in.platform.Logger.AllowedAudiences = []string{audience}
				in.live.Sinks[v1beta1.DefaultSinkName].Sink.Address.Audience = &audience
				in.reconcile()
				in.owner("a", image("model:v2"))
				in.platform.Logger.AllowedAudiences = nil
			},
			want: planned{
				ConfigMaps: []string{"write a-logger-trust", "write b-logger-trust"},
				Services:   []string{"bind a"}, Subjects: []string{"a Bound", "b Waiting NextChange"},
				Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: waiting()[v1alpha1.SubjectsBound], v1alpha1.SinkResolved: "AudienceRefused"},
			},
		},
		"another logger, Now": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.b.Spec.Logger.Mode = v1beta1.LogRequest },
			want:   planned{Services: []string{"bind a"}, Subjects: []string{"a Bound"}},
		},
		"another logger, OnNextChange": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) {
				in.b.Spec.Rollout = v1alpha1.RolloutOnNextChange
				in.b.Spec.Logger.Mode = v1beta1.LogRequest
			},
			want: planned{Subjects: []string{"a Waiting NextChange"}, Conditions: waiting()},
		},
		"another value of a listed annotation": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.service("a").Annotations["team"] = "other" },
			want:   planned{Services: []string{"bind a"}, Subjects: []string{"a Bound"}},
		},
		"another image and default of the agent": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) {
				in.platform.Agent.Image = "agent:v2"
				in.platform.Agent.MaxPayloadBytes++
			},
			want: planned{Subjects: []string{"a Bound"}, Conditions: map[apis.ConditionType]string{v1alpha1.AgentCurrent: "Behind"}},
		},
		"another default sink": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.platform.Logger.DefaultSink.Ref.Name = "other" },
			want:   planned{Subjects: []string{"a Bound"}, Conditions: map[apis.ConditionType]string{v1alpha1.AgentCurrent: "Behind"}},
		},
		"another address of the sink": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.sinkAt("moved") },
			want:   planned{ConfigMaps: []string{"write a-logger-trust"}, Subjects: []string{"a Bound"}},
		},
		"no address of the sink": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.resolve(sinks.Resolution{Err: errors.New("no such Broker")}) },
			want: planned{
				Services: []string{"bind a"}, Subjects: []string{"a Bound"},
				Conditions: map[apis.ConditionType]string{v1alpha1.SinkResolved: "NotResolved"}, RetryAfter: time.Minute,
			},
		},
		"the sink loses its address": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.resolve(sinks.Resolution{Err: errors.New("no such Broker")}) },
			want: planned{
				Subjects: []string{"a Bound"}, RetryAfter: time.Minute,
				Conditions: map[apis.ConditionType]string{v1alpha1.SinkResolved: "NotResolved"},
			},
		},
		"a trust bundle": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.platform.Trust.PEM = "pem" },
			want:   planned{ConfigMaps: []string{"write sidenote-trust"}, Subjects: []string{"a Bound"}},
		},
		"a trust bundle and the first one that is bound": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.platform.Trust.PEM = "pem" },
			want: planned{
				ConfigMaps: []string{"write sidenote-trust", "write a-logger-trust"},
				Services:   []string{"bind a"}, Subjects: []string{"a Bound"},
			},
		},
		"live metadata": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.b.Spec.Logger.MetadataRefresh = v1beta1.RefreshLive },
			want: planned{
				ConfigMaps: []string{"write a-logger-metadata", "write a-logger-trust"},
				Services:   []string{"bind a"}, Subjects: []string{"a Bound"},
			},
		},
		"no metadata": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { delete(in.service("a").Annotations, "team") },
			want: planned{
				ConfigMaps: []string{"write a-logger-trust"}, Services: []string{"bind a"}, Subjects: []string{"a Bound"},
				Conditions: map[apis.ConditionType]string{v1alpha1.MetadataReady: "AnnotationMissing"},
			},
		},
		"a label that is missing": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) {
				in.b.Spec.Logger.Metadata = []v1beta1.MetadataSource{{Attribute: "tier", Label: "tier"}}
			},
			want: planned{
				ConfigMaps: []string{"write a-logger-trust"}, Services: []string{"bind a"}, Subjects: []string{"a Bound"},
				Conditions: map[apis.ConditionType]string{v1alpha1.MetadataReady: "LabelMissing"},
			},
		},
		"a match that is left out": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) {
				in.b.Spec.Logger.MetadataRefresh = v1beta1.RefreshLive
				in.b.Spec.Logger.MetadataAnnotations = append(in.b.Spec.Logger.MetadataAnnotations, "example.com/*")
				in.service("a").Annotations["example.com/team"] = "x"
			},
			want: planned{
				ConfigMaps: []string{"write a-logger-metadata", "write a-logger-trust"},
				Services:   []string{"bind a"}, Subjects: []string{"a Bound"},
				Conditions: map[apis.ConditionType]string{v1alpha1.MetadataReady: "MatchLeftOut"},
			},
		},
		"denied metadata": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) {
				in.platform.Logger.DeniedAnnotations = append(in.platform.Logger.DeniedAnnotations, "team")
			},
			want: planned{
				Services:   []string{"bind a"},
				Subjects:   []string{"a Bound"},
				Conditions: map[apis.ConditionType]string{v1alpha1.MetadataReady: "MetadataDenied"},
			},
		},
		"a namespace that isn't included": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.live.NamespaceIncluded = false },
			want: planned{
				Subjects:   []string{"a NotBound NamespaceNotIncluded"},
				Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "NamespaceNotIncluded"},
			},
		},
		"a namespace that isn't included any more": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.live.NamespaceIncluded = false },
			want: planned{
				Subjects:   []string{"a Bound"},
				Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "NamespaceNotIncluded"},
			},
		},
		"no Knative Service": {
			rollout: v1alpha1.RolloutNow,
			want:    planned{Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "SubjectMissing"}},
		},
		"no Knative Service of the name": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.b.Spec.Subject.Name, in.b.Spec.Subject.Selector = "b", nil },
			want: planned{
				Subjects:   []string{"b NotBound Missing"},
				Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "SubjectMissing"},
			},
		},
		"one that is being deleted": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.service("a").DeletionTimestamp = &metav1.Time{} },
			want:   planned{Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "SubjectMissing"}},
		},
		"an older binding": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.live.Bindings = append(in.live.Bindings, newBinding("older", 1)) },
			want:   planned{Subjects: []string{"a NotBound OtherBinding"}, Conditions: notBound()},
		},
		"a younger binding": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) { in.live.Bindings = append(in.live.Bindings, newBinding("younger", 2000)) },
			want:   planned{Subjects: []string{"a Bound"}},
		},
		"one that KServe logs": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) {
				in.service("a").Spec.Template.Annotations = map[string]string{"internal.serving.kserve.io/logger": "true"}
			},
			want: planned{Subjects: []string{"a NotBound Conflict"}, Conditions: notBound()},
		},
		"one on a port of the agent": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) {
				in.service("a").Spec.Template.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: v1beta1.AgentPort}}
			},
			want: planned{Subjects: []string{"a NotBound ReservedPort"}, Conditions: notBound()},
		},
		"one that is the sink": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) {
				in.resolve(sinks.Resolution{Address: &duckv1.Addressable{URL: apis.HTTP("a.team-a.svc.cluster.local")}})
			},
			want: planned{Subjects: []string{"a NotBound SinkIsSelf"}, Conditions: notBound()},
		},
		"a Revision with a name": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"},
			change: func(in *inputs) { in.service("a").Spec.Template.Name = "a-v1" },
			want: planned{
				ConfigMaps: []string{"write a-logger-trust"},
				Subjects:   []string{"a Waiting WaitingForRevisionName"}, Conditions: waiting(),
			},
		},
		"not selected any more, OnNextChange": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) {
				in.b.Spec.Rollout = v1alpha1.RolloutOnNextChange
				in.b.Spec.Subject.Selector.MatchLabels = map[string]string{"app": "other"}
			},
			want: planned{
				Subjects:   []string{"a Unbinding NotSelected"},
				Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "SubjectMissing"},
			},
		},
		"not selected any more, Now": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) {
				in.b.Spec.Subject.Selector.MatchLabels = map[string]string{"app": "other"}
			},
			want: planned{
				Services:   []string{"unbind a"},
				Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "SubjectMissing"}, RetryAfter: 10 * time.Second,
			},
		},
		"selected by an older binding now": {
			rollout: v1alpha1.RolloutNow, services: []string{"a"}, settled: true,
			change: func(in *inputs) {
				in.live.Bindings = append(in.live.Bindings, newBinding("older", 1))
				in.b.Spec.Subject.Selector.MatchLabels = map[string]string{"app": "other"}
			},
			want: planned{Conditions: map[apis.ConditionType]string{v1alpha1.SubjectsBound: "SubjectMissing"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInputs(t, test.rollout, test.services...)
			if test.settled {
				in.reconcile()
				in.ready(test.services...)
				in.reconcile()
			}
			if test.change != nil {
				test.change(in)
			}
			assertPlanned(t, in.reconcile(), test.want)
		})
	}
}

// A second reconciliation writes nothing.
func TestPlanSettles(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a", "b")
	in.b.Spec.Logger.MetadataRefresh = v1beta1.RefreshLive
	in.platform.Trust.PEM = "pem"
	in.reconcile()
	in.ready("a", "b")
	generations := in.service("a").Generation + in.service("b").Generation
	for range 10 {
		assertPlanned(t, in.reconcile(), planned{Subjects: []string{"a Bound", "b Bound"}})
	}
	if got := in.service("a").Generation + in.service("b").Generation; got != generations {
		t.Errorf("the generations sum up to %d, want %d", got, generations)
	}
}

func TestARolloutWaitsForWhatItChanged(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a", "b", "c", "d", "e")
	var steps [][]string
	step := func(ready ...string) {
		t.Helper()
		in.ready(ready...)
		steps = append(steps, in.reconcile().Services)
	}
	step()
	step()
	step("b")
	step("a", "d")
	if diff := cmp.Diff([][]string{{"bind a", "bind b", "bind c"}, nil, {"bind d"}, {"bind e"}}, steps); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
	if message := in.b.Status.GetCondition(v1alpha1.SubjectsBound); !message.IsTrue() {
		t.Errorf("it is %+v", message)
	}
}

// A template that breaks its Knative Service must not break all of them.
func TestARolloutThatBreaksStops(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a", "b", "c", "d")
	for range 5 {
		in.reconcile()
		for _, service := range in.live.Services {
			if service.Generation > 1 {
				service.Status.ObservedGeneration = service.Generation
				service.Status.Conditions[0].Status = corev1.ConditionFalse
			}
		}
	}
	if in.service("d").Generation != 1 {
		t.Error("the fourth was changed after three had failed")
	}
	if message := in.b.Status.Subjects[3].Message; !strings.Contains(message, "a, b, c") {
		t.Errorf("it says %q", message)
	}
}

func TestADeletedBindingUnbindsInStages(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a", "b", "c", "d")
	before := make(map[string]servingv1.RevisionTemplateSpec)
	for _, service := range in.live.Services {
		before[service.Name] = *service.Spec.Template.DeepCopy()
	}
	in.reconcile()
	in.ready("a", "b", "c")
	in.reconcile()
	in.ready("d")

	again := 10 * time.Second
	assertPlanned(t, in.reconcileDeletion(), planned{Services: []string{"unbind a", "unbind b", "unbind c"}, RetryAfter: again})
	assertPlanned(t, in.reconcileDeletion(), planned{RetryAfter: again})
	in.ready("c")
	assertPlanned(t, in.reconcileDeletion(), planned{
		ConfigMaps: []string{"delete c-logger-trust"}, Services: []string{"unbind d"}, RetryAfter: again,
	})
	in.ready("a", "b", "d")
	in.live.NamespaceReadsTrust = false
	assertPlanned(t, in.reconcileDeletion(), planned{ConfigMaps: []string{"delete a-logger-trust", "delete b-logger-trust", "delete d-logger-trust"}})
	assertPlanned(t, in.reconcileDeletion(), planned{})
	for _, service := range in.live.Services {
		if diff := cmp.Diff(before[service.Name], service.Spec.Template); diff != "" {
			t.Errorf("%s isn't restored (-before, +after): %s", service.Name, diff)
		}
	}
}

// The binding that selects a Knative Service takes it over from a deleted one.
func TestADeletedBindingLeavesWhatAnotherSelects(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a")
	in.reconcile()
	in.ready("a")
	in.live.Bindings = append(in.live.Bindings, newBinding("younger", 2000))
	assertPlanned(t, in.reconcileDeletion(), planned{})

	in.b = in.live.Bindings[0]
	in.b.Spec.Rollout = v1alpha1.RolloutNow
	assertPlanned(t, in.reconcile(), planned{Subjects: []string{"a Bound"}})
}

// Pods that serve keep the files that they mount.
func TestConfigMapsStayWhilePodsMayReadThem(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a")
	in.b.Spec.Logger.MetadataRefresh = v1beta1.RefreshLive
	in.reconcile()
	in.ready("a")
	names := func() (names []string) {
		for name := range in.live.ConfigMaps {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	keys := func() int { return len(in.live.ConfigMaps["a-logger-trust"].Data) }

	// Another sink: the pods of the Revision before read the address of the former.
	in.b.Spec.Logger.URL = apis.HTTP("other.example.com")
	in.sinkAt("other")
	in.b.Generation++
	in.reconcile()
	if keys() != 2 {
		t.Errorf("while both Revisions may serve there are %d addresses", keys())
	}
	in.ready("a")
	in.reconcile()
	if keys() != 1 {
		t.Errorf("once the latest serves alone there are %d addresses", keys())
	}

	// The metadata isn't live any more, and the template follows later.
	in.b.Spec.Rollout, in.b.Spec.Logger.MetadataRefresh = v1alpha1.RolloutOnNextChange, v1beta1.RefreshByRevision
	in.b.Generation++
	in.reconcile()
	if got := names(); len(got) != 2 {
		t.Errorf("the template mounts its metadata, and there are %q", got)
	}
	in.owner("a", image("model:v2"))
	in.reconcile()
	if got := names(); len(got) != 2 {
		t.Errorf("pods of the Revision before mount their metadata, and there are %q", got)
	}
	in.ready("a")
	in.reconcile()
	if got := names(); !slices.Equal(got, []string{"a-logger-trust"}) {
		t.Errorf("no pod mounts metadata, and there are %q", got)
	}

	// It can't have the agent any more: admission removes it.
	in.owner("a", func(template *servingv1.RevisionTemplateSpec) {
		template.Annotations["internal.serving.kserve.io/logger"] = "true"
	})
	in.reconcile()
	if got := names(); len(got) != 1 {
		t.Errorf("pods with an agent may serve, and there are %q", got)
	}
	in.ready("a")
	assertPlanned(t, in.reconcile(), planned{
		ConfigMaps: []string{"delete a-logger-trust"}, Subjects: []string{"a NotBound Conflict"}, Conditions: notBound(),
	})
}

func TestConfigMapsAreOfTheirKnativeService(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a")
	changes := Plan(in.b, in.live, in.platform)
	trust := changes.ConfigMaps[0].Desired
	owner := metav1.GetControllerOf(trust)
	if owner == nil || owner.Kind != "Service" || owner.Name != "a" || owner.BlockOwnerDeletion != nil {
		t.Errorf("its owner is %+v", owner)
	}
	if trust.Labels[bindings.ServiceLabelKey] != "a" {
		t.Errorf("its labels are %v", trust.Labels)
	}
}

func TestTheMessageOfASubjectIsBounded(t *testing.T) {
	s := newSubject(newInputs(t, v1alpha1.RolloutNow, "a").service("a"), nil)
	s.notBound(v1alpha1.ReasonRefused, strings.Repeat("é", 10_000))
	if len(s.status.Message) > 1100 || !strings.HasPrefix(s.status.Message, "éé") {
		t.Errorf("it has %d bytes", len(s.status.Message))
	}
}

// The agent of another binding isn't this one's.
func TestOnlyTheOwnAgentsCount(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a")
	in.reconcile()
	in.ready("a")
	in.live.Bindings = append(in.live.Bindings, newBinding("younger", 2000))
	in.b = in.live.Bindings[1]
	in.reconcile()
	if got := in.b.Status; got.Bound != 0 || got.NotBound != 1 || got.Subjects[0].AgentImage != "" {
		t.Errorf("the status of the younger one: %+v", got)
	}
}

func TestAListedSubjectSaysWhatRuns(t *testing.T) {
	in := newInputs(t, v1alpha1.RolloutNow, "a")
	in.reconcile()
	if got := in.b.Status.Subjects[0]; got.Revision != "" || got.AgentImage != "agent:v1" {
		t.Errorf("before it is ready: %+v", got)
	}
	in.ready("a")
	in.reconcile()
	if got := in.b.Status.Subjects[0]; got.Revision != "a-00002" {
		t.Errorf("when it is ready: %+v", got)
	}
	in.platform.Agent.Image = "agent:v2"
	in.owner("a", image("model:v2"))
	in.reconcile()
	if got := in.b.Status.Subjects[0]; got.Revision != "a-00002" || got.AgentImage != "agent:v2" {
		t.Errorf("while the next one starts: %+v", got)
	}
	if got := in.b.Status.Logger; got.SinkURI.String() != "http://broker-ingress.knative-eventing.svc.cluster.local/default" || got.Sink.URL.String() != got.SinkURI.String() {
		t.Errorf("its sink is %+v", got)
	}
}
