/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package metrics has the agent's instruments, by OpenTelemetry: names and
// units follow its semantic conventions, and every attribute is of a closed
// set. docs/metrics.md documents each, and a test compares the two.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
)

const scope = "github.com/sidenote-dev/sidenote/pkg/agent"

// The bounds of the histograms' buckets, in seconds. They are few: each is a
// series, and an agent is to have 200 at most.
var (
	deliveryBounds = []float64{.005, .01, .025, .1, .25, 1, 5, 30}
	overheadBounds = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .1}
)

// Metrics are the agent's instruments. They are safe for concurrent use, and
// nothing in them waits for whoever reads them.
type Metrics struct {
	provider   *sdkmetric.MeterProvider
	duration   metric.Float64Histogram
	attempts   metric.Int64Counter
	refused    metric.Int64Counter
	unanswered metric.Int64Counter
	overhead   metric.Float64Histogram
}

// New gives instruments that reader reads, nil for none. The resource says whose
// they are.
func New(reader sdkmetric.Reader, of *resource.Resource) (*Metrics, error) {
	options := []sdkmetric.Option{
		sdkmetric.WithResource(of),
		// They would hold memory for what nothing here records.
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
	}
	if reader != nil {
		options = append(options, sdkmetric.WithReader(reader))
	}
	m := &Metrics{provider: sdkmetric.NewMeterProvider(options...)}
	meter := m.provider.Meter(scope)
	err := errors.Join(
		m.makeInstruments(meter),
		observeProcess(meter),
		runtime.Start(runtime.WithMeterProvider(m.provider)),
	)
	if err != nil {
		return nil, fmt.Errorf("making an instrument: %w", err)
	}
	return m, nil
}

// Observe has state called at each reading from now on. A reader that exports
// by itself reads from the start, when there may be no state yet.
func (m *Metrics) Observe(state func() State) error {
	if err := observeState(m.provider.Meter(scope), state); err != nil {
		return fmt.Errorf("making an instrument: %w", err)
	}
	return nil
}

func (m *Metrics) makeInstruments(meter metric.Meter) error {
	var errs [5]error
	m.duration, errs[0] = meter.Float64Histogram("sidenote.delivery.duration",
		metric.WithUnit("s"), metric.WithDescription("How long attempts to deliver an event took."),
		metric.WithExplicitBucketBoundaries(deliveryBounds...))
	m.attempts, errs[1] = meter.Int64Counter("sidenote.delivery.attempts",
		metric.WithUnit("{attempt}"), metric.WithDescription("Attempts to deliver an event, by the class of the answer's status."))
	m.refused, errs[2] = meter.Int64Counter("sidenote.delivery.refused_addresses",
		metric.WithUnit("{attempt}"), metric.WithDescription("Attempts that were not made, for the sink has an address that none may have, by class."))
	m.unanswered, errs[3] = meter.Int64Counter("sidenote.exchanges.unanswered",
		metric.WithUnit("{exchange}"), metric.WithDescription("Exchanges that the model gave no answer to, by cause."))
	m.overhead, errs[4] = meter.Float64Histogram("sidenote.proxy.overhead",
		metric.WithUnit("s"), metric.WithDescription("What the agent itself added to an exchange: not the model's time, nor the client's."),
		metric.WithExplicitBucketBoundaries(overheadBounds...))
	return errors.Join(errs[:]...)
}

// Shutdown ends the provider, once what a reader exports has gone out or ctx is
// done.
func (m *Metrics) Shutdown(ctx context.Context) error { return m.provider.Shutdown(ctx) }

// Attempt records one attempt to deliver an event; status 0 is no answer.
func (m *Metrics) Attempt(sink string, took time.Duration, status int) {
	ctx, to := context.Background(), attribute.String("sink", sink)
	m.duration.Record(ctx, took.Seconds(), metric.WithAttributes(to))
	m.attempts.Add(ctx, 1, metric.WithAttributes(to, attribute.String("status", statusClass(status))))
}

// RefusedAddress records an attempt that wasn't made because of the class of
// the sink's address.
func (m *Metrics) RefusedAddress(class string) {
	m.refused.Add(context.Background(), 1, metric.WithAttributes(attribute.String("class", class)))
}

// Unanswered records an exchange without an answer of the model.
func (m *Metrics) Unanswered(cause string) {
	m.unanswered.Add(context.Background(), 1, metric.WithAttributes(attribute.String("cause", cause)))
}

// Overhead records what the agent itself added to an exchange.
func (m *Metrics) Overhead(added time.Duration) {
	m.overhead.Record(context.Background(), added.Seconds())
}

// statusClass is one of 2xx, 3xx, 4xx, 5xx and none, which is also that of a
// status that no answer can end with.
func statusClass(status int) string {
	if status < 200 || status > 599 {
		return "none"
	}
	return string(rune('0'+status/100)) + "xx"
}
