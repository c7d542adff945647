/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package export brings an agent's metrics and spans to a collector, as
// Knative's config-observability configures it. It uses OpenTelemetry's own
// exporters as knative.dev/pkg/observability does, and not that package: its
// metrics are served by a server of its own on a port of its own, and what an
// export may cost an agent isn't bounded by it.
//
// Nothing waits for a collector. Spans wait in a queue that drops what it has
// no room for, metrics are read when they are exported, every export has a
// deadline, and what fails is counted and logged by its cause.
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
	// maxQueuedSpans and maxExportedSpans bound what is held of spans, each a
	// KiB or two: in the queue, and in one export.
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

// Exports follows what becomes of the exports of one agent.
type Exports struct {
	// ending is done when no export may go on.
	ending context.Context
	end    context.CancelFunc
	// onFailure is told of each failed export, with its cause of a closed set.
	onFailure       func(Signal, string)
	metrics, traces atomic.Uint64
	// client is that of the exporters which speak HTTP.
	client *http.Client
}

// New gives exports that tell onFailure of each that failed, and its cause.
func New(onFailure func(Signal, string)) *Exports {
	// The SDK's own handler writes to the standard error what a collector
	// answered. What matters of it is counted here.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	e := &Exports{onFailure: onFailure}
	e.ending, e.end = context.WithCancel(context.Background())
	e.client = newClient(e.ending)
	return e
}

// End cuts off the exports that are under way, and closes the connections.
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

// do makes one export, within its time.
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
