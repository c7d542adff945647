/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/resource"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	pkgfuzzer "knative.dev/pkg/apis/testing/fuzzer"
	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/telemetry"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

func TestWhichSinkHoldsForTheTemplate(t *testing.T) {
	// What there is now: who names it, which one, and whether it has an address.
	desired := []string{
		"default A up", "default A down", "default B up", "default B down",
		"named A up", "named A down", "named B up", "named B down",
	}
	const (
		gone = "gone" // no sink, as there was none
		none = "none" // what is desired now, which has no address yet
		kept = "kept" // what was in use, and so the template as it is
		last = "last" // what is desired now, with the address it had last
		new  = "new"  // what is desired now, with the address it has
	)
	// What was in use, whether the owner changed anything since, and what then
	// holds for each of those desired. A template of an older controller has the
	// address in its arguments alone.
	table := map[string][]string{
		"no template, -":           {new, none, new, none, new, none, new, none},
		"older no sink, same":      {new, gone, new, gone, new, gone, new, gone},
		"older no sink, changed":   {new, none, new, none, new, none, new, none},
		"older default A, same":    {new, kept, kept, kept, new, kept, new, none},
		"older default A, changed": {new, last, new, none, new, last, new, none},
		"older named A, same":      {new, kept, new, none, new, kept, new, none},
		"older named A, changed":   {new, last, new, none, new, last, new, none},
		"live default A, same":     {kept, kept, kept, kept, kept, kept, new, none},
		"live default A, changed":  {new, last, new, none, new, last, new, none},
		"live named A, same":       {kept, kept, new, none, kept, kept, new, none},
		"live named A, changed":    {new, last, new, none, new, last, new, none},
	}
	for row, cells := range table {
		var before *Applied
		if row != "no template, -" {
			before = &Applied{}
		}
		if strings.Contains(row, " A, ") {
			before.Sinks = one(&AppliedSink{Destination: broker("A"), ByDefault: strings.Contains(row, "default"), Address: *addressOf("A")}, nil)
			if strings.HasPrefix(row, "live") {
				before.Sinks[0].Sink.Key, before.Sinks[0].Sink.TokenAudience = keyOf(broker("A")), "before"
			} else {
				before.Sinks[0].Sink.Address.Audience = ptr.String("before")
			}
		}
		for i, cell := range cells {
			t.Run(row+" -> "+desired[i], func(t *testing.T) {
				var who, name, state string
				_, _ = fmt.Sscan(desired[i], &who, &name, &state)
				sink := DesiredSink{Destination: broker(name), ByDefault: who == "default"}
				if state == "up" {
					sink.Address = addressOf(name)
				}
				fresh := &AppliedSink{
					Destination: sink.Destination, ByDefault: sink.ByDefault,
					Key: keyOf(sink.Destination), TokenAudience: v1beta1.OwnAudience(sink.Destination),
				}
				var want *AppliedSink
				switch cell {
				case none:
					want = fresh
				case new:
					want = fresh
					want.Address = *addressOf(name)
				case last:
					want = fresh
					want.Address, want.TokenAudience = *addressOf(name), "before"
				case kept:
					want = before.Pair(v1beta1.DefaultSinkName).Sink
				}
				got := Decide(before, strings.HasSuffix(row, "changed"), Desired{Sinks: named(sink, nil)}).Pair(v1beta1.DefaultSinkName).Sink
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-%s, +got): %s", cell, diff)
				}
			})
		}
	}
}

func TestWhichAgentAndMetadataHoldForTheTemplate(t *testing.T) {
	oldAgent, newAgent := config.Agent{Image: "old"}, config.Agent{Image: "new"}
	oldMetadata, newMetadata := []metadata.Attribute{{Name: "team", Value: "a"}}, []metadata.Attribute{{Name: "team", Value: "b"}}
	for what, test := range map[string]struct {
		before       *Applied
		ownerChanged bool
		agent        config.Agent
		metadata     []metadata.Attribute
	}{
		"a first template gets what there is":             {nil, false, newAgent, newMetadata},
		"without the owner agent and metadata stay":       {&Applied{Agent: oldAgent, Metadata: oldMetadata}, false, oldAgent, oldMetadata},
		"the owner's change brings everything up to date": {&Applied{Agent: oldAgent, Metadata: oldMetadata}, true, newAgent, newMetadata},
		"a sink that goes brings everything up to date":   {&Applied{Agent: oldAgent, Metadata: oldMetadata, Sinks: one(&AppliedSink{Destination: broker("a")}, nil)}, false, newAgent, newMetadata},
		"so does a dead letter sink":                      {&Applied{Agent: oldAgent, Metadata: oldMetadata, Sinks: one(nil, &AppliedSink{Destination: broker("a")})}, false, newAgent, newMetadata},
	} {
		t.Run(what, func(t *testing.T) {
			got := Decide(test.before, test.ownerChanged, Desired{Agent: newAgent, Metadata: newMetadata})
			got.Sinks = nil
			if diff := cmp.Diff(Applied{Agent: test.agent, Metadata: test.metadata}, got); diff != "" {
				t.Errorf("(-want, +got): %s", diff)
			}
		})
	}
}

