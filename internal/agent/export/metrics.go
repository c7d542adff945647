/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package export

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sidenote-dev/sidenote/internal/telemetry"
)

// MetricReader returns a reader that exports what it reads, now and then and when
// it is shut down: nil where nothing is sent. It connects to nothing yet.
func (e *Exports) MetricReader(ctx context.Context, settings telemetry.Metrics) (sdkmetric.Reader, error) {
	var exporter sdkmetric.Exporter
	var err error
	switch endpoint := telemetry.EndpointURL(settings.Endpoint); settings.Protocol {
	case telemetry.GRPC:
		exporter, err = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(endpoint), otlpmetricgrpc.WithTimeout(timeout))
	case telemetry.HTTPProtobuf:
		exporter, err = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(endpoint), otlpmetrichttp.WithTimeout(timeout), otlpmetrichttp.WithHTTPClient(e.client))
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("making an exporter of metrics: %w", err)
	}
	options := []sdkmetric.PeriodicReaderOption{sdkmetric.WithTimeout(timeout)}
	if settings.Interval > 0 {
		options = append(options, sdkmetric.WithInterval(settings.Interval))
	}
	return sdkmetric.NewPeriodicReader(metricExporter{exporter, e}, options...), nil
}

type metricExporter struct {
	sdkmetric.Exporter
	exports *Exports
}

func (m metricExporter) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	return m.exports.do(ctx, Metrics, func(ctx context.Context) error { return m.Exporter.Export(ctx, metrics) })
}
