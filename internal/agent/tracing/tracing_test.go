/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package tracing

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// newTracer returns a tracer that samples every trace of its own, and what it
// records.
func newTracer(t *testing.T, model string) (*Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	target, err := url.Parse(model)
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())), sdktrace.WithSpanProcessor(spans))
	return New(provider, target, func(r *http.Request) bool { return r.URL.Path == "/healthz" }), spans
}

func requestIn(traceParents ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/models/m:predict", nil)
	r.Header["Traceparent"] = traceParents
	return r
}

// attributeOf is a span's attribute as text.
func attributeOf(span sdktrace.ReadOnlySpan, name string) string {
	for _, attribute := range span.Attributes() {
		if string(attribute.Key) == name {
			return attribute.Value.String()
		}
	}
	return ""
}

func TestAnExchangeThatIsNotTracedIsUnchanged(t *testing.T) {
	tracer, spans := newTracer(t, "http://model:8080")
	for name, test := range map[string]struct {
		tracer  *Tracer
		request *http.Request
	}{
		"no tracer":             {nil, requestIn(sampled)},
		"a request to skip":     {tracer, httptest.NewRequest(http.MethodGet, "/healthz", nil)},
		"the client's decision": {tracer, requestIn(unsampled)},
	} {
		t.Run(name, func(t *testing.T) {
			exchange := test.tracer.Begin(test.request)
			beside, next := http.Header{"X-Request-Id": {"1"}}, nobody{}
			if exchange != nil || exchange.Origin() != nil || exchange.Watch(next) != next || !reflect.DeepEqual(exchange.Headers(beside), beside) {
				t.Errorf("the exchange is traced: %+v", exchange)
			}
		})
	}
	if n := len(spans.Started()); n > 0 {
		t.Errorf("%d spans were started", n)
	}
}

func TestTheModelAndTheEventsContinueTheClientsTrace(t *testing.T) {
	for name, test := range map[string]struct {
		parents []string
		// parent is the span that the server's span is below.
		parent string
	}{
		"sampled by the client": {[]string{sampled}, "b7ad6b7169203331"},
		"without a trace":       {nil, ""},
		"an odd trace":          {[]string{"odd"}, ""},
		"two traces":            {[]string{sampled, sampled}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := newTracer(t, "http://model:8080")
			r := requestIn(test.parents...)
			r.Header["Tracestate"] = []string{"a=1"}
			exchange := tracer.Begin(r)
			exchange.Watch(nil).End(nil)
			if len(spans.Ended()) != 2 {
				t.Fatalf("%d spans have ended, want the model's and the agent's", len(spans.Ended()))
			}
			client, server := spans.Ended()[0], spans.Ended()[1]
			parent := ""
			if server.Parent().IsValid() {
				parent = server.Parent().SpanID().String()
			}
			if server.SpanKind() != trace.SpanKindServer || client.SpanKind() != trace.SpanKindClient || parent != test.parent ||
				client.Parent().SpanID() != server.SpanContext().SpanID() {
				t.Errorf("unexpected spans: %v below %v", client, server)
			}
			var states []string
			if parent != "" {
				states = []string{"a=1"}
			}
			traceParentOf := func(s sdktrace.ReadOnlySpan) string {
				return "00-" + s.SpanContext().TraceID().String() + "-" + s.SpanContext().SpanID().String() + "-01"
			}
			want := http.Header{"X-Request-Id": {"1"}, "Traceparent": {traceParentOf(client)}, "Tracestate": states}
			if got := exchange.Headers(http.Header{"X-Request-Id": {"1"}}); !reflect.DeepEqual(got, want) {
				t.Errorf("the model gets %v, want %v", got, want)
			}
			if got, want := *exchange.Origin(), (event.TraceContext{Parent: traceParentOf(server), State: states}); !reflect.DeepEqual(got, want) {
				t.Errorf("the events come from %v, want %v", got, want)
			}
			if attributeOf(client, "server.address") != "model" || attributeOf(client, "server.port") != "8080" {
				t.Errorf("the client's span has %v", client.Attributes())
			}
		})
	}
}

func TestAnUnknownMethodIsNotQuoted(t *testing.T) {
	tracer, spans := newTracer(t, "http://model:8080")
	tracer.Begin(httptest.NewRequest("CANARY", "/canary", nil)).Watch(nil).End(nil)
	for _, span := range spans.Ended() {
		if span.Name() != "HTTP" || attributeOf(span, "http.request.method") != "_OTHER" {
			t.Errorf("unexpected span: %s %v", span.Name(), span.Attributes())
		}
	}
}