// TestARecordFromBeforeTheBoundRollsNone: a template whose record has no bound of
// the exchanges holds under a controller that knows one, and has no argument that
// its agent doesn't know.
func TestARecordFromBeforeTheBoundRollsNone(t *testing.T) {
	is := Seed()
	before := Applied{Agent: config.Agent{Image: "agent:1", GoMemoryLimit: "96MiB", BufferBytes: 1 << 20, MaxPayloadBytes: 1000}}
	live := MakeService(predictor(is), "hash", before)
	if record := live.Annotations[serving.LastAppliedAnnotationKey]; strings.Contains(record, "xchanges") {
		t.Errorf("the record is another one: %s", record)
	}
	lastApplied, _ := LastApplied(live)
	desired := Desired{Agent: before.Agent}
	desired.Agent.MaxExchanges = 512
	if decided := Decide(lastApplied, false, desired); !Holds(live, true, decided) {
		t.Error("the template is made anew")
	}
	containers := live.Spec.Template.Spec.Containers
	if line := strings.Join(containers[len(containers)-1].Args, " "); strings.Contains(line, "max-exchanges") {
		t.Errorf("the agent gets %s", line)
	}
	anew := MakeService(predictor(is), "hash", Decide(lastApplied, true, desired)).Spec.Template.Spec.Containers
	if !slices.Contains(anew[len(anew)-1].Args, "--max-exchanges=512") {
		t.Errorf("a template made anew has %v", anew[len(anew)-1].Args)
	}
}

// TestAnotherCollectorRollsNone: not even where the record is from before there
// was any.
func TestAnotherCollectorRollsNone(t *testing.T) {
	former, now := config.Observability{}, config.Observability{Traces: telemetry.Traces{Protocol: telemetry.Stdout}}
	before := Applied{Observability: former}
	if got := Decide(&before, false, Desired{Observability: now}); got.Observability != former {
		t.Errorf("without the owner it is %+v", got.Observability)
	}
	if got := Decide(&before, true, Desired{Observability: now}); got.Observability != now {
		t.Errorf("with the owner it is %+v", got.Observability)
	}
	if record := string(mustMarshal(before)); strings.Contains(record, "observability") {
		t.Errorf("nothing is recorded as %s", record)
	}
}

func TestBehindNamesTheDifferences(t *testing.T) {
	now := func(change func(*Desired)) Desired {
		desired := Desired{Agent: agentSettings(), Sinks: named(DesiredSink{Destination: broker("default"), ByDefault: true, Address: addressOf("default")}, nil)}
		change(&desired)
		return desired
	}
	for what, test := range map[string]struct {
		desired Desired
		want    []string
	}{
		"nothing changed":               {now(func(*Desired) {}), nil},
		"a new image":                   {now(func(w *Desired) { w.Agent.Image = "new" }), []string{"agent image"}},
		"new settings":                  {now(func(w *Desired) { w.Agent.BufferBytes++ }), []string{"agent configuration"}},
		"a quantity that is written so": {now(func(w *Desired) { w.Agent.Resources.Limits[corev1.ResourceCPU] = resource.MustParse("1000m") }), nil},
		"another collector": {now(func(w *Desired) {
			w.Observability.Metrics = telemetry.Metrics{Protocol: telemetry.GRPC, Endpoint: "http://collector:4317"}
		}), []string{"metrics and traces"}},
		"another default sink": {now(func(w *Desired) { w.Sinks[0].Sink.Destination = broker("other") }), []string{"default sink"}},
		"a sink that is down":  {now(func(w *Desired) { w.Sinks[0].Sink.Address = nil }), nil},
		"all of it": {
			now(func(w *Desired) {
				w.Agent.Image, w.Agent.GoMemoryLimit, w.Sinks[0].Sink.Destination = "new", "1GiB", broker("other")
			}),
			[]string{"agent image", "agent configuration", "default sink"},
		},
	} {
		if diff := cmp.Diff(test.want, Behind(Seed().Spec.Predictor.Containers, inForceFor(defaulted(Seed())), test.desired)); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
	}
}

