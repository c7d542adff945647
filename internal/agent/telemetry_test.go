/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracescollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

const (
	clientTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientSpan   = "b7ad6b7169203331"
	sampledTrace = "00-" + clientTrace + "-" + clientSpan + "-01"
	ignoredTrace = "00-" + clientTrace + "-" + clientSpan + "-00"
)

// TestUnsampledTracePassesUnchanged to the model, and into the event
// where it is valid.
func TestUnsampledTracePassesUnchanged(t *testing.T) {
	received := newCollector(t)
	on := []string{"--tracing-protocol=grpc", "--tracing-endpoint=" + received.grpc, "--tracing-sampling-rate=1"}
	for what, test := range map[string]struct {
		line   []string
		path   string
		header http.Header
		// parent and state are the event's.
		parent, state string
	}{
		"tracing is off": {
			header: http.Header{"Traceparent": {sampledTrace}, "Tracestate": {"a=1 , b=2", "c=3"}, "Baggage": {"user=x"}},
			parent: sampledTrace, state: "a=1,b=2,c=3",
		},
		"tracing is off, and the trace isn't valid": {header: http.Header{"Traceparent": {"odd"}, "Tracestate": {"a=1"}}},
		"tracing is off, and there are two":         {header: http.Header{"Traceparent": {sampledTrace, ignoredTrace}}},
		"tracing is off, and there is none":         {header: http.Header{}},
		"the rate is 0": {
			line:   []string{"--tracing-protocol=grpc", "--tracing-endpoint=" + received.grpc},
			header: http.Header{"Traceparent": {sampledTrace}}, parent: sampledTrace,
		},
		"the client doesn't record it": {
			line: on, header: http.Header{"Traceparent": {ignoredTrace}, "Tracestate": {"a=1", "b=2"}}, parent: ignoredTrace, state: "a=1,b=2",
		},
		"few are sampled, and not this one": {
			line:   []string{"--tracing-protocol=grpc", "--tracing-endpoint=" + received.grpc, "--tracing-sampling-rate=1e-9"},
			header: http.Header{},
		},
	} {
		t.Run(what, func(t *testing.T) {
			model := &agenttest.Recorder{Handler: agenttest.Predictor()}
			r := newRig(t, agenttest.InFrontOf(model), agenttest.With(test.line...))
			r.Do(http.MethodPost, "/v1/models/m:predict", test.header, strings.NewReader("{}"))
			for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
				if got := model.Last().Header[name]; !slices.Equal(got, test.header[name]) {
					t.Errorf("the model got %s %q, the client sent %q", name, got, test.header[name])
				}
			}
			for _, kind := range []string{"request", "response"} {
				e := r.Sink.Of(kind)
				if e.Attribute("traceparent") != test.parent || e.Attribute("tracestate") != test.state {
					t.Errorf("the %s event has %q %q, want %q %q", kind, e.Attribute("traceparent"), e.Attribute("tracestate"), test.parent, test.state)
				}
				if got := e.Header["Traceparent"]; len(got) > 0 {
					t.Errorf("the sink got a trace that nobody records: %q", got)
				}
			}
		})
	}
	if n := len(received.spans); n > 0 {
		t.Errorf("%d spans were exported", n)
	}
}

