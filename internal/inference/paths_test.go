/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inference

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDefaultPaths(t *testing.T) {
	for request, want := range map[string]Verdict{
		"POST /v1/models/m:predict":               Inference,
		"POST /v2/models/m/infer":                 Inference,
		"POST /v2/models/m/versions/1/infer":      Inference,
		"POST /":                                  Inference,
		"POST /healthz":                           Inference,
		"GET /predict?x=1":                        Inference,
		"GET /recommend/healthz":                  Inference,
		"GET /v1/completions":                     Inference,
		"OPTIONS *":                               Inference,
		"GET /":                                   Probe,
		"GET /?probe":                             Probe,
		"HEAD /healthz":                           Probe,
		"GET /health":                             Probe,
		"GET /health/ready":                       Probe,
		"GET /readyz":                             Probe,
		"GET /livez":                              Probe,
		"GET /metrics":                            Probe,
		"GET /v1/models":                          Probe,
		"GET /v1/models/m":                        Probe,
		"GET /v2":                                 Probe,
		"GET /v2/health/live":                     Probe,
		"GET /v2/health/ready":                    Probe,
		"GET /v2/models/m":                        Probe,
		"GET /v2/models/m/versions/1/ready":       Probe,
		"GET /%68ealthz":                          Probe,
		"GRPC /grpc.health.v1.Health/Check":       Probe,
		"POST /grpc.health.v1.Health/Check":       Inference,
		"GRPC /grpc.reflection.v1.ServerRe/Info":  Probe,
		"GRPC " + service + "ServerLive":          Probe,
		"GRPC " + service + "ServerReady":         Probe,
		"GRPC " + service + "ServerMetadata":      Probe,
		"GRPC " + service + "ModelReady":          Probe,
		"GRPC " + service + "ModelMetadata":       Probe,
		"GRPC " + service + "ModelInfer":          Inference,
		"GRPC " + service + "ModelStreamInfer":    Inference,
		"GET /predict User-Agent: kube-probe/1.3": Probe,
		"GET /predict K-Network-Probe: probe":     Probe,
		"GET /predict K-Kubelet-Probe: v":         Probe,
		"POST /predict User-Agent: kube-probe/1":  Inference,
		"POST /predict K-Network-Probe: probe":    Inference,
		// Without "Connection: upgrade" it asks for no upgrade.
		"GET / Upgrade: websocket": Probe,
		"GET /ping":                Probe,
		"POST /ping":               Inference,
		"GET /-/healthz":           Probe,
		"GET /-/ready":             Probe,
		"GET /version":             Probe,
		"GET /v1/health/ready":     Probe,
		"GET /v1/health/live":      Probe,
		"GET /v2/health/ready Connection: Upgrade, HTTP2-Settings; Upgrade: h2c":     Probe,
		"GET /predict Connection: Upgrade; Upgrade: h2c; User-Agent: kube-probe/1.3": Probe,
		"GET /predict Connection: Upgrade; Upgrade: h2c":                             Inference,
		"GET /v2/health/ready Connection: upgrade; Upgrade: WebSocket":               Inference,
	} {
		if got, _ := (Paths{}).Judge(requestOf(request)); got != want {
			t.Errorf("%s: %d, want %d", request, got, want)
		}
	}
}

// TestAGetWithABodyIsInference, on any path: no probe has one.
func TestAGetWithABodyIsInference(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/v1/models/m:predict", strings.NewReader("{}"))
	r.Header.Set("User-Agent", "kube-probe/1.30")
	if got, _ := (Paths{}).Judge(r); got != Inference {
		t.Errorf("judged %d", got)
	}
}