// Without such a probe the feature changes no template.
func TestBehindNamesTheFeatureThatAProbeDependsOn(t *testing.T) {
	tcp, command := "{tcpSocket: {port: 8080}}", "{exec: {command: [\"true\"]}}"
	for what, test := range map[string]struct {
		option Option
		behind bool
	}{
		"no probe":             {WithModel(func(*corev1.Container) {}), false},
		"a readiness probe":    {WithModel(func(c *corev1.Container) { c.ReadinessProbe = probeFrom(t, tcp) }), false},
		"a startup probe":      {WithModel(func(c *corev1.Container) { c.StartupProbe = probeFrom(t, tcp) }), true},
		"a liveness probe":     {WithModel(func(c *corev1.Container) { c.LivenessProbe = probeFrom(t, tcp) }), true},
		"a command":            {WithModel(func(c *corev1.Container) { c.ReadinessProbe = probeFrom(t, command) }), true},
		"a probe of a sidecar": {WithSidecar(corev1.Container{Name: "s", Image: "s", ReadinessProbe: probeFrom(t, tcp)}), true},
	} {
		for _, on := range []bool{false, true} {
			is := Seed(test.option)
			applied := inForceFor(defaulted(is.DeepCopy()))
			desired := Desired{Agent: applied.Agent, MultiContainerProbing: on}
			applied.Sinks, applied.MultiContainerProbing = nil, !on
			if got := slices.Equal(Behind(is.Spec.Predictor.Containers, applied, desired), []string{"setting of multi-container-probing"}); got != test.behind {
				t.Errorf("%s, with the feature on: %v, is behind: %v", what, on, got)
			}
			applied.MultiContainerProbing = on
			if got := Behind(is.Spec.Predictor.Containers, applied, desired); got != nil {
				t.Errorf("%s, without a switch, is behind in %q", what, got)
			}
		}
	}
}

// templateOf is all that makes a Revision.
func templateOf(is *v1beta1.InferenceService) string {
	return string(mustMarshal(made(is.DeepCopy()).Spec.Template))
}

func hashOf(is *v1beta1.InferenceService) string {
	is = defaulted(is.DeepCopy())
	return OwnerHash(predictor(is), inForceFor(is).Metadata)
}