// TestSampledTraceReachesModelAndSink goes from the client through the agent to the model
// and the sink, by each protocol of a collector.
func TestSampledTraceReachesModelAndSink(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for what, test := range map[string]struct {
			header http.Header
			// state is what the model gets, and events what the events get.
			state []string
			event string
		}{
			"of the client":            {http.Header{"Traceparent": {sampledTrace}, "Tracestate": {"a=1", "b=2"}}, []string{"a=1", "b=2"}, "a=1,b=2"},
			"of the agent":             {http.Header{}, nil, ""},
			"in place of an odd one":   {http.Header{"Traceparent": {"odd"}, "Tracestate": {"a=1"}}, nil, ""},
			"in place of more than it": {http.Header{"Traceparent": {sampledTrace, sampledTrace}}, nil, ""},
		} {
			t.Run(protocol+" "+what, func(t *testing.T) {
				received := newCollector(t)
				endpoint := map[string]string{"grpc": received.grpc, "http/protobuf": received.http + "/v1/traces"}[protocol]
				model := &agenttest.Recorder{Handler: agenttest.Predictor()}
				r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--tracing-protocol="+protocol, "--tracing-endpoint="+endpoint,
					"--tracing-sampling-rate=1", "--namespace=ns"))
				r.Sink.Respond(agenttest.Statuses(http.StatusAccepted))
				r.Do(http.MethodPost, "/v1/models/m:predict", test.header, strings.NewReader("{}"))
				events := r.Sink.Await(2)
				r.settled()
				r.Kill()

				server := received.await(1, tracepb.Span_SPAN_KIND_SERVER)[0]
				client := received.await(1, tracepb.Span_SPAN_KIND_CLIENT)[0]
				attempts := received.await(2, tracepb.Span_SPAN_KIND_PRODUCER)
				if parents := test.header["Traceparent"]; len(parents) == 1 && parents[0] == sampledTrace {
					if server.trace != clientTrace || server.parent != clientSpan {
						t.Errorf("the server span is %s of %s", server.parent, server.trace)
					}
				} else if server.parent != "" || server.trace == clientTrace {
					t.Errorf("the server span has the parent %s in %s", server.parent, server.trace)
				}
				if client.trace != server.trace || client.parent != server.id {
					t.Errorf("the client span is below %s of %s", client.parent, client.trace)
				}
				if got, want := model.Last().Header["Traceparent"], []string{"00-" + client.trace + "-" + client.id + "-01"}; !slices.Equal(got, want) {
					t.Errorf("the model got %q, want %q", got, want)
				}
				if got := model.Last().Header["Tracestate"]; !slices.Equal(got, test.state) {
					t.Errorf("the model got the state %q, want %q", got, test.state)
				}
				var sent, wanted []string
				for _, e := range events {
					if got, want := e.Attribute("traceparent"), "00-"+server.trace+"-"+server.id+"-01"; got != want {
						t.Errorf("the event has %s, want %s", got, want)
					}
					if got := e.Attribute("tracestate"); got != test.event {
						t.Errorf("the event has the state %q, want %q", got, test.event)
					}
					sent = append(sent, e.Header.Get("Traceparent"))
				}
				for _, attempt := range attempts {
					if attempt.trace != server.trace || attempt.parent != server.id || attempt.GetName() != "send default" ||
						attempt.attributes["http.response.status_code"] != "202" || attempt.attributes["messaging.destination.name"] != "default" {
						t.Errorf("unexpected attempt: %v", attempt)
					}
					wanted = append(wanted, "00-"+attempt.trace+"-"+attempt.id+"-01")
				}
				slices.Sort(sent)
				slices.Sort(wanted)
				if !slices.Equal(sent, wanted) {
					t.Errorf("the sink got %q, the attempts are %q", sent, wanted)
				}
				for name, want := range map[string]string{
					"service.name": "my-model-predictor-default", "k8s.namespace.name": "ns",
					"kn.revision.name": "my-model-predictor-default-00001", "service.instance.id": r.agent.instance,
				} {
					if got := received.resource[name]; got != want {
						t.Errorf("the resource has %s %q, want %q", name, got, want)
					}
				}
			})
		}
	}
}

func TestSkippedExchangeHasSpans(t *testing.T) {
	received := newCollector(t)
	r := newRig(t, agenttest.With("--paths=/v2/*", "--tracing-protocol=grpc", "--tracing-endpoint="+received.grpc, "--tracing-sampling-rate=1"))
	r.Do(http.MethodPost, "/v1/models/m:predict", nil, strings.NewReader("{}"))
	r.settled()
	r.Kill()
	for _, kind := range []tracepb.Span_SpanKind{tracepb.Span_SPAN_KIND_SERVER, tracepb.Span_SPAN_KIND_CLIENT} {
		if span := received.await(1, kind)[0]; span.attributes["http.response.status_code"] != "200" || span.attributes["error.type"] != "" {
			t.Errorf("unexpected span: %v", span)
		}
	}
}

// TestTelemetryHasNoExchangeData, whatever the client and the model write.
func TestTelemetryHasNoExchangeData(t *testing.T) {
	const canary = "canary4711"
	received := newCollector(t)
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Model", canary)
		w.Header().Set("Content-Type", "text/"+canary)
		_, _ = io.WriteString(w, canary)
	})
	r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--metadata", "team="+canary, "--tracing-protocol=grpc",
		"--tracing-endpoint="+received.grpc, "--tracing-sampling-rate=1", "--metrics-protocol=grpc", "--metrics-endpoint="+received.grpc))
	r.Do(strings.ToUpper(canary), "/"+canary+"?key="+canary, http.Header{
		"User-Agent": {canary}, "Authorization": {"Bearer " + canary}, "X-Client": {canary}, "X-Request-Id": {canary},
		"Baggage": {"user=" + canary}, "Content-Type": {"text/" + canary},
	}, strings.NewReader("{}"))
	r.Sink.Await(2)
	r.settled()
	r.Kill()
	received.await(1, tracepb.Span_SPAN_KIND_SERVER)
	agenttest.Eventually(t, "metrics have come", func() bool { return received.metric("sidenote.events.observed") != nil })
	for _, message := range received.all {
		if strings.Contains(strings.ToLower(message), canary) {
			t.Errorf("exported: %s", message)
		}
	}
	if server := received.spansOf(tracepb.Span_SPAN_KIND_SERVER)[0]; server.attributes["http.request.method"] != "_OTHER" || server.GetName() != "HTTP" {
		t.Errorf("unexpected span: %v", server)
	}
}

