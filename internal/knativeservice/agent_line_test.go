/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"encoding/json"
	"math/rand"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	pkgfuzzer "knative.dev/pkg/apis/testing/fuzzer"
	"sigs.k8s.io/randfill"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// unseen is an InferenceService that no webhook saw, with the logger and the
// fields of the model's container as they are written.
func unseen(t *testing.T, logger, container string, annotations map[string]string) *v1beta1.InferenceService {
	t.Helper()
	is := InferenceService("my-model")
	is.Annotations = annotations
	is.Spec.Predictor.Logger = &v1beta1.LoggerSpec{}
	if err := yaml.Unmarshal([]byte(logger), is.Spec.Predictor.Logger); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(container), &is.Spec.Predictor.Containers[0]); err != nil {
		t.Fatal(err)
	}
	return is
}

// platform is what an older template has, with a sink.
func platform(is *v1beta1.InferenceService) Applied {
	applied := Applied{
		Agent: agentSettings(),
		Sinks: one(&AppliedSink{Destination: broker("default"), ByDefault: true, Address: *addressOf("default")}, nil),
	}
	applied.Metadata, _ = metadata.Select(is.MetadataObject(), is.Spec.Predictor.Logger.MetadataSources())
	return applied
}

// platforms are the forms that a record can have of sinks which resolve to a
// URL, or don't (nil): as an older controller wrote it, and as this one does.
func platforms(is *v1beta1.InferenceService, destination duckv1.Destination, url *apis.URL) (all []Applied) {
	older := platform(is)
	sink := older.Sinks[0].Sink
	sink.Address.URL = url
	if url == nil {
		sink = nil
	}
	older.Sinks = one(sink, sink)
	all = append(all, older)
	audience := "other"
	for _, asked := range []*string{nil, &audience} {
		desired := Desired{Agent: older.Agent, Metadata: older.Metadata}
		var address *duckv1.Addressable
		if url != nil {
			address = &duckv1.Addressable{URL: url, Audience: asked}
		}
		sink := DesiredSink{Destination: destination, Address: address}
		desired.Sinks = named(sink, nil)
		all = append(all, Decide(nil, true, desired))
		desired.Sinks = named(sink, &DesiredSink{Destination: destination, Address: address})
		all = append(all, Decide(nil, true, desired))
		desired.Sinks = named(sink, &DesiredSink{Destination: broker("letters")})
		all = append(all, Decide(nil, true, desired))
		desired.Sinks[0].Sink.Refused, desired.Sinks[0].Sink.Address = true, nil
		all = append(all, Decide(nil, true, desired), Decide(&older, true, desired))
	}
	return all
}

// readByTheAgent returns what an agent reads of its template, and fails where the
// agent would not start.
func readByTheAgent(t *testing.T, is *v1beta1.InferenceService, applied Applied) *agentconfig.Config {
	t.Helper()
	containers := MakeService(predictor(is), "", applied).Spec.Template.Spec.Containers
	index := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == v1beta1.AgentContainerName && len(c.Ports) > 0 })
	if index < 0 {
		return nil
	}
	agent := containers[index]
	var line []string
	for _, argument := range agent.Args {
		if len(argument) > 128<<10-1 || strings.Contains(argument, "\x00") {
			t.Errorf("Linux starts no process with %.60q… of %d bytes", argument, len(argument))
		}
		line = append(line, expanded(argument))
	}
	read, err := agentconfig.Parse(line)
	if err != nil {
		t.Errorf("the agent refuses %.2000q: %v", line, err)
	}
	for name, request := range agent.Resources.Requests {
		if limit, limited := agent.Resources.Limits[name]; request.Sign() <= 0 || limited && request.Cmp(limit) > 0 {
			t.Errorf("the API server refuses a request of %s for %s with the limit %s", request.String(), name, limit.String())
		}
	}
	return read
}

