/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/network"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/internal/telemetry"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// An agent that refuses its arguments takes its model down, so whatever this
// controller writes must be read by the agent as it was meant.
func TestTheAgentReadsWhatTheControllerWrites(t *testing.T) {
	attributes := []metadata.Attribute{
		{Name: "odd", Value: `a,b "c" d=e $(HOME) $$ 東京 50%`},
		{Name: "empty", Value: ""},
		{Name: "team", Value: "ai-platform"},
	}
	linear, unknown := eventingduckv1.BackoffPolicyLinear, eventingduckv1.BackoffPolicyType("unknown")
	size := func(text string) *resource.Quantity { quantity := resource.MustParse(text); return &quantity }
	for what, test := range map[string]struct {
		logger v1beta1.LoggerSpec
		change func(*corev1.Container)
		sink   *duckv1.Addressable
		letter *duckv1.Addressable
		want   func(*testing.T, *agentconfig.Config)
	}{
		"a plain logger without a sink": {
			want: func(t *testing.T, read *agentconfig.Config) {
				if len(read.Sinks) != 0 {
					t.Errorf("sinks = %v, want none", read.Sinks)
				}
			},
		},
		"a Broker with TLS and a token": {
			sink: &duckv1.Addressable{
				URL:      apis.HTTPS("broker-ingress.knative-eventing.svc.cluster.local"),
				Audience: ptr.String("eventing.knative.dev/broker/default/default"),
			},
			want: func(t *testing.T, read *agentconfig.Config) {
				sink := read.Sinks[0]
				if sink.URL.String() != "https://broker-ingress.knative-eventing.svc.cluster.local" ||
					sink.CACertsDir != "/etc/sidenote/trust/sink" || sink.TokenFile != "/var/run/sidenote/sink/token" ||
					read.ClusterDomain != network.GetClusterDomainName() {
					t.Errorf("sink = %+v", sink)
				}
			},
		},
		"a sample": {
			logger: v1beta1.LoggerSpec{
				Sampling:           &v1beta1.SamplingSpec{Percent: "0.50", KeepFailures: true, KeepSlowerThan: &metav1.Duration{Duration: 2 * time.Second}},
				MaxEventsPerSecond: new(int64(100)),
			},
			want: func(t *testing.T, read *agentconfig.Config) {
				if want := (agentconfig.Sampling{Percent: .5, KeepFailures: true, KeepSlowerThan: 2 * time.Second}); read.Sampling != want || read.MaxEventsPerSecond != 100 {
					t.Errorf("it samples %+v, at most %d events in a second", read.Sampling, read.MaxEventsPerSecond)
				}
			},
		},
		"one in so many": {
			logger: v1beta1.LoggerSpec{Sampling: &v1beta1.SamplingSpec{OneIn: new(int64(7))}},
			want: func(t *testing.T, read *agentconfig.Config) {
				if want := (agentconfig.Sampling{OneIn: 7}); read.Sampling != want || read.MaxEventsPerSecond != 0 {
					t.Errorf("it samples %+v, at most %d events in a second", read.Sampling, read.MaxEventsPerSecond)
				}
			},
		},
		"a URL with a query": {
			sink: &duckv1.Addressable{URL: &apis.URL{Scheme: "http", Host: "sink:8080", Path: "/a=b", RawQuery: "key=value&x=$y"}},
			want: func(t *testing.T, read *agentconfig.Config) {
				if got, want := read.Sinks[0].URL.String(), "http://sink:8080/a=b?key=value&x=$y"; got != want {
					t.Errorf("sink = %s, want %s", got, want)
				}
			},
		},
		"a delivery with a dead letter sink": {
			logger: v1beta1.LoggerSpec{Delivery: &eventingduckv1.DeliverySpec{
				Retry: ptr.Int32(3), BackoffPolicy: &linear, BackoffDelay: ptr.String("PT0.5S"),
				Timeout: ptr.String("PT1M"), RetryAfterMax: ptr.String("PT0S"),
			}},
			sink: &duckv1.Addressable{URL: apis.HTTP("sink")},
			letter: &duckv1.Addressable{
				URL:      &apis.URL{Scheme: "https", Host: "letters", Path: "/$x"},
				Audience: ptr.String("letters"),
			},
			want: func(t *testing.T, read *agentconfig.Config) {
				sink := read.Sinks[0]
				if *sink.Schedule.Retries != 3 || sink.Schedule.Policy != agentconfig.BackoffLinear || *sink.Schedule.Delay != 500*time.Millisecond ||
					sink.Timeout != time.Minute || *sink.RetryAfterMax != 0 {
					t.Errorf("sink = %+v", sink)
				}
				if letters := sink.DeadLetter; letters == nil || letters.URL.String() != "https://letters/$x" ||
					letters.CACertsDir != "/etc/sidenote/trust/dead-letter" || letters.TokenFile != "/var/run/sidenote/dead-letter/token" {
					t.Errorf("dead letter sink = %+v", letters)
				}
			},
		},
		"a delivery that no webhook saw": {
			logger: v1beta1.LoggerSpec{Delivery: &eventingduckv1.DeliverySpec{
				Retry: ptr.Int32(-1), BackoffPolicy: &unknown, BackoffDelay: ptr.String("1s"),
				Timeout: ptr.String("PT0S"), RetryAfterMax: ptr.String("-PT1S"),
			}},
			sink: &duckv1.Addressable{URL: apis.HTTP("sink")},
		},
		"paths that no webhook saw": {
			logger: v1beta1.LoggerSpec{Paths: append([]string{"", "v1", "/a?b"}, slices.Repeat([]string{"/a"}, 40)...)},
		},
		"a spool": {
			logger: v1beta1.LoggerSpec{Spool: &v1beta1.SpoolSpec{SizeLimit: size("1Gi"), WhenFull: v1beta1.DropNewest, Sync: true}},
			sink:   &duckv1.Addressable{URL: apis.HTTP("sink")},
			want: func(t *testing.T, read *agentconfig.Config) {
				want := &agentconfig.Spool{Directory: "/var/lib/sidenote/spool", Bytes: 768 << 20, DropNewest: true, Sync: true}
				if diff := cmp.Diff(want, read.Sinks[0].Spool); diff != "" {
					t.Errorf("spool (-want, +read): %s", diff)
				}
			},
		},
		"the smallest spool": {
			logger: v1beta1.LoggerSpec{Spool: &v1beta1.SpoolSpec{SizeLimit: &v1beta1.MinSpoolSize}},
			sink:   &duckv1.Addressable{URL: apis.HTTP("sink")},
		},
		"the largest spool": {
			logger: v1beta1.LoggerSpec{Spool: &v1beta1.SpoolSpec{SizeLimit: &v1beta1.MaxSpoolSize}},
			sink:   &duckv1.Addressable{URL: apis.HTTP("sink")},
		},
		"a spool that no webhook saw": {
			logger: v1beta1.LoggerSpec{Spool: &v1beta1.SpoolSpec{SizeLimit: size("1"), WhenFull: "Never"}},
			sink:   &duckv1.Addressable{URL: apis.HTTP("sink")},
		},
		"a dead letter sink without a sink": {
			letter: &duckv1.Addressable{URL: apis.HTTP("letters"), Audience: ptr.String("letters")},
			want: func(t *testing.T, read *agentconfig.Config) {
				if len(read.Sinks) != 0 {
					t.Errorf("sinks = %v, want none", read.Sinks)
				}
			},
		},
		"every option of the logger": {
			logger: v1beta1.LoggerSpec{
				Mode:            v1beta1.LogResponse,
				MetadataRefresh: v1beta1.RefreshLive,
				Events:          v1beta1.EventKinds,
				Paths:           []string{"/v1/models/*:predict", "!/$(HOME)/a,b c/*"},
				ContentMode:     v1beta1.ContentModeStructured,
				MaxPayloadBytes: ptr.Int64(16 << 20),
			},
			want: func(t *testing.T, read *agentconfig.Config) {
				paths, err := inference.ParsePaths([]string{"/v1/models/*:predict", "!/$(HOME)/a,b c/*"})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(paths, read.Paths, cmp.AllowUnexported(inference.Paths{})); diff != "" {
					t.Error("paths (-written, +read):", diff)
				}
				if len(read.Events) != len(v1beta1.EventKinds) || read.MaxPayloadBytes != 16<<20 || read.MetadataDir == "" {
					t.Errorf("arguments = %+v", read)
				}
			},
		},
		"an HTTP readiness and a gRPC startup probe": {
			change: func(model *corev1.Container) {
				model.ReadinessProbe = &corev1.Probe{
					ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
						Path: "/v2/health/ready?x=$(Y)", Scheme: corev1.URISchemeHTTPS, Host: "127.0.0.1",
						HTTPHeaders: []corev1.HTTPHeader{{Name: "X-Probe", Value: "1"}},
					}},
					InitialDelaySeconds: 1, TimeoutSeconds: 2, PeriodSeconds: 3, SuccessThreshold: 1, FailureThreshold: 5,
				}
				model.StartupProbe = &corev1.Probe{
					ProbeHandler:                  corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Service: ptr.String("model")}},
					TerminationGracePeriodSeconds: ptr.Int64(3),
				}
			},
			want: func(t *testing.T, read *agentconfig.Config) {
				if read.ReadinessProbe == nil || read.StartupProbe == nil {
					t.Errorf("probes = %v, %v", read.ReadinessProbe, read.StartupProbe)
				}
			},
		},
		"a TCP probe on another port": {
			change: func(model *corev1.Container) {
				model.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9999)}}}
			},
		},
		"a probe of thresholds alone": {
			change: func(model *corev1.Container) { model.ReadinessProbe = &corev1.Probe{FailureThreshold: 7} },
		},
	} {
		t.Run(what, func(t *testing.T) {
			model := corev1.Container{Name: "model", Image: "model", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}
			if test.change != nil {
				test.change(&model)
			}
			is := &v1beta1.InferenceService{ObjectMeta: metav1.ObjectMeta{Name: "my-model", Namespace: "ns"}}
			is.Spec.Predictor.Logger = &test.logger
			is.Spec.Predictor.Containers = []corev1.Container{model}
			is.SetDefaults(t.Context())
			applied := Applied{Agent: *config.FromContextOrDefaults(t.Context()).Agent, Metadata: attributes}
			applied.Observability.Metrics = telemetry.Metrics{Protocol: telemetry.GRPC, Endpoint: "http://collector:4317"}
			var sink, letters *AppliedSink
			if test.sink != nil {
				sink = &AppliedSink{Address: *test.sink}
			}
			if test.letter != nil {
				letters = &AppliedSink{Address: *test.letter}
			}
			applied.Sinks = one(sink, letters)

			containers := MakeService(predictor(is), "", applied).Spec.Template.Spec.Containers
			agent := containers[slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == v1beta1.AgentContainerName })]
			var written []string
			for _, argument := range agent.Args {
				written = append(written, strings.ReplaceAll(argument, "$$", "$"))
			}
			read, err := agentconfig.Parse(written)
			if err != nil {
				t.Fatalf("the agent refuses %q: %v", written, err)
			}
			if diff := cmp.Diff(attributes, read.Metadata); diff != "" {
				t.Error("metadata (-written, +read):", diff)
			}
			if read.MetricsExport != applied.Observability.Metrics {
				t.Errorf("metrics go to %+v", read.MetricsExport)
			}
			if read.Port != uint16(v1beta1.AgentPort) || read.AdminPort != uint16(v1beta1.AgentAdminPort) ||
				read.Source != "my-model-predictor-default" || read.InferenceService != "my-model" || read.Namespace != "ns" || read.Component != "predictor" {
				t.Errorf("arguments = %+v", read)
			}
			if test.want != nil {
				test.want(t, read)
			}
		})
	}
}