func TestASpanSaysHowAnExchangeEnded(t *testing.T) {
	model := agenttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/error":
			w.WriteHeader(http.StatusInternalServerError)
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/hangs":
			// The server notices that its client has left after the body's end.
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		default:
			agenttest.Predictor().ServeHTTP(w, r)
		}
	}))
	gone := agenttest.Serve(t, nil)
	gone.Close()
	for name, test := range map[string]struct {
		model, path string
		// server and client are status and error.type.
		server, client [2]string
	}{
		"a response":           {model.URL, "/v1/models/m:predict", [2]string{"200", ""}, [2]string{"200", ""}},
		"the client's error":   {model.URL, "/missing", [2]string{"404", ""}, [2]string{"404", "404"}},
		"the model's error":    {model.URL, "/error", [2]string{"500", "500"}, [2]string{"500", "500"}},
		"the model broke off":  {model.URL, "/broken", [2]string{"", "broken"}, [2]string{"", "broken"}},
		"the client went away": {model.URL, "/hangs", [2]string{"", "canceled"}, [2]string{"", "canceled"}},
		"there is no model":    {gone.URL, "/", [2]string{"502", "unreachable"}, [2]string{"", "unreachable"}},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := newTracer(t, test.model)
			target, _ := url.Parse(test.model)
			begun := make(chan struct{})
			handler := proxy.New(target, func(r *http.Request) (proxy.Watcher, http.Header) {
				defer close(begun)
				exchange := tracer.Begin(r)
				return exchange.Watch(nil), exchange.Headers(nil)
			}, func(proxy.ErrorClass) {})
			t.Cleanup(handler.CloseIdleConnections)
			agent := agenttest.Serve(t, handler)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if test.path == "/hangs" {
				go func() {
					<-begun
					leave()
				}()
			}
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, agent.URL+test.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if response, err := agenttest.HTTP1Client(t).Do(request); err == nil {
				response.Body.Close()
			}
			agenttest.Eventually(t, "both spans have ended", func() bool { return len(spans.Ended()) == 2 })
			for i, want := range [][2]string{test.client, test.server} {
				span := spans.Ended()[i]
				if got := [2]string{attributeOf(span, "http.response.status_code"), attributeOf(span, "error.type")}; got != want {
					t.Errorf("the span %d says %q, want %q", i, got, want)
				}
				if failed := span.Status().Code == codes.Error; failed != (want[1] != "") {
					t.Errorf("the span %d is an error: %t", i, failed)
				}
			}
		})
	}
}

// eventIn builds an event of an exchange with a trace parent.
func eventIn(t *testing.T, traceParent string) *event.Event {
	t.Helper()
	r := requestIn(traceParent)
	builder := event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 10}
	built, err := builder.Build(&event.Observation{Exchange: event.NewExchange(r, "c", time.Unix(0, 0))}, agentconfig.KindRequest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func TestAttemptSpanHasItsParentAndResult(t *testing.T) {
	for name, test := range map[string]struct {
		result                 delivery.Result
		status, failure, again string
	}{
		"delivered":        {delivery.Result{Status: 202}, "202", "", ""},
		"refused":          {delivery.Result{Status: 400}, "400", "400", ""},
		"failed again":     {delivery.Result{Status: 503}, "503", "503", "2"},
		"no response":      {delivery.NoResponse, "", "unanswered", ""},
		"no wire form":     {delivery.Result{Unsendable: true}, "", "invalid", ""},
		"no address":       {delivery.Result{NoAddress: true}, "", "nosink", ""},
		"a forbidden sink": {delivery.Result{Refused: delivery.AddressLoopback}, "", "address", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := newTracer(t, "http://model:8080")
			attempt := 1
			if test.again != "" {
				attempt = 3
			}
			ctx, end := tracer.Attempt(t.Context(), "default", eventIn(t, sampled), attempt)
			end(test.result)
			span := spans.Ended()[0]
			if span.Name() != "send default" || span.SpanKind() != trace.SpanKindProducer || span.Parent().SpanID().String() != "b7ad6b7169203331" ||
				trace.SpanContextFromContext(ctx).SpanID() != span.SpanContext().SpanID() {
				t.Errorf("unexpected span: %v", span)
			}
			got := [3]string{attributeOf(span, "http.response.status_code"), attributeOf(span, "error.type"), attributeOf(span, "http.request.resend_count")}
			if want := [3]string{test.status, test.failure, test.again}; got != want || (span.Status().Code == codes.Error) != (test.failure != "") {
				t.Errorf("the span says %q, want %q", got, want)
			}
		})
	}
}

func TestAnEventOutsideAnySampledTraceHasNoAttempts(t *testing.T) {
	tracer, spans := newTracer(t, "http://model:8080")
	for _, test := range []struct {
		tracer *Tracer
		event  *event.Event
	}{{nil, eventIn(t, sampled)}, {tracer, eventIn(t, unsampled)}, {tracer, eventIn(t, "")}} {
		ctx, end := test.tracer.Attempt(t.Context(), "default", test.event, 1)
		end(delivery.Result{Status: 202})
		if trace.SpanContextFromContext(ctx).IsValid() {
			t.Error("the attempt has a span")
		}
	}
	if n := len(spans.Started()); n > 0 {
		t.Errorf("%d spans were started", n)
	}
}