func TestOwnersHashCoversTheTemplate(t *testing.T) {
	for what, test := range map[string]struct {
		before Option
		change Option
		owners bool
	}{
		"an image":                       {change: WithImage("v2"), owners: true},
		"a port":                         {change: WithPort("", 8081), owners: true},
		"a port's name":                  {change: WithPort("h2c", 8080), owners: true},
		"a sidecar":                      {change: WithSidecar(corev1.Container{Name: "s", Image: "s"}), owners: true},
		"a timeout":                      {change: WithTimeout(60), owners: true},
		"replicas":                       {change: WithReplicas(1, 2), owners: true},
		"a mode":                         {change: WithLogger(WithMode(v1beta1.LogRequest)), owners: true},
		"the kinds of event":             {change: WithLogger(WithEvents("request")), owners: true},
		"a content mode":                 {change: WithLogger(WithContentMode(v1beta1.ContentModeBinary)), owners: true},
		"a payload's bound":              {change: WithLogger(WithMaxPayloadBytes(1)), owners: true},
		"no logger":                      {change: WithoutLogger(), owners: true},
		"a refresh":                      {change: WithLogger(WithRefresh(v1beta1.RefreshLive)), owners: true},
		"one more annotation listed":     {change: WithLogger(WithMetadataAnnotations("team", "owner", "version")), owners: true},
		"a listed annotation's value":    {change: WithAnnotation("team", "other"), owners: true},
		"a listed annotation gone":       {change: WithoutAnnotation("team"), owners: true},
		"an annotation of the template":  {change: WithAnnotation("autoscaling.knative.dev/target", "5"), owners: true},
		"an unlisted annotation":         {change: WithAnnotation("version", "v3"), owners: true},
		"a new unlisted annotation":      {change: WithAnnotation("note", "x"), owners: true},
		"an annotation of kubectl's":     {change: WithAnnotation("kubectl.kubernetes.io/last-applied-configuration", "{}")},
		"a label of Helm's":              {change: WithLabel("helm.sh/chart", "model-1.2.3")},
		"an annotation of the Service":   {change: WithAnnotation("serving.knative.dev/rollout-duration", "60s")},
		"a label of the Service":         {change: WithLabel("networking.knative.dev/visibility", "cluster-local")},
		"any other label":                {change: WithLabel("app", "x"), owners: true},
		"a generation":                   {change: WithGeneration(7)},
		"the status":                     {change: With(func(is *v1beta1.InferenceService) { is.Status.ObservedMetadata = "x" })},
		"a finalizer":                    {change: With(func(is *v1beta1.InferenceService) { is.Finalizers = []string{"x"} })},
		"a default that is written out":  {before: With(func(is *v1beta1.InferenceService) { is.Spec.Predictor.Logger.Mode = "" }), change: WithLogger(WithMode(v1beta1.LogAll))},
		"an unknown field of the schema": {change: WithPredictor(func(p *v1beta1.PredictorSpec) { p.Unknown = v1beta1.UnknownFields{"sklearn"} })},
	} {
		t.Run(what, func(t *testing.T) {
			before := Seed()
			if test.before != nil {
				test.before(before)
			}
			after := before.DeepCopy()
			test.change(after)
			if changed := templateOf(before) != templateOf(after); changed != test.owners {
				t.Fatalf("the template changes: %v, want %v", changed, test.owners)
			}
			if changed := hashOf(before) != hashOf(after); changed != test.owners {
				t.Errorf("the hash changes: %v, want %v", changed, test.owners)
			}
		})
	}
}

func TestLiveValuesAreNotInTheOwnersHash(t *testing.T) {
	live := WithLogger(WithRefresh(v1beta1.RefreshLive))
	if hashOf(Seed(live)) != hashOf(Seed(live, WithAnnotation("team", "other"))) {
		t.Error("a live value changes the hash, and so rolls a Revision")
	}
	if hashOf(Seed(live)) == hashOf(Seed(live, WithLogger(WithMetadataAnnotations("team")))) {
		t.Error("another list of live annotations doesn't change the hash")
	}
}

// A field that is added to the predictor later must not be forgotten. The
// traffic alone is no part of a template.
func TestEveryFieldOfThePredictorIsInTheOwnersHash(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1beta1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, pkgfuzzer.Funcs, FillFilters), rand.NewSource(1), serializer.NewCodecFactory(scheme)).
		NilChance(0).NumElements(1, 1)
	is := defaulted(Seed(WithPredictor(func(p *v1beta1.PredictorSpec) { filler.Fill(&p.Logger) })))
	before := OwnerHash(predictor(is), nil)
	for what, in := range map[string]func(*v1beta1.InferenceService) any{
		"predictor": func(is *v1beta1.InferenceService) any { return &is.Spec.Predictor },
		"logger":    func(is *v1beta1.InferenceService) any { return is.Spec.Predictor.Logger },
	} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(in(is)).Elem()) {
			if field.Anonymous || field.Tag.Get("json") == "-" {
				continue
			}
			changed := is.DeepCopy()
			// Now and then what is filled in is what was there.
			for range 10 {
				filler.Fill(reflect.ValueOf(in(changed)).Elem().FieldByIndex(field.Index).Addr().Interface())
				if OwnerHash(predictor(changed), nil) != before {
					break
				}
			}
			if isTraffic, unchanged := field.Name == "CanaryTrafficPercent", OwnerHash(predictor(changed), nil) == before; isTraffic != unchanged {
				t.Errorf("%s of the %s changes; the hash stays: %t", field.Name, what, unchanged)
			}
		}
	}
}

