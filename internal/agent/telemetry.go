/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/export"
	"github.com/sidenote-dev/sidenote/internal/agent/metrics"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/internal/agent/tracing"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/internal/telemetry"
)

const (
	// lastExports bounds the wait for a collector at the agent's end.
	lastExports = 2 * time.Second

	containerName = "sidenote-agent"
	revisionKey   = "kn.revision.name"
)

// setUpTelemetry makes the instruments and what brings them to whoever reads
// them. Where an exporter can't be made the agent serves without.
func (a *Agent) setUpTelemetry(given *agentconfig.Config, environment Environment) error {
	a.exports = export.New(func(signal export.Signal, cause string) {
		a.logger.Warn("the collector did not accept an export", zap.String("signal", string(signal)), zap.String("cause", cause))
	})
	without := func(signal export.Signal, err error) {
		if err != nil {
			a.logger.Error("the agent serves without an exporter", zap.String("signal", string(signal)), zap.Error(err))
		}
	}
	of := a.resource(given, environment)

	var reader sdkmetric.Reader
	var err error
	if given.MetricsExport.Protocol == telemetry.Prometheus {
		reader, a.exposition, err = metrics.NewExposition()
	} else {
		reader, err = a.exports.MetricReader(context.Background(), given.MetricsExport)
	}
	without(export.Metrics, err)
	if a.metrics, err = metrics.New(reader, of); err != nil {
		return fmt.Errorf("setting up metrics: %w", err)
	}

	a.spans, err = a.exports.TracerProvider(context.Background(), given.TracesExport, of, environment.Stdout)
	without(export.Traces, err)
	if a.spans != nil {
		a.tracer = tracing.New(a.spans, given.Target, func(r *http.Request) bool {
			_, ifEmpty := given.Paths.Judge(r)
			return ifEmpty == inference.Probe
		})
	}
	return nil
}

// resource says whose metrics and spans they are.
func (a *Agent) resource(given *agentconfig.Config, environment Environment) *resource.Resource {
	attributes := []attribute.KeyValue{
		semconv.ServiceName(given.Source),
		semconv.ServiceInstanceID(a.instance),
		semconv.K8SContainerName(containerName),
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		attributes = append(attributes, semconv.ServiceVersion(build.Main.Version), semconv.ProcessRuntimeVersion(build.GoVersion))
	}
	if given.Namespace != "" {
		attributes = append(attributes, semconv.K8SNamespaceName(given.Namespace))
	}
	if environment.Revision != "" {
		attributes = append(attributes, attribute.String(revisionKey, environment.Revision))
	}
	return resource.NewWithAttributes(semconv.SchemaURL, attributes...)
}

// begin begins an exchange: its spans, where it is recorded, and its events.
func (a *Agent) begin(r *http.Request) (proxy.Watcher, http.Header) {
	spans := a.tracer.Begin(r)
	watcher, beside := a.pipeline.Begin(r, spans.Origin())
	return spans.Watch(watcher), spans.Headers(beside)
}

// beginAttempts returns what is told of the attempts to deliver to a sink.
func (a *Agent) beginAttempts(sink string) delivery.BeginAttempt {
	return func(ctx context.Context, e *event.Event, n int) (context.Context, func(delivery.Result)) {
		begun := time.Now()
		ctx, endSpan := a.tracer.Attempt(ctx, sink, e, n)
		return ctx, func(result delivery.Result) {
			endSpan(result)
			if result.Refused != delivery.AddressNone {
				a.metrics.RefusedAddress(string(result.Refused))
				return
			}
			a.metrics.Attempt(sink, time.Since(begun), result.Status)
		}
	}
}

// endTelemetry has what is left go out, for as long as it may.
func (a *Agent) endTelemetry() {
	// The wait is what ends it: a deadline of the same length would now come
	// before that, now after, and so would the warning.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// What fails is counted and logged by exports.
	var group sync.WaitGroup
	group.Go(func() { _ = a.metrics.Shutdown(ctx) })
	if a.spans != nil {
		group.Go(func() { _ = a.spans.Shutdown(ctx) })
	}
	if !waitFor(&group, lastExports) {
		a.logger.Warn("the last metrics or spans were not exported: the collector did not respond in time")
	}
	a.exports.End()
}