// What the agent would refuse is left out, the rest holds, and the status can
// say what was left out.
func TestInvalidArgumentsAreOmitted(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for what, test := range map[string]struct {
		logger, container string
		annotations       map[string]string
		// ignored are parts of what is said; empty: nothing is.
		ignored []string
	}{
		"nothing but a logger":     {},
		"a line break":             {logger: `{metadataAnnotations: [team, note]}`, annotations: map[string]string{"note": "a\nb"}, ignored: []string{"logger.metadata: attribute \"note\""}},
		"a reserved attribute":     {logger: `{metadata: [{attribute: id, annotation: note}, {attribute: team, annotation: team}]}`, annotations: map[string]string{"note": "x"}, ignored: []string{"logger.metadata: \"id\" is a reserved"}},
		"an attribute twice":       {logger: `{metadataAnnotations: [team, example.com/team]}`, annotations: map[string]string{"example.com/team": "x"}, ignored: []string{"logger.metadata: attribute \"team\" is given twice"}},
		"attributes of 200 KB":     {logger: `{metadataAnnotations: [team, note]}`, annotations: map[string]string{"note": long}, ignored: []string{"logger.metadata"}},
		"an odd mode":              {logger: `{mode: everything}`, ignored: []string{`logger.mode: invalid mode "everything"`}},
		"an odd content mode":      {logger: `{contentMode: batch}`, ignored: []string{"logger.contentMode"}},
		"an odd refresh":           {logger: `{metadataRefresh: Often}`, ignored: []string{"logger.metadataRefresh"}},
		"odd kinds of event":       {logger: `{events: [request, none, request, ""]}`, ignored: []string{"logger.events[1]", "logger.events[3]"}},
		"no payload":               {logger: `{maxPayloadBytes: 0}`, ignored: []string{"logger.maxPayloadBytes: it is 0"}},
		"less than no payload":     {logger: `{maxPayloadBytes: -1}`, ignored: []string{"logger.maxPayloadBytes"}},
		"any payload":              {logger: `{maxPayloadBytes: 9223372036854775807}`, ignored: []string{"logger.maxPayloadBytes"}},
		"odd samples":              {logger: `{sampling: {percent: "1%", oneIn: 0, keepFailures: true, keepSlowerThan: 48h}, maxEventsPerSecond: 0}`, ignored: []string{"sampling.percent: invalid percentage", "sampling.keepFailures: without sampling", "sampling.keepSlowerThan"}},
		"samples of two sizes":     {logger: `{sampling: {percent: "1", oneIn: 2, keepFailures: true}}`, ignored: []string{"sampling.oneIn: a percentage is given"}},
		"an odd path":              {logger: `{paths: [v1, /v1]}`, ignored: []string{"logger.paths[0]"}},
		"durations that are none":  {logger: `{delivery: {retry: -1, backoffPolicy: none, backoffDelay: 1s, timeout: PT0S, retryAfterMax: -PT1S}}`, ignored: []string{"delivery.retry", "delivery.backoffPolicy", "delivery.backoffDelay", "delivery.timeout", "delivery.retryAfterMax"}},
		"a duration of ages":       {logger: `{delivery: {timeout: P99999999999W}}`, ignored: []string{"delivery.timeout"}},
		"durations of a sign":      {logger: `{delivery: {backoffDelay: "-", timeout: "+"}}`, ignored: []string{"delivery.backoffDelay", "delivery.timeout"}},
		"too small a spool":        {logger: `{spool: {sizeLimit: 1}}`, ignored: []string{"logger.spool"}},
		"too large a spool":        {logger: `{spool: {sizeLimit: 9999Pi}}`, ignored: []string{"logger.spool"}},
		"an odd overflow":          {logger: `{spool: {sizeLimit: 1Gi, whenFull: Block}}`, ignored: []string{"spool.whenFull"}},
		"resources of a GPU":       {logger: `{resources: {limits: {nvidia.com/gpu: 1}}}`, ignored: []string{"logger.resources", "nvidia.com/gpu"}},
		"resources that are minus": {logger: `{resources: {requests: {memory: -1}}}`, ignored: []string{"logger.resources"}},
		"a path that is no URL":    {container: `readinessProbe: {httpGet: {path: /%zz, port: 8080}}`},
		"a path of 200 KB":         {container: `readinessProbe: {httpGet: {path: /` + long + `, port: 8080}}`, ignored: []string{"containers[0].readinessProbe: it has"}},
		"a probe of two kinds":     {container: `readinessProbe: {httpGet: {port: 1}, tcpSocket: {port: 1}}`, ignored: []string{"containers[0].readinessProbe"}},
		"a probe's scheme":         {container: `readinessProbe: {httpGet: {port: 1, scheme: https}}`, ignored: []string{"containers[0].readinessProbe"}},
		"a probe's odd port":       {container: `readinessProbe: {tcpSocket: {port: 70000}}`, ignored: []string{"containers[0].readinessProbe"}},
		"a startup probe":          {container: `startupProbe: {tcpSocket: {port: 1}}`, ignored: []string{"containers[0].startupProbe.failureThreshold: the agent runs the probe"}},
		"an odd startup probe":     {container: `startupProbe: {tcpSocket: {port: 1}, periodSeconds: -1}`, ignored: []string{"containers[0].startupProbe: invalid periodSeconds -1"}},
		"a port of zero":           {container: `ports: [{containerPort: 0}]`},
		"a port that is none":      {container: `ports: [{containerPort: 70000}]`, ignored: []string{"containers[0].ports"}},
		"many of all": {
			logger:  `{mode: x, events: [x], paths: [x], contentMode: x, maxPayloadBytes: 0, delivery: {retry: 2}}`,
			ignored: []string{"logger.mode", "logger.events[0]", "logger.paths[0]", "logger.contentMode", "logger.maxPayloadBytes"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			if test.annotations == nil {
				test.annotations = make(map[string]string)
			}
			test.annotations["team"] = "ai-platform"
			is := unseen(t, test.logger, test.container, test.annotations)
			applied := platform(is)
			read := readByTheAgent(t, is, applied)
			if read == nil || len(read.Sinks) != 1 {
				t.Fatalf("the sink is left out: %+v", read)
			}
			selected, refused := metadata.Accept(applied.Metadata)
			for i, attribute := range selected {
				if len(read.Metadata) <= i || read.Metadata[i] != attribute {
					t.Errorf("the agent reads %v, want %v", read.Metadata, selected)
				}
			}
			ignored := Ignored(predictor(is), applied)
			if len(refused) == 0 && len(test.ignored) == 0 && len(ignored) > 0 {
				t.Errorf("it says %q", ignored)
			}
			for _, want := range test.ignored {
				if !slices.ContainsFunc(ignored, func(said string) bool { return strings.Contains(said, want) }) {
					t.Errorf("it says %.1000q, want %q", ignored, want)
				}
			}
		})
	}
}