func TestTheRecordSurvives(t *testing.T) {
	is := defaulted(Seed())
	applied := inForceFor(is)
	applied.Sinks[0].Sink.Address.Audience = ptr.String("aud")
	got, hash := LastApplied(MakeService(predictor(is), "hash", applied))
	if hash != "hash" {
		t.Errorf("the hash is %q", hash)
	}
	// As JSON, for a quantity remembers how it was written.
	if diff := cmp.Diff(string(mustMarshal(applied)), string(mustMarshal(got))); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
	if again := MakeService(predictor(is), hash, *got); string(mustMarshal(again)) != string(mustMarshal(MakeService(predictor(is), "hash", applied))) {
		t.Error("what is made from the record differs from what was lastApplied")
	}

	for what, record := range map[string]*string{"absent": nil, "empty": ptr.String(""), "half of it": ptr.String(`{"agent": {`), "of another form": ptr.String(`[]`), "of other types": ptr.String(`{"agent": 1}`)} {
		service := &servingv1.Service{}
		service.Annotations = map[string]string{serving.OwnerHashAnnotationKey: "hash"}
		if record != nil {
			service.Annotations[serving.LastAppliedAnnotationKey] = *record
		}
		if got, hash := LastApplied(service); got != nil || hash != "hash" {
			t.Errorf("a record that is %s reads as %+v with hash %q, want none with the hash", what, got, hash)
		}
	}
}

// A destination that can't be recorded is no sink: it makes no template anew,
// and never reaches the encoder, which would panic.
func TestInvalidDestinationIsNotASink(t *testing.T) {
	is := defaulted(Seed())
	query := &apis.URL{RawQuery: "q=\U000F0000"}
	absolute := &apis.URL{Scheme: "http", Host: "h", Path: "/", RawQuery: query.RawQuery}
	// It resolves to a short address.
	long := &apis.URL{Path: strings.Repeat("a/../", 2000)}
	for what, destination := range map[string]duckv1.Destination{
		"a URL":                {URI: absolute},
		"a query beside a ref": {Ref: broker("default").Ref, URI: query},
		"a path beside a ref":  {Ref: broker("default").Ref, URI: long},
	} {
		for state, address := range map[string]*duckv1.Addressable{"unresolved": nil, "resolved": addressOf("default")} {
			desired := Desired{Agent: agentSettings()}
			desired.Sinks = named(DesiredSink{Destination: destination, Address: address}, &DesiredSink{Destination: destination, Address: address})
			applied := Decide(nil, true, desired)
			if len(applied.Sinks) > 0 {
				t.Errorf("%s, %s: the sinks are %+v", what, state, applied.Sinks)
			}
			service := MakeService(predictor(is), "hash", applied)
			MakeTrust(predictor(is).Subject(), Trust{PEM: "x"}, applied, desired)
			before, _ := LastApplied(service)
			desired.Agent.Image = "agent:v2"
			if got := Decide(before, false, desired); !Holds(service, true, got) {
				t.Errorf("%s, %s: another image of the agent makes a Revision: %+v", what, state, got)
			}
			if got := Decide(before, true, desired); len(got.Sinks) > 0 || got.Agent.Image != "agent:v2" {
				t.Errorf("%s, %s: the owner's change gives %+v", what, state, got)
			}
		}
	}
}

