/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package tracing

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
)

// Attempt begins the span of the nth attempt (from 1) to deliver an event to a
// sink, where the event's trace is sampled. The returned context has the span,
// and the function ends it.
func (t *Tracer) Attempt(ctx context.Context, sink string, e *event.Event, n int) (context.Context, func(delivery.Result)) {
	parent := remote(t, e)
	if !parent.IsSampled() {
		return ctx, func(delivery.Result) {}
	}
	attributes := []attribute.KeyValue{
		semconv.CloudEventsEventType(e.Type()),
		semconv.CloudEventsEventID(e.ID()),
		semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(sink),
		semconv.HTTPRequestMethodKey.String(http.MethodPost),
	}
	if n > 1 {
		attributes = append(attributes, semconv.HTTPRequestResendCount(n-1))
	}
	_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), parent), "send "+sink,
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attributes...))
	return trace.ContextWithSpan(ctx, span), func(result delivery.Result) { endAttempt(span, result) }
}

// remote is the span context of an event. An earlier process may have made the
// event.
func remote(t *Tracer, e *event.Event) trace.SpanContext {
	if t == nil {
		return trace.SpanContext{}
	}
	traceParent, traceState := e.TraceContext()
	if traceParent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{"traceparent": traceParent, "tracestate": traceState}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

func endAttempt(span trace.Span, result delivery.Result) {
	if result.Status != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(result.Status))
	}
	if delivery.Judge(result) != delivery.Delivered {
		span.SetAttributes(semconv.ErrorTypeKey.String(failureOf(result)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

func failureOf(result delivery.Result) string {
	switch {
	case result.Unsendable:
		return "invalid"
	case result.NoAddress:
		return "nosink"
	case result.Refused != delivery.AddressNone:
		return "address"
	case result.Status == 0:
		return "unanswered"
	default:
		return strconv.Itoa(result.Status)
	}
}