// TestMetricsAreExported, for the last time at the agent's end, when the ledger
// is closed.
func TestMetricsAreExported(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			received := newCollector(t)
			endpoint := map[string]string{"grpc": received.grpc, "http/protobuf": received.http + "/v1/metrics"}[protocol]
			r := newRig(t, agenttest.With("--metrics-protocol="+protocol, "--metrics-endpoint="+endpoint, "--metrics-export-interval=1s"))
			agenttest.Eventually(t, "metrics have come", func() bool { return received.metric("sidenote.model.ready") != nil })
			assertNothingServed(t, r)
			r.Post("/", "{}")
			r.settled()
			r.Kill()
			for name, want := range map[string]int64{"sidenote.events.observed": 2, "sidenote.events.delivered": 2, "sidenote.events.pending": 0} {
				metric := received.metric(name)
				if points := metric.GetSum().GetDataPoints(); len(points) != 1 || points[0].GetAsInt() != want {
					t.Errorf("%s is %v, want %d", name, metric, want)
				}
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		r := newRig(t, agenttest.With("--metrics-protocol=none"))
		assertNothingServed(t, r)
	})
}

func assertNothingServed(t *testing.T, r *rig) {
	t.Helper()
	if status, _ := r.AdminPage("/metrics"); status != http.StatusNotFound {
		t.Errorf("/metrics responds with %d", status)
	}
}

func TestSpansAreWrittenToStdout(t *testing.T) {
	stdout := new(agenttest.Buffer)
	r := newRigIn(t, Environment{Stdout: stdout}, agenttest.With("--tracing-protocol=stdout"))
	r.Post("/", "{}")
	r.settled()
	r.Kill()
	if got := stdout.String(); strings.Count(got, `"SpanKind"`) != 4 {
		t.Errorf("want four spans: %s", got)
	}
}

// hanging accepts connections and never responds.
func hanging(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var connections []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			connections = append(connections, connection)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
		for _, connection := range connections {
			connection.Close()
		}
	})
	return "http://" + listener.Addr().String()
}

// TestFailingCollectorChangesNothing: clients get their responses, events arrive,
// memory doesn't grow, and the agent ends.
func TestFailingCollectorChangesNothing(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	for what, endpoint := range map[string]func(*testing.T) string{
		"dead":    func(*testing.T) string { return dead.URL },
		"hanging": hanging,
		"refusing": func(t *testing.T) string {
			return agenttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusServiceUnavailable)
			})).URL
		},
	} {
		for _, protocol := range []string{"grpc", "http/protobuf"} {
			t.Run(what+" "+protocol, func(t *testing.T) {
				url := endpoint(t)
				// It keeps nothing, unlike the rig's own.
				sink := agenttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(http.StatusAccepted)
				})).URL
				r := newRig(t, agenttest.With("--mode=response", "--sink="+sink, "--metrics-protocol="+protocol, "--metrics-endpoint="+url,
					"--metrics-export-interval=1s", "--tracing-protocol="+protocol, "--tracing-endpoint="+url, "--tracing-sampling-rate=1"))
				client := agenttest.HTTP1Client(t)
				exchange := func(n int) {
					for range n {
						response, err := client.Post(r.URL+"/", "application/json", strings.NewReader("{}"))
						if err != nil {
							t.Fatal(err)
						}
						body, err := io.ReadAll(response.Body)
						response.Body.Close()
						if err != nil || response.StatusCode != http.StatusOK || string(body) != `{"predictions":[0.8,0.2]}` {
							t.Fatalf("the client got %d %s: %v", response.StatusCode, body, err)
						}
					}
					r.settled()
				}
				// Three spans each: as many as the queue holds, and then more.
				const full, more = 500, 1000
				exchange(full)
				before := heap()
				exchange(more)
				const room = 2 << 20 // A span takes 2 KiB or so: without a bound it were 6 MiB.
				if after := heap(); after > before+room {
					t.Errorf("%d bytes were held after %d exchanges, %d after %d more", before, full, after, more)
				}
				if s := r.ledger(); s.Delivered != full+more {
					t.Errorf("the ledger says %+v", s)
				}
				r.Kill()
				if gaveUp := strings.Contains(r.Logs.String(), "the collector did not respond in time"); what == "hanging" && !gaveUp {
					t.Errorf("the agent's end waited for a collector that hangs: %s", r.Logs)
				}
				agenttest.Eventually(t, "the failures are counted and logged", func() bool {
					failures := r.agent.exports.Failures()
					return failures["metrics"] > 0 && failures["traces"] > 0 && strings.Contains(r.Logs.String(), "the collector did not accept an export")
				})
			})
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// collector receives metrics and spans by OTLP, over gRPC and over HTTP.
type collector struct {
	metricscollector.UnimplementedMetricsServiceServer
	tracescollector.UnimplementedTraceServiceServer
	t *testing.T
	// grpc and http are its URLs.
	grpc, http string

	mu      sync.Mutex
	spans   []span
	metrics map[string]*metricspb.Metric
	// resource is that of the last export.
	resource map[string]string
	// all is every message that came, as text.
	all []string
}