// A sink that is left out takes its options with it, and is named once.
func TestASinkThatTheAgentWouldRefuse(t *testing.T) {
	is := unseen(t, `{delivery: {retry: 3}}`, "", nil)
	applied := platform(is)
	applied.Sinks[0].Sink.Address.URL = &apis.URL{Scheme: "ftp", Host: "h"}
	if read := readByTheAgent(t, is, applied); len(read.Sinks) != 0 {
		t.Errorf("sinks: %v", read.Sinks)
	}
	ignored := Ignored(predictor(is), applied)
	if len(ignored) != 1 || !strings.Contains(ignored[0], "logger.sink") {
		t.Errorf("it says %q", ignored)
	}
}

// A sink may have no address yet: a file makes it, and its options count.
func TestASinkWithoutAnAddressKeepsItsOptions(t *testing.T) {
	is := unseen(t, `{mode: x, delivery: {retry: 3}, spool: {sizeLimit: 1Gi}}`, "", nil)
	desired := Desired{Agent: agentSettings(), Sinks: named(DesiredSink{Destination: broker("a")}, &DesiredSink{Destination: broker("b")})}
	applied := Decide(nil, true, desired)
	// It is refused, which must be said also where no URL makes the sink.
	applied.Sinks[0].DeadLetterSink.Address.URL = &apis.URL{Scheme: "ftp", Host: "h"}
	read := readByTheAgent(t, is, applied)
	if len(read.Sinks) != 1 || read.Sinks[0].URL != nil || read.Sinks[0].AddressFile == "" || *read.Sinks[0].Schedule.Retries != 3 ||
		read.Sinks[0].Spool == nil || read.Sinks[0].DeadLetter == nil || read.Sinks[0].DeadLetter.AddressFile == "" {
		t.Errorf("the agent reads %+v", read.Sinks)
	}
	if ignored := Ignored(predictor(is), applied); !slices.ContainsFunc(ignored, func(said string) bool { return strings.Contains(said, "logger.delivery.deadLetterSink") }) {
		t.Errorf("it says %q", ignored)
	}
}