// TestAnOpenBodyLeavesItOpen whether a GET is inference: its head doesn't say
// whether the body is empty.
func TestAnOpenBodyLeavesItOpen(t *testing.T) {
	internal, err := ParsePaths([]string{"!/internal/*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		paths            Paths
		request          string
		verdict, ifEmpty Verdict
	}{
		{Paths{}, "GET /v2/health/ready", Inference, Probe},
		{Paths{}, "HEAD /healthz", Inference, Probe},
		{Paths{}, "GET /predict", Inference, Inference},
		{Paths{}, "GET /predict K-Network-Probe: probe", Inference, Probe},
		{Paths{}, "POST /healthz", Inference, Inference},
		{Paths{}, "GRPC /grpc.health.v1.Health/Check", Probe, Probe},
		{internal, "GET /internal/x K-Network-Probe: probe", OtherPath, Probe},
		{internal, "GET /internal/x", OtherPath, OtherPath},
	} {
		r := requestOf(test.request)
		r.ContentLength = -1
		if verdict, ifEmpty := test.paths.Judge(r); verdict != test.verdict || ifEmpty != test.ifEmpty {
			t.Errorf("%s: %d, empty %d, want %d and %d", test.request, verdict, ifEmpty, test.verdict, test.ifEmpty)
		}
	}
}

func TestPatternsSayWhatIsInference(t *testing.T) {
	for _, test := range []struct {
		patterns, request string
		want              Verdict
	}{
		{"/v1/models/*", "POST /v1/models/m:predict", Inference},
		{"/v1/models/*", "POST /v1/models/", Inference},
		{"/v1/models/*", "POST /v1/models", OtherPath},
		{"/v1/models/*", "GET /v1/models/m", Inference},
		{"/v1/models/*", "GET /v1/models/m User-Agent: kube-probe/1", Probe},
		{"/v1/models/*:predict", "POST /v1/models/a/b:predict", Inference},
		{"/v1/models/*:predict", "POST /v1/models/m:explain", OtherPath},
		{"/v1/models/*:predict", "POST /v1/models/m%3Apredict", Inference},
		{"/v1/models/*:predict", "POST /v1/models/m:predict?x=/other", Inference},
		{"/a", "POST /a", Inference},
		{"/a", "POST /a/", OtherPath},
		{"*", "GET /metrics", Inference},
		{"/a*b*c", "POST /abc", Inference},
		{"/a*b*c", "POST /axbybzc", Inference},
		{"/a*b*c", "POST /ac", OtherPath},
		{"/ab*bc", "POST /abc", OtherPath},
		{"/a /b", "POST /b", Inference},
		{"/* !/internal/*", "POST /internal/x", OtherPath},
		{"!/internal/* /*", "POST /internal/x", OtherPath},
		{"/* !/internal/*", "POST /x", Inference},
		{"!/internal/*", "POST /x", Inference},
		{"!/internal/*", "GET /metrics", Probe},
		{"!/internal/*", "POST /internal/x", OtherPath},
		{"/modèle*", "POST /mod%C3%A8le:predict", Inference},
	} {
		paths, err := ParsePaths(strings.Fields(test.patterns))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := paths.Judge(requestOf(test.request)); got != test.want {
			t.Errorf("%s, %s: %d, want %d", test.patterns, test.request, got, test.want)
		}
	}
}

func TestInvalidPatternErrorHasTheRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "must begin with / or *",
		"v1/models":                    "must begin with / or *",
		"!":                            "must begin with / or *",
		"!!/a":                         "must begin with / or *",
		"/a?b=c":                       "leave out the query",
		"/a%20b":                       "write the character itself",
		"/a\nb":                        "printable characters",
		"/\xff":                        "printable characters",
		"/" + strings.Repeat("a", 256): "write at most 256",
	} {
		if _, err := ParsePaths([]string{"/good", text}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "pattern 2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := ParsePaths(make33()); err == nil || !strings.Contains(err.Error(), "more than 32 patterns") {
		t.Errorf("33 patterns: got %v", err)
	}
}

func make33() []string {
	return strings.Fields(strings.Repeat("/a ", MaxPatterns+1))
}

const service = "/inference.GRPCInferenceService/"

// requestOf reads "METHOD PATH [Header: value; …]". GRPC is a POST of gRPC.
func requestOf(text string) *http.Request {
	method, rest, _ := strings.Cut(text, " ")
	target, header, _ := strings.Cut(rest, " ")
	grpc := method == "GRPC"
	if grpc {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, target, nil)
	if grpc {
		r.Header.Set("Content-Type", "application/grpc+proto")
	}
	for line := range strings.SplitSeq(header, "; ") {
		if name, value, found := strings.Cut(line, ": "); found {
			r.Header.Set(name, value)
		}
	}
	return r
}
