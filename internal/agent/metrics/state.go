/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
)

// SinkState is one sink's part of State.
type SinkState struct {
	Name   string
	Ledger ledger.Snapshot
	// OldestAge is that of the oldest event that waits, or 0.
	OldestAge time.Duration
	// QueueBytes is what the sink's events hold of the budget, those in flight
	// too.
	QueueBytes int64
	// AddressFailures counts what its address file said and couldn't be used.
	AddressFailures uint64
	// Spool is nil where the sink has none.
	Spool *Spool
}

// Spool is how a sink's spool does.
type Spool struct {
	// Working says that it takes events, and doesn't fail.
	Working bool
	// Bytes is what its files take, at most Limit.
	Bytes, Limit int64
	// Watermark is the highest agentsequence up to which a kill loses nothing.
	Watermark                      uint64
	Errors, Refused, CorruptBlocks uint64
}

// State is what is observed at a reading.
type State struct {
	Sinks                             []SinkState
	Skipped                           ledger.Skipped
	Active                            int64
	BufferUsed, BufferLimit           int64
	CaptureUsed                       int64
	ModelReady                        bool
	MetadataChanges, MetadataFailures uint64
	MetadataHash                      string
	// ExportFailures counts, by signal, what no collector took.
	ExportFailures map[string]uint64
}

// instruments makes observable instruments and collects what goes wrong.
type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

// options returns the unit and the description that the table has for a metric.
func (i *instruments) options(name string) (metric.InstrumentOption, metric.InstrumentOption) {
	described, err := find(name)
	i.err = errors.Join(i.err, err)
	return metric.WithUnit(described.Unit), metric.WithDescription(described.Help)
}

func (i *instruments) counter(name string) metric.Int64ObservableCounter {
	unit, help := i.options(name)
	instrument, err := i.meter.Int64ObservableCounter(name, unit, help)
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return instrument
}

// amount is for values that add up over agents.
func (i *instruments) amount(name string) metric.Int64ObservableUpDownCounter {
	unit, help := i.options(name)
	instrument, err := i.meter.Int64ObservableUpDownCounter(name, unit, help)
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return instrument
}

func (i *instruments) gauge(name string) metric.Int64ObservableGauge {
	unit, help := i.options(name)
	instrument, err := i.meter.Int64ObservableGauge(name, unit, help)
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return instrument
}

func (i *instruments) seconds(name string) metric.Float64ObservableGauge {
	unit, help := i.options(name)
	instrument, err := i.meter.Float64ObservableGauge(name, unit, help)
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return instrument
}

func observeState(meter metric.Meter, state func() State) error {
	i := &instruments{meter: meter}
	observed := i.counter("sidenote.events.observed")
	recovered := i.counter("sidenote.events.recovered")
	spooled := i.counter("sidenote.events.spooled")
	delivered := i.counter("sidenote.events.delivered")
	dropped := i.counter("sidenote.events.dropped")
	deadLettered := i.counter("sidenote.events.dead_lettered")
	retried := i.counter("sidenote.events.retried")
	pending := i.amount("sidenote.events.pending")
	age := i.seconds("sidenote.queue.age")
	queued := i.amount("sidenote.queue.usage")
	spoolWorks := i.gauge("sidenote.spool.working")
	spoolUsed := i.amount("sidenote.spool.usage")
	spoolLimit := i.amount("sidenote.spool.limit")
	watermark := i.gauge("sidenote.spool.watermark")
	spoolErrors := i.counter("sidenote.spool.errors")
	refused := i.counter("sidenote.spool.refused")
	corrupt := i.counter("sidenote.spool.corrupt_blocks")
	skippedEvents := i.counter("sidenote.events.skipped")
	addressFailures := i.counter("sidenote.sink.address_failures")
	skipped := i.counter("sidenote.exchanges.skipped")
	active := i.amount("sidenote.exchanges.active")
	used := i.amount("sidenote.buffer.usage")
	limit := i.amount("sidenote.buffer.limit")
	captured := i.amount("sidenote.capture.usage")
	ready := i.gauge("sidenote.model.ready")
	changes := i.counter("sidenote.metadata.changes")
	failures := i.counter("sidenote.metadata.failures")
	info := i.gauge("sidenote.metadata.info")
	exports := i.counter("sidenote.telemetry.failures")
	if i.err != nil {
		return i.err
	}

	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var now State
		if place := panics.Catch(func() { now = state() }); place != "" {
			return fmt.Errorf("reading the agent's state: a panic at %s", place)
		}
		for _, sink := range now.Sinks {
			name := attribute.String("sink", sink.Name)
			of := metric.WithAttributes(name)
			o.ObserveInt64(observed, int64(sink.Ledger.Observed), of)
			o.ObserveInt64(recovered, int64(sink.Ledger.Recovered), of)
			o.ObserveInt64(spooled, int64(sink.Ledger.Spooled), of)
			o.ObserveInt64(delivered, int64(sink.Ledger.Delivered), of)
			o.ObserveInt64(deadLettered, int64(sink.Ledger.DeadLettered), of)
			o.ObserveInt64(retried, int64(sink.Ledger.Retried), of)
			o.ObserveInt64(pending, int64(sink.Ledger.Pending), of)
			o.ObserveFloat64(age, sink.OldestAge.Seconds(), of)
			o.ObserveInt64(queued, sink.QueueBytes, of)
			o.ObserveInt64(addressFailures, int64(sink.AddressFailures), of)
			if spool := sink.Spool; spool != nil {
				o.ObserveInt64(spoolWorks, oneIf(spool.Working), of)
				o.ObserveInt64(spoolUsed, spool.Bytes, of)
				o.ObserveInt64(spoolLimit, spool.Limit, of)
				o.ObserveInt64(watermark, int64(spool.Watermark), of)
				o.ObserveInt64(spoolErrors, int64(spool.Errors), of)
				o.ObserveInt64(refused, int64(spool.Refused), of)
				o.ObserveInt64(corrupt, int64(spool.CorruptBlocks), of)
			}
			for reason, count := range sink.Ledger.Dropped {
				o.ObserveInt64(dropped, int64(count), metric.WithAttributes(name, attribute.String("reason", string(reason))))
			}
		}
		for kind, count := range now.Skipped.Events {
			o.ObserveInt64(skippedEvents, int64(count), metric.WithAttributes(attribute.String("kind", kind)))
		}
		for reason, count := range now.Skipped.Exchanges {
			o.ObserveInt64(skipped, int64(count), metric.WithAttributes(attribute.String("reason", string(reason))))
		}
		for signal, count := range now.ExportFailures {
			o.ObserveInt64(exports, int64(count), metric.WithAttributes(attribute.String("signal", signal)))
		}
		o.ObserveInt64(active, now.Active)
		o.ObserveInt64(used, now.BufferUsed)
		o.ObserveInt64(limit, now.BufferLimit)
		o.ObserveInt64(captured, now.CaptureUsed)
		o.ObserveInt64(ready, oneIf(now.ModelReady))
		o.ObserveInt64(changes, int64(now.MetadataChanges))
		o.ObserveInt64(failures, int64(now.MetadataFailures))
		o.ObserveInt64(info, 1, metric.WithAttributes(attribute.String("hash", now.MetadataHash)))
		return nil
	}, i.all...)
	return err
}

func oneIf(condition bool) int64 {
	if condition {
		return 1
	}
	return 0
}
