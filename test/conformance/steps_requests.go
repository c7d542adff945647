/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
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
				"`unreadable`: the Content-Type is one of these, the body is larger than `maxPayloadBytes`, and in the part up to there a single event has no `type`, or a batch has no such `type`;",
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
				long := "[" + eventOf("other") + "," + padding(100_000) + eventOf(ownType)[1:] + "]"
				s.expect("loopreason of a long batch", s.events(structured(batch, long), "loop")["loop"].Attribute("loopreason"), "unreadable")
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
				"So every loop of these types ends after one round: an event of a request or a response gives at most one `loop` event, and a `loop` event gives none.",
			),
			Run: func(s *Stage) {
				s.events(prediction().having("Ce-Type", endless))
				s.events(structured(single, eventOf(endless)))
				s.events(structured(single, padding(payloadCap)+eventOf(ownType)[1:]))
			},
		},
		{
			Name: "an event of the model's own service is a loop", Logger: Detector,
			Statements: statements(
				"`service`: the event has a type of KServe's, which begins with `org.kubeflow.serving.inference.`, and its `inferenceservicename` and `namespace` are those of the agent's own service;",
				"The last two hold in binary and in structured mode.",
			),
			Run: func(s *Stage) {
				own := kserveEvent{service: s.Logger.Name, namespace: s.Identity()["namespace"]}
				for _, x := range []exchange{own.inBinaryMode(), own.inStructuredMode()} {
					e := s.events(x, "loop")["loop"]
					s.expect("loopreason", e.Attribute("loopreason"), "service")
					s.expect("data", string(e.Data()), "")
				}
				elsewhere := kserveEvent{service: s.Logger.Name, namespace: "elsewhere"}
				s.events(elsewhere.inBinaryMode(), kserveRequest, kserveResponse)
			},
		},
		{
			Name: "an event after two hops is a loop", Logger: Detector,
			Statements: statements(
				"`hops`: the event has a type of KServe's, and its `agenthops` is 2 or more.",
				"The last two hold in binary and in structured mode.",
			),
			Run: func(s *Stage) {
				for _, hops := range []int{2, 3} {
					far := kserveEvent{service: "other", namespace: "elsewhere", hops: hops}
					for _, x := range []exchange{far.inBinaryMode(), far.inStructuredMode()} {
						s.expect("loopreason", s.events(x, "loop")["loop"].Attribute("loopreason"), "hops")
					}
				}
			},
		},
		{
			Name: "a detector of another model's events is logged", Logger: Detector,
			Statements: statements(
				"A model may subscribe to the events of KServe's types of *another* model, as a drift detector does that is itself an InferenceService.",
				"Its exchanges are logged like any other.",
				"In the [profile `kserve`](#profile-kserve) their events have `agenthops`: 1 if the request carries an event of a model that a client called, 2 if it carries an event of such a detector.",
				"`agenthops` | –",
			),
			Run: func(s *Stage) {
				for hops, want := range map[int]string{0: "1", 1: "2"} {
					of := kserveEvent{service: "other", namespace: "elsewhere", hops: hops}
					for _, x := range []exchange{of.inBinaryMode(), of.inStructuredMode()} {
						for kind, e := range s.events(x, kserveRequest, kserveResponse) {
							s.expect("agenthops of the "+kind, e.Attribute("agenthops"), want)
						}
					}
				}
				for kind, e := range s.events(prediction(), kserveRequest, kserveResponse) {
					s.expect("agenthops of the "+kind, e.Attribute("agenthops"), "")
				}
			},
		},
		{
			Name: "in the profile sidenote a detector's events have no hops", Logger: Everything,
			Statements: statements(
				"Its exchanges are logged like any other.",
				"`agenthops` | –",
			),
			Run: func(s *Stage) {
				of := kserveEvent{service: "other", namespace: "elsewhere", hops: 1}
				for kind, e := range s.events(of.inBinaryMode(), "request", "response") {
					s.expect("agenthops of the "+kind, e.Attribute("agenthops"), "")
				}
			},
		},
		{
			Name: "two detectors feed each other twice",
			Statements: statements(
				"So two detectors that match each other's events feed each other twice, and then stop.",
			),
			Alone: func(t *testing.T, start Start) {
				detector := func(name string) *agenttest.Rig {
					return start(t, agenttest.With("--inference-service="+name, "--namespace=n", "--sink.default.profile=kserve", "--events=request,response,loop"))
				}
				first, second := detector("first"), detector("second")
				forward(t, first, second)
				forward(t, second, first)
				first.Do(http.MethodPost, predictPath, prediction().script(), strings.NewReader(instances))
				// The events of the first one are 2 without hops and 8 with two, those of the
				// second one are 4 with one hop, and 8 loops. The first one skips these.
				awaitLine(t, first, `sidenote_exchanges_skipped_total{reason="loop"} 8`)
				if one, other := hopsOf(first), hopsOf(second); one != "map[:2 2:8]" || other != "map[1:4 loop:8]" {
					t.Errorf("the events are, by their hops, %s and %s", one, other)
				}
			},
		},
	}
}

// kserveEvent is an event of a request in KServe's type.
type kserveEvent struct {
	service, namespace string
	hops               int
}

// inBinaryMode is an exchange whose request carries the event.
func (e kserveEvent) inBinaryMode() exchange {
	header := []string{
		"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "s", "Ce-Type", kserveRequest,
		"Ce-Inferenceservicename", e.service, "Ce-Namespace", e.namespace,
	}
	if e.hops > 0 {
		header = append(header, "Ce-Agenthops", strconv.Itoa(e.hops))
	}
	return prediction().having(header...)
}

func (e kserveEvent) inStructuredMode() exchange {
	text := strings.TrimSuffix(eventOf(kserveRequest), "}") + `,"inferenceservicename":"` + e.service + `","namespace":"` + e.namespace + `"`
	if e.hops > 0 {
		text += `,"agenthops":` + strconv.Itoa(e.hops)
	}
	return structured("application/cloudevents+json", text+"}")
}

// forward has the sink of one agent send each event to the model of another one.
func forward(t *testing.T, from, to *agenttest.Rig) {
	t.Helper()
	client := agenttest.HTTP1Client(t)
	from.Sink.Respond(func(_ agenttest.Attempt, w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, to.URL+predictPath, r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		maps.Copy(request.Header, r.Header)
		maps.Copy(request.Header, prediction().script())
		response, err := client.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		response.Body.Close()
		w.WriteHeader(http.StatusAccepted)
	})
}

// hopsOf counts the events that a sink got by their agenthops.
func hopsOf(r *agenttest.Rig) string {
	counts := make(map[string]int)
	for _, e := range r.Sink.Events() {
		if e.Kind() == "loop" {
			counts["loop"]++
		} else {
			counts[e.Attribute("agenthops")]++
		}
	}
	return fmt.Sprint(counts)
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
