/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inference

import (
	"net/http"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/wildcard"
)

// kubeletUserAgent begins the User-Agent of a kubelet's probe.
const kubeletUserAgent = "kube-probe/"

// probeHeaders mark the probes of Knative, and those of a kubelet that Knative
// passes on (knative.dev/networking, pkg/http/header).
var probeHeaders = []string{"K-Network-Probe", "K-Kubelet-Probe"}

// healthPaths are what a GET or HEAD asks for a server's health by: the usual
// ones, those of widespread model servers (SageMaker's /ping, Ray Serve's
// /-/healthz, vLLM's /version, NVIDIA NIM's /v1/health), and those of the V1 and
// the Open Inference Protocol, where inference is always a POST and a GET asks
// for the state or metadata of a server or model.
var healthPaths = patternsOf(
	"/", "/health*", "/readyz", "/livez", "/metrics",
	"/ping", "/-/healthz", "/-/ready", "/version", "/v1/health/*",
	"/v1/models", "/v1/models/*",
	"/v2", "/v2/*",
)

// healthMethods are the like in gRPC.
var healthMethods = patternsOf(
	"/grpc.health.v1.Health/*",
	"/grpc.reflection.*",
	"/inference.GRPCInferenceService/ServerLive",
	"/inference.GRPCInferenceService/ServerReady",
	"/inference.GRPCInferenceService/ServerMetadata",
	"/inference.GRPCInferenceService/ModelReady",
	"/inference.GRPCInferenceService/ModelMetadata",
)

func patternsOf(texts ...string) []wildcard.Pattern {
	patterns := make([]wildcard.Pattern, 0, len(texts))
	for _, text := range texts {
		patterns = append(patterns, wildcard.Parse(text))
	}
	return patterns
}

// probes says whether a request calls itself a probe. Only one that could be:
// no client keeps a prediction unseen by a header.
func probes(r *http.Request, empty bool) bool {
	if !reads(r, empty) {
		return false
	}
	for _, name := range probeHeaders {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return strings.HasPrefix(r.UserAgent(), kubeletUserAgent)
}

// asksForHealth says whether a request asks how a server or its models are.
func asksForHealth(r *http.Request, empty bool) bool {
	if reads(r, empty) {
		return matchAny(healthPaths, r.URL.Path)
	}
	return r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") &&
		matchAny(healthMethods, r.URL.Path)
}

// reads says whether a request only asks: with neither a body nor a tunnel to
// follow.
func reads(r *http.Request, empty bool) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && empty && !AsksForTunnel(r)
}
