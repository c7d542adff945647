/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

var probing = map[string]string{"multi-container-probing": "enabled"}

// withProbing is what is made where Serving takes probes on the model.
func withProbing(is *v1beta1.InferenceService) *servingv1.Service {
	is = defaulted(is)
	applied := inForceFor(is)
	applied.MultiContainerProbing = true
	return MakeService(predictor(is), "hash", applied)
}

// probeFrom reads a probe as people write it.
func probeFrom(t *testing.T, text string) *corev1.Probe {
	t.Helper()
	probe := new(corev1.Probe)
	if err := yaml.UnmarshalStrict([]byte(text), probe); err != nil {
		t.Fatal(err)
	}
	return probe
}

// Only the kubelet restarts a model, so where Serving takes the probes that do
// so they stay on it with every field, and with a port that the kubelet finds.
func TestTheKubeletRunsWhatRestartsTheModel(t *testing.T) {
	const vllm = "{httpGet: {path: /health, port: 8000}, periodSeconds: 10, failureThreshold: 30, timeoutSeconds: 5}"
	for what, test := range map[string]struct{ written, want string }{
		"the one of vLLM": {vllm, vllm},
		"a port's name": {
			"{httpGet: {path: /v1/models/m, port: http1}, initialDelaySeconds: 180, periodSeconds: 10}",
			"{httpGet: {path: /v1/models/m, port: 8080}, initialDelaySeconds: 180, periodSeconds: 10}",
		},
		"a port's name for TCP": {"{tcpSocket: {port: http1, host: 127.0.0.1}}", "{tcpSocket: {port: 8080, host: 127.0.0.1}}"},
		"no port":               {"{httpGet: {path: /}}", "{httpGet: {path: /, port: 8080}}"},
		"no port for gRPC":      {"{grpc: {service: model, port: 0}}", "{grpc: {service: model, port: 8080}}"},
		"a command":             {"{exec: {command: [cat, /ready]}, periodSeconds: 3}", "{exec: {command: [cat, /ready]}, periodSeconds: 3}"},
		"every field": {
			"{httpGet: {path: /, port: 1, host: h, scheme: HTTPS, httpHeaders: [{name: a, value: b}]}, initialDelaySeconds: 1, timeoutSeconds: 2, periodSeconds: 3, successThreshold: 1, failureThreshold: 4}",
			"{httpGet: {path: /, port: 1, host: h, scheme: HTTPS, httpHeaders: [{name: a, value: b}]}, initialDelaySeconds: 1, timeoutSeconds: 2, periodSeconds: 3, successThreshold: 1, failureThreshold: 4}",
		},
	} {
		is := Seed(WithPort("http1", 8080), WithModel(func(c *corev1.Container) {
			c.StartupProbe, c.LivenessProbe = probeFrom(t, test.written), probeFrom(t, test.written)
		}))
		if errs := Validate(withFeatures(t, probing), is).Filter(apis.ErrorLevel); errs != nil {
			t.Errorf("%s is refused: %v", what, errs)
		}
		model := containerOf(t, withProbing(is), "kfserving-container")
		for field, got := range map[string]*corev1.Probe{startup: model.StartupProbe, liveness: model.LivenessProbe} {
			if diff := cmp.Diff(probeFrom(t, test.want), got); diff != "" {
				t.Errorf("%s: %s (-want, +got): %s", what, field, diff)
			}
		}
	}
}

// The agent runs the startup probe too, so that no request and no readiness
// probe reaches a model that has not started.
func TestTheAgentWaitsForTheStartupProbe(t *testing.T) {
	written := "{httpGet: {path: /health, port: http1}, initialDelaySeconds: 7, periodSeconds: 10, failureThreshold: 30, timeoutSeconds: 5, terminationGracePeriodSeconds: 3}"
	is := Seed(WithPort("http1", 8000), WithModel(func(c *corev1.Container) { c.StartupProbe = probeFrom(t, written) }))
	for what, service := range map[string]*servingv1.Service{"with probing": withProbing(is.DeepCopy()), "without": made(is.DeepCopy())} {
		probe, err := agentconfig.ParseProbe(valueOf(t, agentOf(t, service).Args, "startup-probe"))
		if err != nil {
			t.Fatal(err)
		}
		want := &agentconfig.Probe{
			HTTPGet:             &agentconfig.HTTPGet{Path: "/health", Port: 8000},
			InitialDelaySeconds: 7, PeriodSeconds: 10, FailureThreshold: 30, TimeoutSeconds: 5, SuccessThreshold: 1,
		}
		if diff := cmp.Diff(want, probe); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
	}
}

// Without Serving's feature a template may have no probe on the model, or
// Serving would refuse it whole.
func TestWithoutTheFeatureNoStartupProbeStaysOnTheModel(t *testing.T) {
	is := Seed(WithModel(func(c *corev1.Container) { c.StartupProbe = probeFrom(t, "{tcpSocket: {port: 1}}") }))
	if probe := containerOf(t, made(is), "kfserving-container").StartupProbe; probe != nil {
		t.Errorf("it keeps %v", probe)
	}
}

// The feature is the cluster's: switching it rolls no model.
func TestAnotherFeatureRollsNone(t *testing.T) {
	before := Applied{}
	if got := Decide(&before, false, Desired{MultiContainerProbing: true}); got.MultiContainerProbing {
		t.Error("without the owner the probes move")
	}
	if got := Decide(&before, true, Desired{MultiContainerProbing: true}); !got.MultiContainerProbing {
		t.Error("with the owner the probes don't move")
	}
	if record := string(mustMarshal(before)); strings.Contains(record, "robing") {
		t.Errorf("nothing is recorded as %s", record)
	}
}