// TestTheAgentReadsWhatItExports, and is told nothing that it would refuse.
func TestTheAgentReadsWhatItExports(t *testing.T) {
	grpc := config.Observability{
		Metrics: telemetry.Metrics{Protocol: telemetry.GRPC, Endpoint: "http://collector:4317", Interval: time.Minute},
		Traces:  telemetry.Traces{Protocol: telemetry.HTTPProtobuf, Endpoint: "http://collector:4318/v1/traces", SamplingRate: .1},
	}
	byDefault := config.Observability{
		Metrics: telemetry.Metrics{Protocol: telemetry.Prometheus}, Traces: telemetry.Traces{Protocol: telemetry.None},
	}
	for what, test := range map[string]struct{ applied, want config.Observability }{
		"nothing":   {config.Observability{}, byDefault},
		"all of it": {grpc, grpc},
		"no metrics": {
			config.Observability{Metrics: telemetry.Metrics{Protocol: telemetry.None}},
			config.Observability{Metrics: telemetry.Metrics{Protocol: telemetry.None}, Traces: telemetry.Traces{Protocol: telemetry.None}},
		},
		"traces to the standard output": {
			config.Observability{Traces: telemetry.Traces{Protocol: telemetry.Stdout}},
			config.Observability{Metrics: telemetry.Metrics{Protocol: telemetry.Prometheus}, Traces: telemetry.Traces{Protocol: telemetry.Stdout}},
		},
		"what no webhook saw": {
			config.Observability{
				Metrics: telemetry.Metrics{Protocol: telemetry.GRPC, Endpoint: "nowhere\n"},
				Traces:  telemetry.Traces{Protocol: "udp", SamplingRate: 7},
			},
			byDefault,
		},
	} {
		var written agentconfig.Config
		setTelemetry(&written, test.applied)
		line := written.Args()
		read, err := agentconfig.Parse(line)
		if err != nil {
			t.Errorf("%s: the agent refuses %q: %v", what, line, err)
			continue
		}
		got := config.Observability{Metrics: read.MetricsExport, Traces: read.TracesExport}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
	}
}