// Beside a model on the agent's own port neither could start.
func TestAModelOnTheAgentsPortServesAlone(t *testing.T) {
	for _, port := range []int32{v1beta1.AgentPort, v1beta1.AgentAdminPort} {
		is := defaulted(Seed(WithPort("", port)))
		service := MakeService(predictor(is), "", inForceFor(is))
		if containers := service.Spec.Template.Spec.Containers; len(containers) != 1 || containers[0].Ports[0].ContainerPort != port {
			t.Errorf("of port %d: %v", port, containers)
		}
		if reason := NoAgent(predictor(is)); !strings.Contains(reason, "spec.predictor.containers[0].ports[0].containerPort") {
			t.Errorf("it says %q", reason)
		}
	}
}

// An object that was never admitted has no defaults.
func TestObjectWithoutDefaulting(t *testing.T) {
	is := unseen(t, `{metadataAnnotations: [team], spool: {sizeLimit: 1Gi}}`, "", map[string]string{"team": "a"})
	read := readByTheAgent(t, is, platform(is))
	if read == nil || read.Mode != "all" || read.Target.Host != "127.0.0.1:8080" {
		t.Errorf("the agent reads %+v", read)
	}
	if is.Spec.Predictor.Logger.Mode != "" {
		t.Error("the object itself is defaulted")
	}
}

// filler fills an object with anything at all.
func filler(t testing.TB, seed int64) *randfill.Filler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1beta1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	funcs := fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, pkgfuzzer.Funcs, FillFilters)
	return fuzzer.FuzzerFor(funcs, rand.NewSource(seed), serializer.NewCodecFactory(scheme)).NilChance(.3).NumElements(0, 4)
}

// filled is an InferenceService of which anything may be anything, but for the
// few things without which there is no agent.
func filled(t testing.TB, seed int64) *v1beta1.InferenceService {
	t.Helper()
	fill := filler(t, seed)
	is := Seed()
	fill.Fill(&is.Spec.Predictor)
	fill.Fill(&is.Annotations)
	fill.Fill(&is.Labels)
	model := corev1.Container{}
	fill.Fill(&model)
	model.Ports = []corev1.ContainerPort{{ContainerPort: int32(seed*37%70000) - 100}}
	is.Spec.Predictor.Containers = []corev1.Container{model}
	if is.Spec.Predictor.Logger == nil {
		is.Spec.Predictor.Logger = &v1beta1.LoggerSpec{}
	}
	logger := is.Spec.Predictor.Logger
	for key := range is.Annotations {
		// Else none that is listed would be there.
		logger.MetadataAnnotations = append(logger.MetadataAnnotations, key)
	}
	slices.Sort(logger.MetadataAnnotations)
	return is
}

