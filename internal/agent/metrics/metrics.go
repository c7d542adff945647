/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package metrics has the agent's instruments, by OpenTelemetry: names and
// units follow its semantic conventions, and every attribute is of a closed
// set. One table describes each, and docs/reference/metrics.md is generated from
// it.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/sidenote-dev/sidenote/internal/agent/status"
)

const scope = "github.com/sidenote-dev/sidenote/internal/agent"

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
	noResponse metric.Int64Counter
	overhead   metric.Float64Histogram
	// labels has *labels for each name of a sink.
	labels sync.Map
}

// New returns instruments that reader reads, nil for none. The resource says whose
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
func (m *Metrics) Observe(state func() status.Status) error {
	if err := observeState(m.provider.Meter(scope), state); err != nil {
		return fmt.Errorf("making an instrument: %w", err)
	}
	return nil
}

func (m *Metrics) makeInstruments(meter metric.Meter) error {
	i := &instruments{meter: meter}
	m.duration = i.histogram("sidenote.delivery.duration", deliveryBounds)
	m.attempts = i.sum("sidenote.delivery.attempts")
	m.refused = i.sum("sidenote.delivery.refused_addresses")
	m.noResponse = i.sum("sidenote.exchanges.unanswered")
	m.overhead = i.histogram("sidenote.proxy.overhead", overheadBounds)
	return i.err
}

func (i *instruments) sum(name string) metric.Int64Counter {
	unit, help := i.described(name).options()
	instrument, err := i.meter.Int64Counter(name, unit, help)
	i.err = errors.Join(i.err, err)
	return instrument
}

func (i *instruments) histogram(name string, bounds []float64) metric.Float64Histogram {
	unit, help := i.described(name).options()
	instrument, err := i.meter.Float64Histogram(name, unit, help, metric.WithExplicitBucketBoundaries(bounds...))
	i.err = errors.Join(i.err, err)
	return instrument
}

// Shutdown ends the provider, once what a reader exports has gone out or ctx is
// done.
func (m *Metrics) Shutdown(ctx context.Context) error { return m.provider.Shutdown(ctx) }

// Attempt records one attempt to deliver an event; status 0 is no response.
func (m *Metrics) Attempt(sink string, took time.Duration, status int) {
	known, found := m.labels.Load(sink)
	if !found {
		known, _ = m.labels.LoadOrStore(sink, newLabels(sink))
	}
	labels := known.(*labels)
	m.duration.Record(context.Background(), took.Seconds(), labels.ofDuration...)
	m.attempts.Add(context.Background(), 1, labels.ofAttempts[statusClass(status)]...)
}

// labels are those of one sink's attempts, made once: an attribute set costs
// more than to count with it.
type labels struct {
	ofDuration []metric.RecordOption
	// ofAttempts has them for each class of status.
	ofAttempts map[string][]metric.AddOption
}

func newLabels(sink string) *labels {
	to := attribute.String("sink", sink)
	l := &labels{
		ofDuration: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(to))},
		ofAttempts: make(map[string][]metric.AddOption),
	}
	for _, class := range statusClasses {
		set := attribute.NewSet(to, attribute.String("status", class))
		l.ofAttempts[class] = []metric.AddOption{metric.WithAttributeSet(set)}
	}
	return l
}

// RefusedAddress records an attempt that wasn't made because of the class of
// the sink's address.
func (m *Metrics) RefusedAddress(class string) {
	m.refused.Add(context.Background(), 1, metric.WithAttributes(attribute.String("class", class)))
}

// NoResponse records an exchange without a response of the model.
func (m *Metrics) NoResponse(cause string) {
	m.noResponse.Add(context.Background(), 1, metric.WithAttributes(attribute.String("cause", cause)))
}

// Overhead records what the agent itself added to an exchange.
func (m *Metrics) Overhead(added time.Duration) {
	m.overhead.Record(context.Background(), added.Seconds())
}

// statusClasses are those that label metrics, from that of no response, or of a
// status that no response can end with.
var statusClasses = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// statusClass is one of 2xx, 3xx, 4xx, 5xx and none.
func statusClass(status int) string {
	if status < 200 || status > 599 {
		return statusClasses[0]
	}
	return statusClasses[status/100]
}
