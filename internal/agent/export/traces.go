/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package export

import (
	"context"
	"fmt"
	"io"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sidenote-dev/sidenote/internal/telemetry"
)

// TracerProvider returns a provider that exports spans in batches, or nil where
// tracing is off. It makes no connection yet. A client's trace is recorded where
// the client has sampled it. Exchanges without a trace are sampled at the
// configured rate.
func (e *Exports) TracerProvider(ctx context.Context, settings telemetry.Traces, of *resource.Resource, stdout io.Writer) (*sdktrace.TracerProvider, error) {
	if !settings.On() {
		return nil, nil
	}
	var exporter sdktrace.SpanExporter
	var err error
	// On the standard output, each exchange is to be seen.
	root := sdktrace.AlwaysSample()
	switch endpoint := telemetry.EndpointURL(settings.Endpoint); settings.Protocol {
	case telemetry.GRPC:
		exporter, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint), otlptracegrpc.WithTimeout(timeout))
		root = sdktrace.TraceIDRatioBased(settings.SamplingRate)
	case telemetry.HTTPProtobuf:
		exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithTimeout(timeout), otlptracehttp.WithHTTPClient(e.client))
		root = sdktrace.TraceIDRatioBased(settings.SamplingRate)
	default:
		exporter, err = stdouttrace.New(stdouttrace.WithWriter(stdout))
	}
	if err != nil {
		return nil, fmt.Errorf("making an exporter of traces: %w", err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithResource(of),
		sdktrace.WithSampler(sdktrace.ParentBased(root)),
		sdktrace.WithBatcher(spanExporter{exporter, e},
			sdktrace.WithMaxQueueSize(maxQueuedSpans),
			sdktrace.WithMaxExportBatchSize(maxExportedSpans),
			sdktrace.WithExportTimeout(timeout)),
	), nil
}

type spanExporter struct {
	sdktrace.SpanExporter
	exports *Exports
}

func (s spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return s.exports.do(ctx, Traces, func(ctx context.Context) error { return s.SpanExporter.ExportSpans(ctx, spans) })
}