func TestTakeOverChangesOnlyOurFields(t *testing.T) {
	type lists = map[string]string
	desired := func(annotations, labels lists) *servingv1.Service {
		service := &servingv1.Service{}
		service.Annotations, service.Labels = annotations, labels
		service.Spec.Template.Spec.Containers = []corev1.Container{{Name: "desired"}}
		return service
	}
	for what, test := range map[string]struct {
		live, desired, want *servingv1.Service
		changed             bool
	}{
		"nothing differs": {
			desired(lists{"serving.kubeflow.org/owner-hash": "1"}, lists{"serving.kubeflow.org/component": "predictor"}),
			desired(lists{"serving.kubeflow.org/owner-hash": "1"}, lists{"serving.kubeflow.org/component": "predictor"}),
			desired(lists{"serving.kubeflow.org/owner-hash": "1"}, lists{"serving.kubeflow.org/component": "predictor"}),
			false,
		},
		"others' stay": {
			desired(lists{"serving.knative.dev/creator": "me", "serving.kubeflow.org/owner-hash": "1"}, lists{"team": "x"}),
			desired(lists{"serving.kubeflow.org/owner-hash": "1"}, nil),
			desired(lists{"serving.knative.dev/creator": "me", "serving.kubeflow.org/owner-hash": "1"}, lists{"team": "x"}),
			false,
		},
		"the hash changes": {
			desired(lists{"serving.kubeflow.org/owner-hash": "1"}, nil),
			desired(lists{"serving.kubeflow.org/owner-hash": "2"}, nil),
			desired(lists{"serving.kubeflow.org/owner-hash": "2"}, nil),
			true,
		},
		"there were none": {
			desired(nil, nil),
			desired(lists{"serving.kubeflow.org/owner-hash": "2"}, lists{"serving.kubeflow.org/component": "predictor"}),
			desired(lists{"serving.kubeflow.org/owner-hash": "2"}, lists{"serving.kubeflow.org/component": "predictor"}),
			true,
		},
		"the record goes with the logger": {
			desired(lists{"serving.kubeflow.org/owner-hash": "1", "serving.kubeflow.org/in-force": "{}"}, nil),
			desired(lists{"serving.kubeflow.org/owner-hash": "1"}, nil),
			desired(lists{"serving.kubeflow.org/owner-hash": "1"}, nil),
			true,
		},
		"what the owner no longer says of the Service goes": {
			desired(lists{"serving.knative.dev/rollout-duration": "60s"}, lists{"networking.knative.dev/visibility": "cluster-local"}),
			desired(lists{}, lists{}),
			desired(lists{}, lists{}),
			true,
		},
		"our label was taken away": {
			desired(nil, lists{}),
			desired(nil, lists{"serving.kubeflow.org/inferenceservice": "m"}),
			desired(lists{}, lists{"serving.kubeflow.org/inferenceservice": "m"}),
			true,
		},
	} {
		t.Run(what, func(t *testing.T) {
			test.live.Spec.Template.Spec.Containers[0].Name = "live"
			before := test.live.DeepCopy()
			got, changed := TakeOver(test.live, test.desired, false)
			if changed != test.changed {
				t.Errorf("changed: %v, want %v", changed, test.changed)
			}
			if len(test.want.Labels) == 0 && len(got.Labels) == 0 {
				got.Labels = test.want.Labels
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want, +got): %s", diff)
			}
			if diff := cmp.Diff(before, test.live); diff != "" {
				t.Errorf("the live one was changed (-before, +after): %s", diff)
			}
		})
	}
}

// cluster is what the reconciler sees of the platform, and the one Knative
// Service that it keeps.
type cluster struct {
	agent       config.Agent
	defaultSink string
	down        map[string]bool
	live        *servingv1.Service
}

func (c *cluster) desired(is *v1beta1.InferenceService) Desired {
	attributes, _ := metadata.Select(is.MetadataObject(), is.Spec.Predictor.Logger.MetadataSources())
	sink := DesiredSink{Destination: broker(c.defaultSink), ByDefault: true}
	if named := is.Spec.Predictor.Logger.Sink; named != nil {
		sink = DesiredSink{Destination: *named.DeepCopy()}
	}
	if name := sink.Destination.Ref.Name; !c.down[name] {
		sink.Address = addressOf(name)
	}
	return Desired{Agent: c.agent, Sinks: named(sink, nil), Metadata: attributes}
}

// reconcile goes the reconciler's way through the pure decisions.
func (c *cluster) reconcile(is *v1beta1.InferenceService) Applied {
	desired := c.desired(is)
	hash := OwnerHash(predictor(is), desired.Metadata)
	var before *Applied
	ownerChanged := true
	if c.live != nil {
		var lastHash string
		before, lastHash = LastApplied(c.live)
		ownerChanged = lastHash != hash
	}
	applied := Decide(before, ownerChanged, desired)
	service := MakeService(predictor(is), hash, applied)
	if c.live == nil {
		c.live = service
	} else if updated, changed := TakeOver(c.live, service, false); changed {
		c.live = updated
	}
	return applied
}

