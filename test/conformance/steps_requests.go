/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"io"
	"net/http"
	"strings"
)

const ownType = "io.kubeflow.serving.inference.request"

// structured is a request whose body is a CloudEvent of a type.
func structured(contentType, text string) exchange {
	x := prediction()
	x.request = body{contentType: contentType, wire: text, plain: text}
	return x
}

func eventOf(eventType string) string {
	return `{"specversion":"1.0","id":"1","source":"s","type":"` + eventType + `"}`
}

// loopSteps are the section "Loops".
func loopSteps() []Step {
	const single, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
	endless := strings.Replace(ownType, "request", "loop", 1)
	padding := func(n int) string { return `{"padding":"` + strings.Repeat(" ", n) + `",` }
	return []Step{
		{
			Name: "a loop is told by its request", Logger: Everything,
			Statements: statements(
				"The agent recognises such an exchange by its request.",
				"Any client can send such a request, so the exchange still gives an event when it ends: one of the type `loop`, without a body.",
				"`loopreason` says how the agent recognised it:",
				"`header`: `Ce-Type` begins with `io.kubeflow.serving.inference.`;",
				"`body`: the Content-Type is that of an event or a batch of events in structured mode, and the body has such a `type`;",
				"`unreadable`: the Content-Type is that of an event in structured mode, and the part of the body up to `maxPayloadBytes` has no `type`.",
			),
			Run: func(s *Stage) {
				for reason, x := range map[string]exchange{
					"header":     prediction().having("Ce-Type", "io.kubeflow.serving.inference.anything"),
					"body":       structured(single, eventOf(ownType)),
					"unreadable": structured(single, padding(100_000)+eventOf(ownType)[1:]),
				} {
					e := s.events(x, "loop")["loop"]
					s.expect("loopreason", e.Attribute("loopreason"), reason)
					s.expect("data", string(e.Data()), "")
				}
				s.expect("loopreason of a batch", s.events(structured(batch, "["+eventOf("other")+","+eventOf(ownType)+"]"), "loop")["loop"].Attribute("loopreason"), "body")
			},
		},
		{
			Name: "an event of another type is no loop", Logger: Everything,
			Statements: statements("The agent recognises such an exchange by its request."),
			Beside:     "a Broker takes an event for the event that is its body, and drops it",
			Run: func(s *Stage) {
				s.events(structured(single, eventOf("com.example.other")), "request", "response")
			},
		},
		{
			Name: "a loop ends after one round", Logger: Everything,
			Statements: statements(
				"A request that carries an event of the type `loop` gives no event, and is counted as skipped for `loop`.",
				"The same holds for an `unreadable` request of at most 64 KiB, because it may be such an event.",
				"So every loop ends after one round: an event of a request or a response gives at most one `loop` event, and a `loop` event gives none.",
			),
			Run: func(s *Stage) {
				s.events(prediction().having("Ce-Type", endless))
				s.events(structured(single, eventOf(endless)))
				s.events(structured(single, padding(payloadCap)+eventOf(ownType)[1:]))
			},
		},
	}
}

