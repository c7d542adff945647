/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/procfs"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// ticksPerSecond is the unit of the times in /proc (proc(5), sysconf(_SC_CLK_TCK)).
const ticksPerSecond = 100

// observeProcess adds what the operating system says of the process. It says
// nothing where there is no /proc.
func observeProcess(meter metric.Meter) error {
	i := &instruments{meter: meter}
	unit, help := i.options("process.cpu.time")
	cpu, err := meter.Float64ObservableCounter("process.cpu.time", unit, help)
	memory := i.amount("process.memory.usage")
	descriptors := i.amount("process.unix.file_descriptor.count")
	uptime := i.seconds("process.uptime")
	if err := errors.Join(err, i.err); err != nil {
		return err
	}
	begun := time.Now()
	user := metric.WithAttributes(attribute.String("cpu.mode", "user"))
	system := metric.WithAttributes(attribute.String("cpu.mode", "system"))
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveFloat64(uptime, time.Since(begun).Seconds())
		process, err := procfs.Self()
		if err != nil {
			// Not Linux, or no /proc.
			return nil
		}
		if stat, err := process.Stat(); err == nil {
			o.ObserveFloat64(cpu, float64(stat.UTime)/ticksPerSecond, user)
			o.ObserveFloat64(cpu, float64(stat.STime)/ticksPerSecond, system)
			o.ObserveInt64(memory, int64(stat.ResidentMemory()))
		}
		if open, err := process.FileDescriptorsLen(); err == nil {
			o.ObserveInt64(descriptors, int64(open))
		}
		return nil
	}, append(i.all, cpu)...)
	return err
}
