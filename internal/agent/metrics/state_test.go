/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/refresh"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
)

// TestEachFigureHasItsMetric serves an agent whose figures all differ.
func TestEachFigureHasItsMetric(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	made, err := New(reader, resource.Empty())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = made.Shutdown(t.Context()) }()
	if err := made.Observe(func() status.Status {
		return status.Status{
			Sinks: map[string]delivery.SinkStatus{
				"a": {
					Snapshot: ledger.Snapshot{
						Counts: ledger.Counts{
							Observed: 1, Recovered: 2, Delivered: 3, Dropped: map[ledger.Reason]uint64{"budget": 4}, DeadLettered: 5, Pending: 6,
						},
						Retried: 7, Spooled: 8, SkippedEvents: map[string]uint64{"request": 27, "loop": 1}, Filtered: 29,
					},
					OldestAge: 9500 * time.Millisecond, HeldBytes: 10, AddressFailures: 11,
				},
				"b": {},
			},
			Spools: map[string]delivery.SpoolStatus{
				"a": {
					Open: true, SpooledThrough: 14,
					Stats: spool.Stats{Bytes: 12, Limit: 13, Errors: 15, RefusedFull: 16, CorruptBlocks: 17},
				},
			},
			Skipped: map[ledger.SkipReason]uint64{"probe": 18}, SkippedEvents: map[string]uint64{"loop": 19},
			Active: 20, Usage: capture.Usage{BufferUsed: 21, BufferLimit: 22, Captured: 23}, Ready: true,
			Metadata: refresh.Status{Changes: 24, Failures: 25, Hash: "h"}, ExportFailures: map[string]uint64{"traces": 26},
			LeftOut: map[event.LeftOutReason]uint64{"denied": 27},
		}
	}); err != nil {
		t.Fatal(err)
	}
	var read metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &read); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, scope := range read.ScopeMetrics {
		for _, m := range scope.Metrics {
			if strings.HasPrefix(m.Name, "sidenote.") {
				lines = append(lines, points(t, m)...)
			}
		}
	}
	slices.Sort(lines)
	if got := strings.Join(lines, "\n"); got != figures {
		t.Errorf("served is\n%s\nwant\n%s", got, figures)
	}
}

// points returns a line for each value of a metric: its type, name, labels and the
// value.
func points(t *testing.T, m metricdata.Metrics) (lines []string) {
	t.Helper()
	line := func(kind string, labels attribute.Set, value any) {
		lines = append(lines, fmt.Sprintf("%s %s{%s} %v", kind, m.Name, labels.Encoded(attribute.DefaultEncoder()), value))
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		kind := "amount"
		if data.IsMonotonic {
			kind = "counter"
		}
		for _, point := range data.DataPoints {
			line(kind, point.Attributes, point.Value)
		}
	case metricdata.Gauge[int64]:
		for _, point := range data.DataPoints {
			line("gauge", point.Attributes, point.Value)
		}
	case metricdata.Gauge[float64]:
		for _, point := range data.DataPoints {
			line("float gauge", point.Attributes, point.Value)
		}
	default:
		t.Errorf("%s has the type %T", m.Name, m.Data)
	}
	return lines
}

const figures = `amount sidenote.buffer.limit{} 22
amount sidenote.buffer.usage{} 21
amount sidenote.capture.usage{} 23
amount sidenote.events.pending{sink=a} 6
amount sidenote.events.pending{sink=b} 0
amount sidenote.exchanges.active{} 20
amount sidenote.queue.usage{sink=a} 10
amount sidenote.queue.usage{sink=b} 0
amount sidenote.spool.limit{sink=a} 13
amount sidenote.spool.usage{sink=a} 12
counter sidenote.events.dead_lettered{sink=a} 5
counter sidenote.events.dead_lettered{sink=b} 0
counter sidenote.events.delivered{sink=a} 3
counter sidenote.events.delivered{sink=b} 0
counter sidenote.events.dropped{reason=budget,sink=a} 4
counter sidenote.events.observed{sink=a} 1
counter sidenote.events.observed{sink=b} 0
counter sidenote.events.recovered{sink=a} 2
counter sidenote.events.recovered{sink=b} 0
counter sidenote.events.retried{sink=a} 7
counter sidenote.events.retried{sink=b} 0
counter sidenote.events.skipped{kind=loop} 19
counter sidenote.events.spooled{sink=a} 8
counter sidenote.events.spooled{sink=b} 0
counter sidenote.exchanges.skipped{reason=probe} 18
counter sidenote.metadata.changes{} 24
counter sidenote.metadata.failures{} 25
counter sidenote.metadata.left_out{reason=denied} 27
counter sidenote.sink.address_failures{sink=a} 11
counter sidenote.sink.address_failures{sink=b} 0
counter sidenote.sink.skipped{reason=filter,sink=a} 29
counter sidenote.sink.skipped{reason=filter,sink=b} 0
counter sidenote.sink.skipped{reason=kind,sink=a} 28
counter sidenote.sink.skipped{reason=kind,sink=b} 0
counter sidenote.spool.corrupt_blocks{sink=a} 17
counter sidenote.spool.errors{sink=a} 15
counter sidenote.spool.refused{sink=a} 16
counter sidenote.telemetry.failures{signal=traces} 26
float gauge sidenote.queue.age{sink=a} 9.5
float gauge sidenote.queue.age{sink=b} 0
gauge sidenote.metadata.info{hash=h} 1
gauge sidenote.model.ready{} 1
gauge sidenote.spool.watermark{sink=a} 14
gauge sidenote.spool.working{sink=a} 1`
