/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instruments makes observable instruments and collects what goes wrong.
type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

func (i *instruments) counter(name, unit, description string) metric.Int64ObservableCounter {
	instrument, err := i.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return instrument
}

func (i *instruments) gauge(name, unit, description string) metric.Int64ObservableGauge {
	instrument, err := i.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return instrument
}

func (i *instruments) seconds(name, description string) metric.Float64ObservableGauge {
	instrument, err := i.meter.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(description))
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return instrument
}

func observe(meter metric.Meter, state func() State) error {
	i := &instruments{meter: meter}
	observed := i.counter("sidenote.events.observed", "{event}", "Events that were to be sent.")
	delivered := i.counter("sidenote.events.delivered", "{event}", "Events that the sink took.")
	dropped := i.counter("sidenote.events.dropped", "{event}", "Events that are lost, by reason.")
	deadLettered := i.counter("sidenote.events.dead_lettered", "{event}", "Events that the dead letter sink took.")
	retried := i.counter("sidenote.events.retried", "{attempt}", "Attempts after an event's first.")
	pending := i.gauge("sidenote.events.pending", "{event}", "Events that are on their way.")
	age := i.seconds("sidenote.queue.age", "Age of the oldest event that waits for its sink.")
	skipped := i.counter("sidenote.exchanges.skipped", "{exchange}", "Exchanges that were proxied but not observed, by reason.")
	active := i.gauge("sidenote.exchanges.active", "{exchange}", "Exchanges that are under way.")
	used := i.gauge("sidenote.buffer.used", "By", "Bytes that are held for events.")
	limit := i.gauge("sidenote.buffer.limit", "By", "Bytes that may be held for events.")
	ready := i.gauge("sidenote.model.ready", "", "Whether the model is ready.")
	changes := i.counter("sidenote.metadata.changes", "{change}", "Changes of the watched metadata that were put in force.")
	failures := i.counter("sidenote.metadata.failures", "{change}", "Changes of the watched metadata that could not be used.")
	info := i.gauge("sidenote.metadata.info", "", "The hash of the metadata in force, as a label.")
	if i.err != nil {
		return i.err
	}

	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := state()
		for _, sink := range now.Sinks {
			name := attribute.String("sink", sink.Name)
			of := metric.WithAttributes(name)
			o.ObserveInt64(observed, int64(sink.Ledger.Observed), of)
			o.ObserveInt64(delivered, int64(sink.Ledger.Delivered), of)
			o.ObserveInt64(deadLettered, int64(sink.Ledger.DeadLettered), of)
			o.ObserveInt64(retried, int64(sink.Ledger.Retried), of)
			o.ObserveInt64(pending, int64(sink.Ledger.Pending), of)
			o.ObserveFloat64(age, sink.OldestAge.Seconds(), of)
			for reason, count := range sink.Ledger.Dropped {
				o.ObserveInt64(dropped, int64(count), metric.WithAttributes(name, attribute.String("reason", string(reason))))
			}
		}
		for reason, count := range now.Skipped {
			o.ObserveInt64(skipped, int64(count), metric.WithAttributes(attribute.String("reason", string(reason))))
		}
		o.ObserveInt64(active, now.Active)
		o.ObserveInt64(used, now.BufferUsed)
		o.ObserveInt64(limit, now.BufferLimit)
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
