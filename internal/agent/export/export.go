/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package export brings an agent's metrics and spans to a collector, as
// Knative's config-observability configures it. It uses OpenTelemetry's own
// exporters as knative.dev/pkg/observability does, and not that package: its
// server for metrics has a port of its own, and it doesn't bound the cost of an
// export.
//
// Nothing waits for a collector. Spans are in a bounded queue, which drops spans
// when it is full. Metrics are read when they are exported. Every export has a
// deadline, and a failure is counted and logged by its cause.
package export

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// timeout bounds one export.
	timeout = 10 * time.Second
	// maxQueuedSpans and maxExportedSpans bound the spans in the queue and in one
	// export. A span has one or two KiB.
	maxQueuedSpans   = 1024
	maxExportedSpans = 256
)

// Signal is what is exported. The set is closed: it labels metrics.
type Signal string

// The signals.
const (
	Metrics Signal = "metrics"
	Traces  Signal = "traces"
)

// Exports makes the exports of one agent, and counts failures.
type Exports struct {
	// ending is done when exports must end.
	ending context.Context
	end    context.CancelFunc
	// onFailure is called for each failed export, with a cause from a closed set.
	onFailure       func(Signal, string)
	metrics, traces atomic.Uint64
	// client is for exporters that use HTTP.
	client *http.Client
}

// New returns exports that call onFailure for each failure, with its cause.
func New(onFailure func(Signal, string)) *Exports {
	// The SDK's own handler writes a collector's responses to the standard error.
	// Failures are counted here instead.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	e := &Exports{onFailure: onFailure}
	e.ending, e.end = context.WithCancel(context.Background())
	e.client = newClient(e.ending)
	return e
}

// End cancels the exports in flight and closes the connections.
func (e *Exports) End() { e.end() }

// Failures counts the exports that failed, for each signal that had any.
func (e *Exports) Failures() map[string]uint64 {
	failures := make(map[string]uint64)
	for signal, count := range map[Signal]*atomic.Uint64{Metrics: &e.metrics, Traces: &e.traces} {
		if n := count.Load(); n > 0 {
			failures[string(signal)] = n
		}
	}
	return failures
}

// do makes one export within the timeout.
func (e *Exports) do(ctx context.Context, signal Signal, export func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(e.ending, cancel)()
	err := export(ctx)
	if err == nil {
		return nil
	}
	count := &e.metrics
	if signal == Traces {
		count = &e.traces
	}
	count.Add(1)
	e.onFailure(signal, cause(err))
	return err
}

// cause names an error without quoting it.
func cause(err error) string {
	var operation *net.OpError
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == codes.DeadlineExceeded,
		errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.Is(err, context.Canceled), status.Code(err) == codes.Canceled:
		return "shutdown"
	case errors.As(err, &operation), status.Code(err) == codes.Unavailable:
		return "unreachable"
	default:
		return "refused"
	}
}
