/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/internal/telemetry"
)

// shipped reads a ConfigMap as it is installed, with the options of its
// example as its data where those are asked for.
func shipped(t *testing.T, name string, example bool) *corev1.ConfigMap {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "400-"+name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var configMap corev1.ConfigMap
	if err := yaml.UnmarshalStrict(content, &configMap); err != nil {
		t.Fatal(err)
	}
	if example {
		text := configMap.Data["_example"]
		configMap.Data = nil
		if err := yaml.UnmarshalStrict([]byte(text), &configMap.Data); err != nil {
			t.Fatalf("the example of %s is not a map of strings: %v", name, err)
		}
	}
	return &configMap
}

func TestShippedConfigMapsSayTheDefaults(t *testing.T) {
	logger, err := NewLoggerFromConfigMap(shipped(t, LoggerConfigName, false))
	if err != nil {
		t.Fatal(err)
	}
	example, err := NewLoggerFromConfigMap(shipped(t, LoggerConfigName, true))
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]*Logger{"shipped": logger, "example": example} {
		if diff := cmp.Diff(defaultLogger(), got); diff != "" {
			t.Errorf("%s %s (-default, +got): %s", what, LoggerConfigName, diff)
		}
	}

	agent, err := NewAgentFromConfigMap(shipped(t, AgentConfigName, false))
	if err != nil {
		t.Fatal(err)
	}
	agentExample, err := NewAgentFromConfigMap(shipped(t, AgentConfigName, true))
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]*Agent{"shipped": agent, "example": agentExample} {
		want := defaultAgent()
		want.Image = got.Image
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-default, +got): %s", what, AgentConfigName, diff)
		}
	}
}

// One number gives the others, unless they are set.
func TestTheMemoryLimitGivesTheRest(t *testing.T) {
	for what, test := range map[string]struct {
		data         map[string]string
		runtimeLimit string
		buffer       int64
		request      string
		exchanges    int64
	}{
		"the default":          {nil, "96MiB", 32 << 20, "64Mi", 512},
		"the least":            {map[string]string{"memory-limit": "32Mi"}, "16MiB", 16 << 20 / 3, "32Mi", 85},
		"a small one":          {map[string]string{"memory-limit": "60Mi"}, "44MiB", 44 << 20 / 3, "60Mi", 234},
		"a large one":          {map[string]string{"memory-limit": "1Gi"}, "768MiB", 256 << 20, "64Mi", 4096},
		"an odd one":           {map[string]string{"memory-limit": "200M"}, "150000000B", 50_000_000, "64Mi", 762},
		"Go's own":             {map[string]string{"memory-limit": "1Gi", "gomemlimit": "600MiB"}, "600MiB", 200 << 20, "64Mi", 3200},
		"a buffer of its own":  {map[string]string{"memory-limit": "1Gi", "buffer-bytes": "200000"}, "768MiB", 200_000, "64Mi", 6142},
		"a request of its own": {map[string]string{"memory-limit": "1Gi", "memory-request": "512Mi"}, "768MiB", 256 << 20, "512Mi", 4096},
	} {
		data := map[string]string{"image": "agent", "max-payload-bytes": "100000"}
		maps.Copy(data, test.data)
		agent, err := NewAgentFromConfigMap(&corev1.ConfigMap{Data: data})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if agent.GoMemoryLimit != test.runtimeLimit || agent.BufferBytes != test.buffer || agent.Resources.Requests.Memory().String() != test.request || agent.MaxExchanges != test.exchanges {
			t.Errorf("%s: gomemlimit %s, buffer-bytes %d, memory-request %s, max-exchanges %d, want %s, %d, %s, %d", what,
				agent.GoMemoryLimit, agent.BufferBytes, agent.Resources.Requests.Memory(), agent.MaxExchanges, test.runtimeLimit, test.buffer, test.request, test.exchanges)
		}
	}
}

// What is derived is never refused, and the remedy of a refusal is taken.
func TestTheMemorysDivisionHolds(t *testing.T) {
	for limit := int64(minMemoryLimit); limit < 64<<30; limit += limit/7 + 1 {
		runtimeLimit, buffer := divideMemory(limit)
		exchanges := exchangesOf(runtimeLimit, buffer)
		if err := checkMemory(limit, runtimeLimit, buffer, exchanges); err != nil {
			t.Errorf("of %d: %v", limit, err)
		}
		if got := exchangesOf(divideMemory(limitForExchanges(2 * exchanges))); got < 2*exchanges {
			t.Errorf("a limit for %d exchanges leaves room for %d", 2*exchanges, got)
		}
		for _, wanted := range []int64{limit, 2 * limit} {
			enough := limitFor(wanted)
			if got, _ := divideMemory(enough); got < wanted || got > wanted+1 {
				t.Errorf("a limit of %d leaves the runtime %d, want %d", enough, got, wanted)
			}
		}
	}
}

