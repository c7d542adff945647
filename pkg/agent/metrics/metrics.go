/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package metrics exposes what the agent counts, by OpenTelemetry, in the
// Prometheus exposition format. Every label is of a closed set.
package metrics

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
)

const scope = "github.com/sidenote-dev/sidenote/pkg/agent"

// Sink is one sink's part of what is observed at a scrape.
type Sink struct {
	Name   string
	Ledger ledger.Snapshot
	// OldestAge is that of the oldest event that waits, or 0.
	OldestAge time.Duration
}

// State is what is observed at a scrape.
type State struct {
	Sinks                             []Sink
	Skipped                           map[ledger.SkipReason]uint64
	Active                            int64
	BufferUsed, BufferLimit           int64
	ModelReady                        bool
	MetadataChanges, MetadataFailures uint64
	MetadataHash                      string
}

// Metrics are the agent's instruments.
type Metrics struct {
	provider *sdkmetric.MeterProvider
	registry *prometheus.Registry
	delivery metric.Float64Histogram
	unanswer metric.Int64Counter
	refused  metric.Int64Counter
}

// New gives metrics that read state at each scrape.
func New(state func() State) (*Metrics, error) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutTargetInfo(), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("making the Prometheus exporter: %w", err)
	}
	m := &Metrics{provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter)), registry: registry}
	meter := m.provider.Meter(scope)
	if m.delivery, err = meter.Float64Histogram("sidenote.delivery.duration",
		metric.WithUnit("s"), metric.WithDescription("How long attempts to deliver an event took."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30)); err != nil {
		return nil, fmt.Errorf("making an instrument: %w", err)
	}
	if m.unanswer, err = meter.Int64Counter("sidenote.exchanges.unanswered",
		metric.WithUnit("{exchange}"), metric.WithDescription("Exchanges that the model gave no answer to, by cause.")); err != nil {
		return nil, fmt.Errorf("making an instrument: %w", err)
	}
	if m.refused, err = meter.Int64Counter("sidenote.delivery.refused_addresses",
		metric.WithUnit("{attempt}"), metric.WithDescription("Attempts that were not made, for the sink has an address that none may have, by class.")); err != nil {
		return nil, fmt.Errorf("making an instrument: %w", err)
	}
	if err := observe(meter, state); err != nil {
		return nil, fmt.Errorf("making an instrument: %w", err)
	}
	return m, nil
}

// Handler serves the exposition.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Shutdown ends the provider.
func (m *Metrics) Shutdown(ctx context.Context) error { return m.provider.Shutdown(ctx) }

// Attempt records one attempt to deliver an event; status 0 is no answer.
func (m *Metrics) Attempt(sink string, took time.Duration, status int) {
	m.delivery.Record(context.Background(), took.Seconds(),
		metric.WithAttributes(attribute.String("sink", sink), attribute.String("status", statusClass(status))))
}

// RefusedAddress records an attempt that wasn't made because of the class of
// the sink's address.
func (m *Metrics) RefusedAddress(sink, class string) {
	m.refused.Add(context.Background(), 1,
		metric.WithAttributes(attribute.String("sink", sink), attribute.String("class", class)))
}

// Unanswered records an exchange without an answer of the model.
func (m *Metrics) Unanswered(cause string) {
	m.unanswer.Add(context.Background(), 1, metric.WithAttributes(attribute.String("cause", cause)))
}

func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return string(rune('0'+status/100)) + "xx"
}