func TestAProbeThatCannotWorkIsRefusedByName(t *testing.T) {
	every := []string{startup, liveness, readyToServe}
	restarting := []string{startup, liveness}
	for what, test := range map[string]struct {
		probe  string
		fields []string
		// below is what follows the probe's field in the path.
		below, message string
	}{
		"a delay below none":           {"{tcpSocket: {port: 1}, initialDelaySeconds: -1}", every, ".initialDelaySeconds", "write 0 or more"},
		"a timeout below none":         {"{tcpSocket: {port: 1}, timeoutSeconds: -1}", every, ".timeoutSeconds", "write 0 or more"},
		"a period below none":          {"{tcpSocket: {port: 1}, periodSeconds: -1}", every, ".periodSeconds", "write 0 or more"},
		"a threshold below none":       {"{tcpSocket: {port: 1}, failureThreshold: -1}", every, ".failureThreshold", "write 0 or more"},
		"a success below none":         {"{tcpSocket: {port: 1}, successThreshold: -1}", every, ".successThreshold", "write 0 or more"},
		"two successes":                {"{tcpSocket: {port: 1}, successThreshold: 2}", restarting, ".successThreshold", "must be 1"},
		"a grace that Serving drops":   {"{tcpSocket: {port: 1}, terminationGracePeriodSeconds: 3}", restarting, ".terminationGracePeriodSeconds", "Knative Serving drops this field"},
		"a grace where nothing ends":   {"{tcpSocket: {port: 1}, terminationGracePeriodSeconds: 3}", []string{readyToServe}, ".terminationGracePeriodSeconds", "remove it"},
		"another port's name":          {"{tcpSocket: {port: metrics}}", every, "", "write its number"},
		"a port that is none":          {"{tcpSocket: {port: 65536}}", every, "", "must be 1 to 65535"},
		"a scheme that is none":        {"{httpGet: {path: /, port: 1, scheme: https}}", every, "", "must be HTTP or HTTPS"},
		"a host that is none":          {"{httpGet: {path: /, port: 1, host: 'http://h'}}", every, "", "httpGet.host"},
		"a host of TCP that is none":   {"{tcpSocket: {port: 1, host: 'h:1'}}", every, "", "tcpSocket.host"},
		"a header's name that is none": {"{httpGet: {path: /, port: 1, httpHeaders: [{name: 'a b', value: c}]}}", every, "", "httpGet.httpHeaders[0].name"},
		"a header's value of lines":    {"{httpGet: {path: /, port: 1, httpHeaders: [{name: a, value: \"b\\nc\"}]}}", every, "", "httpGet.httpHeaders[0].value"},
	} {
		for _, field := range test.fields {
			probe := probeFrom(t, test.probe)
			is := Seed(WithModel(func(c *corev1.Container) {
				*map[string]**corev1.Probe{startup: &c.StartupProbe, liveness: &c.LivenessProbe, readyToServe: &c.ReadinessProbe}[field] = probe
			}))
			path := "spec.predictor.containers[0]." + field + test.below
			violations := Validate(withFeatures(t, probing), is).Filter(apis.ErrorLevel).WrappedErrors()
			if !slices.ContainsFunc(violations, func(v *apis.FieldError) bool {
				return slices.Contains(v.Paths, path) && strings.Contains(v.Error(), test.message)
			}) {
				t.Errorf("%s: nothing at %s says %q: %v", what, path, test.message, violations)
			}
		}
	}
}

// A sidecar declares no port, so a name of one means nothing there.
func TestASidecarsProbeNamesNoPort(t *testing.T) {
	sidecar := corev1.Container{Name: "s", Image: "s", LivenessProbe: probeFrom(t, "{tcpSocket: {port: http1}}")}
	is := Seed(WithPort("http1", 8080), WithSidecar(sidecar))
	if errs := Validate(withFeatures(t, probing), is); !strings.Contains(errs.Error(), "spec.predictor.containers[1].livenessProbe") {
		t.Errorf("it is taken: %v", errs)
	}
	// Should an object have it nevertheless.
	if port := containerOf(t, withProbing(is), "s").LivenessProbe.TCPSocket.Port; port != intstr.FromInt32(8080) {
		t.Errorf("its port is %s", port.String())
	}
}

// Every field of a probe has a meaning here: a new one of Kubernetes must be
// given one.
func TestEveryFieldOfAProbeIsKnown(t *testing.T) {
	known := map[reflect.Type][]string{
		reflect.TypeFor[corev1.Probe]():           {"FailureThreshold", "InitialDelaySeconds", "PeriodSeconds", "ProbeHandler", "SuccessThreshold", "TerminationGracePeriodSeconds", "TimeoutSeconds"},
		reflect.TypeFor[corev1.ProbeHandler]():    {"Exec", "GRPC", "HTTPGet", "TCPSocket"},
		reflect.TypeFor[corev1.HTTPGetAction]():   {"HTTPHeaders", "Host", "Path", "Port", "Scheme"},
		reflect.TypeFor[corev1.TCPSocketAction](): {"Host", "Port"},
		reflect.TypeFor[corev1.GRPCAction]():      {"Port", "Service"},
	}
	for of := range maps.Keys(known) {
		var fields []string
		for i := range of.NumField() {
			fields = append(fields, of.Field(i).Name)
		}
		slices.Sort(fields)
		if diff := cmp.Diff(known[of], fields); diff != "" {
			t.Errorf("%s (-known, +there): %s", of, diff)
		}
	}
}