func TestExportSettings(t *testing.T) {
	for what, test := range map[string]struct {
		data map[string]string
		want Observability
		// wrong is part of the error, empty for none.
		wrong string
	}{
		"as shipped": {data: shipped(t, ObservabilityConfigName(), false).Data},
		"keys of their own for metrics, shared ones for traces": {
			data: map[string]string{
				"metrics-protocol": "prometheus", "metrics-endpoint": ":9090", "runtime-profiling": "enabled",
				"request-metrics-protocol": "grpc", "request-metrics-endpoint": "http://collector:4317", "request-metrics-export-interval": "30s",
				"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://collector:4318/v1/traces", "tracing-sampling-rate": "0.5",
			},
			want: Observability{
				Metrics: telemetry.Metrics{Protocol: telemetry.GRPC, Endpoint: "http://collector:4317", Interval: 30 * time.Second},
				Traces:  telemetry.Traces{Protocol: telemetry.HTTPProtobuf, Endpoint: "http://collector:4318/v1/traces", SamplingRate: .5},
			},
		},
		"no endpoint":                         {data: map[string]string{"request-metrics-protocol": "grpc"}, wrong: "request-metrics-*: the protocol grpc needs the endpoint"},
		"no time":                             {data: map[string]string{"request-metrics-export-interval": "often"}, wrong: "request-metrics-export-interval"},
		"an endpoint that would drop a query": {data: map[string]string{"tracing-protocol": "http/protobuf", "tracing-endpoint": "http://collector/?key=x"}, wrong: "tracing-*: invalid endpoint"},
		"what the control plane can't read":   {data: map[string]string{"metrics-protocol": "udp"}, wrong: "udp"},
	} {
		got, err := NewObservabilityFromConfigMap(&corev1.ConfigMap{Data: test.data})
		switch {
		case test.wrong == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
			t.Errorf("%s: got %v, want an error with %q", what, err, test.wrong)
		case test.wrong == "":
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("%s (-want, +got): %s", what, diff)
			}
		}
	}
}

func TestUnreadableConfigMapsAreRefused(t *testing.T) {
	for what, test := range map[string]struct {
		data map[string]string
		want string
	}{
		"no image":                   {map[string]string{}, "image"},
		"a limit that Go can't read": {map[string]string{"image": "a", "gomemlimit": "96Mi"}, "gomemlimit"},
		"no number":                  {map[string]string{"image": "a", "buffer-bytes": "many"}, "buffer-bytes"},
		"no payload":                 {map[string]string{"image": "a", "max-payload-bytes": "0"}, "max-payload-bytes"},
		"a buffer below a body":      {map[string]string{"image": "a", "buffer-bytes": "10"}, "buffer-bytes"},
		"a body of over half of it":  {map[string]string{"image": "a", "max-payload-bytes": "16777217"}, "max-payload-bytes is 16777217, over half of buffer-bytes (33554432): write at most 16777216, or leave gomemlimit and buffer-bytes out, with a memory-limit of at least 129Mi"},
		"a request over a limit":     {map[string]string{"image": "a", "memory-request": "1Gi"}, "memory-request"},
		"too little memory":          {map[string]string{"image": "a", "memory-limit": "16Mi"}, "memory-limit is 16Mi: write at least 32Mi"},
		"too small a limit for Go":   {map[string]string{"image": "a", "gomemlimit": "1MiB"}, "write at least 16MiB, or leave it out"},
		"all memory for Go":          {map[string]string{"image": "a", "gomemlimit": "128MiB"}, "gomemlimit 128MiB is too much for the memory-limit 128Mi: write at most 120795948B, leave it out, or raise memory-limit to 171Mi"},
		"more than there is":         {map[string]string{"image": "a", "gomemlimit": "9999999TiB"}, "gomemlimit"},
		"a buffer as large as Go's":  {map[string]string{"image": "a", "buffer-bytes": "67108864"}, "buffer-bytes 67108864 is too much for the gomemlimit 96MiB: write at most 50331648, leave it out, or raise memory-limit to 171Mi"},
		"a buffer over a set limit":  {map[string]string{"image": "a", "buffer-bytes": "33554432", "gomemlimit": "32MiB"}, "write at most 16777216"},
		"no exchange":                {map[string]string{"image": "a", "max-exchanges": "0"}, "max-exchanges is 0: write at least 8, or leave it out"},
		"more exchanges than room":   {map[string]string{"image": "a", "max-exchanges": "513"}, "max-exchanges 513 is too much for the gomemlimit 96MiB with buffer-bytes 33554432: write at most 512, leave it out, or raise memory-limit to 129Mi"},
		"no quantity":                {map[string]string{"image": "a", "cpu-limit": "much"}, "cpu-limit"},
	} {
		_, err := NewAgentFromConfigMap(&corev1.ConfigMap{Data: test.data})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error that names %s", what, err, test.want)
		}
	}
	for what, sink := range map[string]string{
		"not YAML":           ":",
		"nothing":            "",
		"an unknown field":   "broker: default",
		"half a ref":         "ref: {kind: Broker}",
		"a relative uri":     "uri: /path",
		"a uri with no host": "uri: 'http:///path'",
	} {
		_, err := NewLoggerFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"default-sink": sink}})
		if err == nil || !strings.Contains(err.Error(), "default-sink") {
			t.Errorf("a default sink that is %s: got %v, want an error that names default-sink", what, err)
		}
	}
}

