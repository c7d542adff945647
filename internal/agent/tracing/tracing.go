/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package tracing has the agent's spans: of an exchange as a server, of its
// part with the model as a client, and of each attempt to deliver an event.
// Their attributes follow OpenTelemetry's semantic conventions, but for those
// that would carry what a client or a model wrote: each one's value is of a
// closed set, a setting, or the agent's own.
package tracing

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
)

const (
	scope = "github.com/sidenote-dev/sidenote/internal/agent"

	traceParentHeader = "Traceparent"
	traceStateHeader  = "Tracestate"
)

// methods are those that the semantic conventions name. All others share one
// value.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

// Tracer makes spans. A nil Tracer makes none.
type Tracer struct {
	tracer trace.Tracer
	model  []attribute.KeyValue
	skip   func(*http.Request) bool
}

// New returns a tracer of exchanges with a model. It records no request for which
// skip returns true.
func New(provider trace.TracerProvider, model *url.URL, skip func(*http.Request) bool) *Tracer {
	t := &Tracer{tracer: provider.Tracer(scope), skip: skip, model: []attribute.KeyValue{semconv.ServerAddress(model.Hostname())}}
	if port, err := strconv.Atoi(model.Port()); err == nil {
		t.model = append(t.model, semconv.ServerPort(port))
	}
	return t
}

// Begin begins the spans of an exchange. It returns nil where the exchange isn't
// recorded, and then the model gets the client's own trace context.
func (t *Tracer) Begin(r *http.Request) *Exchange {
	if t == nil || t.skip(r) {
		return nil
	}
	ctx := context.Background()
	var states []string
	if parents := r.Header[traceParentHeader]; len(parents) == 1 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() {
		if !parent.IsSampled() {
			return nil
		}
		states = r.Header[traceStateHeader]
	}
	method, name := methodOf(r)
	attributes := []attribute.KeyValue{
		method, semconv.URLScheme("http"), semconv.NetworkProtocolVersion(versionOf(r)),
	}
	ctx, server := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	if !server.IsRecording() {
		return nil
	}
	_, client := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attributes...), trace.WithAttributes(t.model...))
	return &Exchange{request: r.Context(), server: server, client: client, states: states}
}

// methodOf returns a method's attribute and the name of its spans.
func methodOf(r *http.Request) (method attribute.KeyValue, name string) {
	if slices.Contains(methods, r.Method) {
		return semconv.HTTPRequestMethodKey.String(r.Method), r.Method
	}
	return semconv.HTTPRequestMethodOther, "HTTP"
}

func versionOf(r *http.Request) string {
	if r.ProtoMajor == 2 {
		return "2"
	}
	return "1.1"
}

// Exchange has the spans of a recorded exchange. It is nil for any other.
type Exchange struct {
	request        context.Context
	server, client trace.Span
	states         []string
}

// Origin is the trace context of the exchange's events: the agent's server span.
// It is nil where events have the client's own.
func (e *Exchange) Origin() *event.TraceContext {
	if e == nil {
		return nil
	}
	return &event.TraceContext{Parent: traceParent(e.server), State: e.states}
}

// Headers adds the trace context to the headers that the model gets beside the
// client's own. The client's trace state is kept, unless it has no valid parent.
func (e *Exchange) Headers(beside http.Header) http.Header {
	if e == nil {
		return beside
	}
	headers := make(http.Header, len(beside)+2)
	maps.Copy(headers, beside)
	headers[traceParentHeader] = []string{traceParent(e.client)}
	headers[traceStateHeader] = e.states
	return headers
}

// traceParent writes a span's context as the header of W3C Trace Context.
func traceParent(span trace.Span) string {
	carrier := make(propagation.MapCarrier, 2)
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), span), carrier)
	return carrier.Get("traceparent")
}