// span is one as it came, with its identifiers in hexadecimal.
type span struct {
	*tracepb.Span
	trace, id, parent string
	attributes        map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, metrics: make(map[string]*metricspb.Metric)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	metricscollector.RegisterMetricsServiceServer(server, c)
	tracescollector.RegisterTraceServiceServer(server, traceReceiver{c})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	c.grpc = "http://" + listener.Addr().String()

	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		request := new(tracescollector.ExportTraceServiceRequest)
		c.read(r, request)
		c.takeSpans(request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		request := new(metricscollector.ExportMetricsServiceRequest)
		c.read(r, request)
		c.takeMetrics(request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	c.http = agenttest.Serve(t, mux).URL
	return c
}

func (c *collector) read(r *http.Request, into proto.Message) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(body, into)
	}
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("no OTLP over HTTP: %v %v", r.Header, err)
	}
}

func (c *collector) Export(_ context.Context, request *metricscollector.ExportMetricsServiceRequest) (*metricscollector.ExportMetricsServiceResponse, error) {
	c.takeMetrics(request)
	return &metricscollector.ExportMetricsServiceResponse{}, nil
}

// traceReceiver is the collector as a receiver of spans, whose method has the
// same name.
type traceReceiver struct{ *collector }

func (c traceReceiver) Export(_ context.Context, request *tracescollector.ExportTraceServiceRequest) (*tracescollector.ExportTraceServiceResponse, error) {
	c.takeSpans(request)
	return &tracescollector.ExportTraceServiceResponse{}, nil
}

func (c *collector) takeSpans(request *tracescollector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, request.String())
	for _, resource := range request.GetResourceSpans() {
		c.resource = textOf(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{
					Span:       s,
					trace:      hex.EncodeToString(s.GetTraceId()),
					id:         hex.EncodeToString(s.GetSpanId()),
					parent:     hex.EncodeToString(s.GetParentSpanId()),
					attributes: textOf(s.GetAttributes()),
				})
			}
		}
	}
}

func (c *collector) takeMetrics(request *metricscollector.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, request.String())
	for _, resource := range request.GetResourceMetrics() {
		c.resource = textOf(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				c.metrics[metric.GetName()] = metric
			}
		}
	}
}

func textOf(attributes []*commonpb.KeyValue) map[string]string {
	text := make(map[string]string, len(attributes))
	for _, attribute := range attributes {
		text[attribute.GetKey()] = valueOf(attribute.GetValue())
	}
	return text
}

func valueOf(value *commonpb.AnyValue) string {
	switch value := value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return value.StringValue
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(value.IntValue, 10)
	default:
		return "?"
	}
}

// spansOf returns the spans of a kind that have come.
func (c *collector) spansOf(kind tracepb.Span_SpanKind) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []span
	for _, s := range c.spans {
		if s.GetKind() == kind {
			found = append(found, s)
		}
	}
	return found
}

// await waits for n spans of a kind.
func (c *collector) await(n int, kind tracepb.Span_SpanKind) []span {
	c.t.Helper()
	agenttest.Eventually(c.t, "the spans have come", func() bool { return len(c.spansOf(kind)) >= n })
	return c.spansOf(kind)
}

func (c *collector) metric(name string) *metricspb.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.metrics[name]
}