func TestAnyInferenceServiceGivesAnAgentThatStarts(t *testing.T) {
	for seed := range int64(2000) {
		is := filled(t, seed)
		applied := platform(is)
		applied.MultiContainerProbing = seed%2 == 0
		readByTheAgent(t, is, applied)
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
}

// FuzzTheAgentReadsWhatTheControllerWrites: whatever an InferenceService says,
// the agent starts.
func FuzzTheAgentReadsWhatTheControllerWrites(f *testing.F) {
	for _, logger := range []string{
		`{}`, `{"mode":"x","events":["x","request"],"contentMode":"x","metadataRefresh":"Live"}`,
		`{"maxPayloadBytes":0,"paths":["/a","!*","x"]}`, `{"metadata":[{"attribute":"id","annotation":"team"},{"attribute":"a","annotation":"team"}]}`,
		`{"delivery":{"retry":-1,"backoffPolicy":"x","backoffDelay":"PT0.5S","timeout":"P1W","retryAfterMax":"x"}}`,
		`{"spool":{"sizeLimit":"1Gi","whenFull":"x","sync":true}}`, `{"resources":{"requests":{"cpu":"-1"},"limits":{"memory":"33Mi","cpu":"1n"}}}`,
	} {
		f.Add(logger, `{"ports":[{"containerPort":8080}]}`, "a\nb", "http://sink/")
		f.Add(logger, `{}`, "", "http://sink/?q=\U000F0000")
	}
	for _, container := range []string{
		`{}`, `{"ports":[{"containerPort":70000}]}`, `{"readinessProbe":{"httpGet":{"path":"/%zz","port":"http1","host":"[","httpHeaders":[{"name":" ","value":"\n"}]}}}`,
		`{"readinessProbe":{"exec":{}},"startupProbe":{"grpc":{"port":-1,"service":"\u0000"}},"livenessProbe":{"tcpSocket":{"port":-1}}}`,
		`{"startupProbe":{"periodSeconds":-1,"terminationGracePeriodSeconds":-1}}`,
	} {
		f.Add(`{}`, container, "", "http://user@sink/#x")
	}
	f.Fuzz(func(t *testing.T, logger, container, annotation, sink string) {
		is := InferenceService("my-model", WithAnnotation("team", annotation))
		is.Spec.Predictor.Logger = &v1beta1.LoggerSpec{}
		if json.Unmarshal([]byte(logger), is.Spec.Predictor.Logger) != nil || json.Unmarshal([]byte(container), &is.Spec.Predictor.Containers[0]) != nil {
			// Not an object that the API server stores.
			return
		}
		is.Spec.Predictor.Logger.MetadataAnnotations = append(is.Spec.Predictor.Logger.MetadataAnnotations, "team")
		written, err := apis.ParseURL(sink)
		if err != nil {
			return
		}
		url := written
		if written != nil && v1beta1.ValidateURL(written) != nil {
			// The reconciler takes no such address.
			url = nil
		}
		for _, destination := range []duckv1.Destination{
			broker("default"), {URI: written}, {Ref: broker("default").Ref, URI: written}, {Ref: &duckv1.KReference{APIVersion: "v1", Kind: "Service", Name: "sink"}},
		} {
			for _, applied := range platforms(is, destination, url) {
				applied.Agent = *config.FromContextOrDefaults(t.Context()).Agent
				for _, applied.MultiContainerProbing = range []bool{false, true} {
					readByTheAgent(t, is, applied)
					Ignored(predictor(is), applied)
				}
				lastApplied, _ := LastApplied(MakeService(predictor(is), "", applied))
				if lastApplied == nil || !Holds(MakeService(predictor(is), "", applied), true, *lastApplied) {
					t.Errorf("the record is %+v of %+v", lastApplied, applied)
				}
			}
		}
		attributes, _ := metadata.Select(is.MetadataObject(), is.Spec.Predictor.Logger.MetadataSources())
		OwnerUnchanged(OwnerHash(predictor(is), attributes), predictor(is), attributes)
	})
}
