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

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
)

// A reading tells each value of a metric, with the value's labels.
type reading func(now *status.Status, tell tell)

type tell func(value int64, labels ...attribute.KeyValue)

type integer interface{ ~int64 | ~uint64 }

// of reads the one value of a metric.
func of[N integer](value func(*status.Status) N) reading {
	return func(now *status.Status, tell tell) { tell(int64(value(now))) }
}

// ofSinks reads a value of each sink.
func ofSinks[N integer](value func(delivery.SinkStatus) N) reading {
	return func(now *status.Status, tell tell) {
		for name, sink := range now.Sinks {
			tell(int64(value(sink)), attribute.String("sink", name))
		}
	}
}

// ofSpools reads a value of each sink's spool.
func ofSpools[N integer](value func(delivery.SpoolStatus) N) reading {
	return func(now *status.Status, tell tell) {
		for name, spool := range now.Spools {
			tell(int64(value(spool)), attribute.String("sink", name))
		}
	}
}

// by reads a value for each value of a label.
func by[L ~string](label string, values func(*status.Status) map[L]uint64) reading {
	return func(now *status.Status, tell tell) {
		for name, value := range values(now) {
			tell(int64(value), attribute.String(label, string(name)))
		}
	}
}

func dropped(now *status.Status, tell tell) {
	for name, sink := range now.Sinks {
		for reason, count := range sink.Dropped {
			tell(int64(count), attribute.String("sink", name), attribute.String("reason", string(reason)))
		}
	}
}

// The reasons for which an event is not for a sink.
const (
	skippedByKind   = "kind"
	skippedByFilter = "filter"
)

func skippedOfSinks(now *status.Status, tell tell) {
	for name, sink := range now.Sinks {
		by := func(reason string, count uint64) {
			tell(int64(count), attribute.String("sink", name), attribute.String("reason", reason))
		}
		by(skippedByKind, sink.Skipped()-sink.Filtered)
		by(skippedByFilter, sink.Filtered)
	}
}

func metadataInfo(now *status.Status, tell tell) {
	tell(1, attribute.String("hash", now.Metadata.Hash))
}

// instruments makes instruments and collects what goes wrong.
type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

// described returns what the table says of a metric.
func (i *instruments) described(name string) Metric {
	described, err := find(name)
	i.err = errors.Join(i.err, err)
	return described
}

// options returns the unit and the description of an instrument.
func (m Metric) options() (unit, help metric.InstrumentOption) {
	return metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
}

// observer observes a value of one instrument.
type observer func(o metric.Observer, value int64, labels ...metric.ObserveOption)

func (i *instruments) observer(instrument metric.Int64Observable, err error) observer {
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return func(o metric.Observer, value int64, labels ...metric.ObserveOption) {
		o.ObserveInt64(instrument, value, labels...)
	}
}

func counter(i *instruments, of Metric) observer {
	unit, help := of.options()
	return i.observer(i.meter.Int64ObservableCounter(of.Name, unit, help))
}

// amount is for values that add up over agents.
func amount(i *instruments, of Metric) observer {
	unit, help := of.options()
	return i.observer(i.meter.Int64ObservableUpDownCounter(of.Name, unit, help))
}

func gauge(i *instruments, of Metric) observer {
	unit, help := of.options()
	return i.observer(i.meter.Int64ObservableGauge(of.Name, unit, help))
}

// seconds is for values of a time.Duration.
func seconds(i *instruments, of Metric) observer {
	unit, help := of.options()
	instrument, err := i.meter.Float64ObservableGauge(of.Name, unit, help)
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
	return func(o metric.Observer, value int64, labels ...metric.ObserveOption) {
		o.ObserveFloat64(instrument, time.Duration(value).Seconds(), labels...)
	}
}

// observeState observes the metrics of the table that have a reading.
func observeState(meter metric.Meter, state func() status.Status) error {
	i := &instruments{meter: meter}
	readings := make(map[*Metric]observer)
	for row := range table {
		if of := &table[row]; of.read != nil {
			readings[of] = of.as(i, *of)
		}
	}
	if i.err != nil {
		return i.err
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var now status.Status
		if place := panics.Catch(func() { now = state() }); place != "" {
			return fmt.Errorf("reading the agent's state: a panic at %s", place)
		}
		for of, observe := range readings {
			of.read(&now, func(value int64, labels ...attribute.KeyValue) {
				observe(o, value, metric.WithAttributes(labels...))
			})
		}
		return nil
	}, i.all...)
	return err
}

// oneIf is 1 if a condition holds, otherwise 0.
func oneIf(condition bool) int64 {
	if condition {
		return 1
	}
	return 0
}