// choiceSteps are the section "Which requests".
func choiceSteps() []Step {
	get := func(path string) exchange {
		return exchange{method: http.MethodGet, path: path, response: jsonBody(`{}`)}
	}
	return []Step{
		{
			Name: "health, state and metadata are no inference", Logger: Everything,
			Statements: statements(
				"By default every request counts as inference and gives events, except requests for health, state or metadata.",
				"These are a GET or HEAD without a body of",
				"`/`, `/health*`, `/readyz`, `/livez` and `/metrics`,",
				"`/ping`, `/-/healthz`, `/-/ready`, `/version` and `/v1/health/*`, which widespread model servers use,",
				"`/v1/models`, `/v1/models/*`, `/v2` and `/v2/*`, which the V1 and the Open Inference Protocol use for readiness, state and metadata.",
			),
			Run: func(s *Stage) {
				for _, path := range []string{
					"/", "/healthz", "/readyz", "/livez", "/metrics", "/ping", "/-/healthz", "/-/ready", "/version", "/v1/health/ready",
					"/v1/models", "/v1/models/m", "/v2", "/v2/models/m/ready",
				} {
					s.events(get(path))
				}
				s.events(exchange{method: http.MethodHead, path: "/v2/health/live"})
				s.events(get("/any/other"), "request", "response")
				s.events(prediction().to("/v2/health/ready"), "request", "response")
			},
		},
		{
			Name: "gRPC methods of health and metadata are no inference", Logger: Calls,
			Statements: statements(
				"The gRPC methods `grpc.health.v1.Health`, `grpc.reflection.*`, and `ServerLive`, `ServerReady`, `ServerMetadata`, `ModelReady` and `ModelMetadata` of `inference.GRPCInferenceService` are not inference either.",
			),
			Run: func(s *Stage) {
				for _, path := range []string{
					"/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
					"/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady", "/inference.GRPCInferenceService/ServerMetadata",
					"/inference.GRPCInferenceService/ModelReady", "/inference.GRPCInferenceService/ModelMetadata",
				} {
					s.events(asCall(exchange{path: path, request: messages("").whole(), response: messages("").whole(), trailer: "Grpc-Status=0"}))
				}
				s.events(asCall(exchange{
					path: "/inference.GRPCInferenceService/ModelInfer", request: messages("").whole(), response: messages("").whole(), trailer: "Grpc-Status=0",
				}), "request", "response")
			},
		},
		{
			Name: "paths replace the default", Logger: Patterns,
			Statements: statements(
				"`logger.paths` (the agent's `--paths`, once for each pattern) replaces this default.",
				"A pattern matches the whole path.",
				"`*` matches any characters, including slashes:",
				"A request is inference if its path matches a pattern and matches none with a leading `!`.",
				"The order of the patterns doesn't matter.",
				"The pattern is compared with the path after percent-decoding, without its query; `..` is not resolved.",
			),
			Run: func(s *Stage) {
				for _, path := range []string{
					"/v1/models/m:predict", "/v1/models/a/b:predict", "/v2/models/m/infer", "/v1/models/m%3Apredict", "/v1/models/m:predict?q=1",
				} {
					s.events(prediction().to(path), "request", "response")
				}
				for _, path := range []string{"/v1/models/internal-m:predict", "/v1/models/m:predict/more", "/prefix/v1/models/m:predict", "/v1/models/%69nternal-m:predict", "/other"} {
					s.events(prediction().to(path))
				}
			},
		},
		{
			Name: "exclusions only", Logger: Exclusions,
			Statements: statements(
				"With exclusions only, the default applies to all other paths.",
			),
			Run: func(s *Stage) {
				s.events(prediction().to("/v1/models/internal-m:predict"))
				s.events(prediction().to("/anything"), "request", "response")
				s.events(get("/metrics"))
			},
		},
		{
			Name: "the headers of a probe", Logger: Patterns,
			Statements: statements(
				"A GET or HEAD without a body that has a header of a probe (`User-Agent: kube-probe/…`, `K-Network-Probe`, `K-Kubelet-Probe`) gives no event, whatever `paths` contain.",
			),
			Beside: "queue-proxy and the activator respond to their own probes",
			Run: func(s *Stage) {
				for name, value := range map[string]string{"User-Agent": "kube-probe/1.35", "K-Network-Probe": "queue", "K-Kubelet-Probe": "x"} {
					s.events(get(predictPath).having(name, value))
				}
				s.events(get(predictPath), "request", "response")
				s.events(prediction().having("User-Agent", "kube-probe/1.35"), "request", "response")
			},
		},
		{
			Name: "a chunked GET", Logger: Everything,
			Statements: statements(
				"So the agent decides about a chunked GET or HEAD when its body ends, and treats an empty body like none.",
			),
			Beside: "an ingress may give a chunked request a length",
			Run: func(s *Stage) {
				for text, kinds := range map[string][]string{"": nil, "body": {"request", "response"}} {
					s.events(exchange{replacement: func(s *Stage, _ exchange, header http.Header) { chunkedGet(s, header, text) }}, kinds...)
				}
			},
		},
		{
			Name: "another upgrade is ignored", Logger: Everything,
			Statements: statements(
				"The agent ignores any other upgrade, such as the `h2c` that Java's HTTP client asks for, and doesn't pass it on.",
			),
			Run: func(s *Stage) {
				s.events(prediction().having("Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "Http2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"), "request", "response")
			},
			Beside: "an ingress may answer the upgrade itself",
		},
	}
}

func chunkedGet(s *Stage, header http.Header, text string) {
	request, err := http.NewRequestWithContext(s.Ctx, http.MethodGet, s.URL()+"/v2/models/m", io.NopCloser(strings.NewReader(text)))
	if err != nil {
		s.Fatalf("%v", err)
	}
	request.ContentLength = -1
	request.Header = header
	response, err := s.Client("HTTP/1.1").Do(request)
	if err != nil {
		s.Fatalf("%v", err)
	}
	response.Body.Close()
}