func TestDenyListCoversCredentials(t *testing.T) {
	for key, denied := range map[string]bool{
		"kubectl.kubernetes.io/last-applied-configuration": true,
		"example.com/apikey":             true,
		"example.com/openai-api-key":     true,
		"x_api_key":                      true,
		"db-passwd":                      true,
		"DB_PASSWORD":                    true,
		"example.com/pwd":                true,
		"example.com/privateKey":         true,
		"ssh-private-key":                true,
		"tls-passphrase":                 true,
		"aws-access-key-id":              true,
		"accessKey":                      true,
		"example.com/Authorization":      true,
		"bearer":                         true,
		"session-cookie":                 true,
		"jwt":                            true,
		"client-secret":                  true,
		"hf-token":                       true,
		"gcp-credentials":                true,
		"team":                           false,
		"example.com/author":             false,
		"example.com/cost-center":        false,
		"example.com/data-class":         false,
		"serving.kubeflow.org/version":   false,
		"example.com/keyword-extraction": false,
	} {
		if _, got := defaultLogger().DeniedAnnotations.Match(key); got != denied {
			t.Errorf("%s is denied: %v, want %v", key, got, denied)
		}
	}
}

func TestAllowedAudiencesAreWritten(t *testing.T) {
	logger, err := NewLoggerFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"allowed-audiences": "https://collector.example\n  my-sink "}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"https://collector.example", "my-sink"}, logger.AllowedAudiences); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
	if _, err := NewLoggerFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"allowed-audiences": "*.example"}}); err == nil || !strings.Contains(err.Error(), "in full") {
		t.Errorf("of a pattern it says %v", err)
	}
}

func TestEventTypesCanBeSwitchedOff(t *testing.T) {
	for text, test := range map[string]struct {
		data    map[string]string
		enabled bool
		wrong   bool
	}{
		"absent":   {nil, true, false},
		"enabled":  {map[string]string{"event-types": "enabled"}, true, false},
		"disabled": {map[string]string{"event-types": "disabled"}, false, false},
		"false":    {map[string]string{"event-types": "false"}, false, true},
	} {
		logger, err := NewLoggerFromConfigMap(&corev1.ConfigMap{Data: test.data})
		switch {
		case test.wrong:
			if err == nil || !strings.Contains(err.Error(), "event-types") {
				t.Errorf("%s: %v, want an error that names event-types", text, err)
			}
		case err != nil:
			t.Errorf("%s: %v", text, err)
		case logger.EventTypes != test.enabled:
			t.Errorf("%s: enabled is %v, want %v", text, logger.EventTypes, test.enabled)
		}
	}
}

func TestDeniedValues(t *testing.T) {
	read := func(text string) (*Logger, error) {
		return NewLoggerFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"denied-values": text}})
	}
	logger, err := read("\n  ^internal-[0-9]+$  \n\na b\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"^internal-[0-9]+$", "a b"}, logger.DeniedValues.Patterns()); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
	for text, want := range map[string]string{
		"a\n(":                    "denied-values: pattern 2: it is not a regular expression of RE2",
		"a*":                      "denied-values: pattern 1: it matches the empty value",
		"\n \n":                   "denied-values: empty: write a pattern on each line",
		strings.Repeat("a\n", 65): "denied-values: 65 patterns: write at most 64",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