func TestOnlyTheOwnersChangeRollsARevision(t *testing.T) {
	type change struct {
		name string
		make func(*rand.Rand, *cluster, *v1beta1.InferenceService)
	}
	number := func(r *rand.Rand) string { return fmt.Sprint(r.Intn(1000)) }
	platform := []change{
		{"agent image", func(r *rand.Rand, c *cluster, _ *v1beta1.InferenceService) { c.agent.Image = "agent:" + number(r) }},
		{"agent buffer", func(r *rand.Rand, c *cluster, _ *v1beta1.InferenceService) { c.agent.BufferBytes = r.Int63() }},
		{"agent limit", func(r *rand.Rand, c *cluster, _ *v1beta1.InferenceService) { c.agent.GoMemoryLimit = number(r) + "MiB" }},
		{"agent resources", func(r *rand.Rand, c *cluster, _ *v1beta1.InferenceService) {
			c.agent.Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(number(r) + "m")}}
		}},
		{"default sink", func(r *rand.Rand, c *cluster, _ *v1beta1.InferenceService) {
			c.defaultSink = []string{"default", "other", "third"}[r.Intn(3)]
		}},
		{"sink down or up", func(r *rand.Rand, c *cluster, _ *v1beta1.InferenceService) {
			c.down = map[string]bool{"default": r.Intn(2) == 0, "other": r.Intn(2) == 0, "third": r.Intn(2) == 0, "named": r.Intn(2) == 0}
		}},
		{"unlisted annotation", func(r *rand.Rand, _ *cluster, is *v1beta1.InferenceService) { WithAnnotation("note", number(r))(is) }},
		{"nothing at all", func(*rand.Rand, *cluster, *v1beta1.InferenceService) {}},
	}
	owners := []change{
		{"image", func(r *rand.Rand, _ *cluster, is *v1beta1.InferenceService) { WithImage("model:" + number(r))(is) }},
		{"listed", func(r *rand.Rand, _ *cluster, is *v1beta1.InferenceService) {
			lists := [][]string{{"team"}, {"owner"}, {"team", "owner"}, {"version"}}
			WithLogger(WithMetadataAnnotations(lists[r.Intn(len(lists))]...))(is)
		}},
		{"scale", func(r *rand.Rand, _ *cluster, is *v1beta1.InferenceService) {
			WithAnnotation("autoscaling.knative.dev/target", number(r))(is)
		}},
		{"payload", func(r *rand.Rand, _ *cluster, is *v1beta1.InferenceService) {
			WithLogger(WithMaxPayloadBytes(1 + r.Int63n(1<<20)))(is)
		}},
		{"sink", func(r *rand.Rand, c *cluster, is *v1beta1.InferenceService) {
			c.down = nil
			WithLogger(WithSinkRef("eventing.knative.dev/v1", "Broker", Namespace, "named"))(is)
		}},
	}
	for _, refresh := range []v1beta1.MetadataRefresh{v1beta1.RefreshByRevision, v1beta1.RefreshLive} {
		platform := platform
		if refresh == v1beta1.RefreshLive {
			platform = append(slices.Clip(platform), change{"listed annotation", func(r *rand.Rand, _ *cluster, is *v1beta1.InferenceService) {
				WithAnnotation("team", number(r))(is)
			}})
		}
		for seed := range int64(12) {
			r := rand.New(rand.NewSource(seed))
			c := &cluster{agent: agentSettings(), defaultSink: "default"}
			is := defaulted(Seed(WithLogger(WithRefresh(refresh))))
			c.reconcile(is)
			history := []string{"created"}
			for range 60 {
				changes := platform
				isOwners := r.Intn(6) == 0
				if isOwners {
					changes = owners
				}
				chosen := changes[r.Intn(len(changes))]
				before, hash := string(mustMarshal(c.live.Spec)), OwnerHash(predictor(is), c.desired(is).Metadata)
				held, _ := LastApplied(c.live)
				chosen.make(r, c, is)
				history = append(history, chosen.name)
				isOwners = OwnerHash(predictor(is), c.desired(is).Metadata) != hash
				applied := c.reconcile(is)
				// A template that has no sink gets the first that appears.
				appeared := len(held.Sinks) == 0 && len(applied.Sinks) > 0
				if rolled := string(mustMarshal(c.live.Spec)) != before; rolled && !isOwners && !appeared {
					t.Fatalf("under %s, seed %d: the platform rolled a Revision after %q: %s", refresh, seed, history, cmp.Diff(before, string(mustMarshal(c.live.Spec))))
				}
				if !isOwners {
					continue
				}
				desired := c.desired(is)
				if behind := Behind(is.Spec.Predictor.Containers, applied, desired); len(behind) > 0 && desired.Sinks[0].Sink.Address != nil {
					t.Fatalf("under %s, seed %d: still behind in %q after %q", refresh, seed, behind, history)
				}
				if desired.Sinks[0].Sink.Address == nil {
					continue
				}
				fresh := MakeService(predictor(is), "", Decide(nil, true, desired))
				if diff := cmp.Diff(string(mustMarshal(fresh.Spec)), string(mustMarshal(c.live.Spec))); diff != "" {
					t.Fatalf("under %s, seed %d: not as one made anew after %q (-anew, +live): %s", refresh, seed, history, diff)
				}
			}
		}
	}
}
