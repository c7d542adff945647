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
	unit, help := i.described("process.cpu.time").options()
	cpu, err := meter.Float64ObservableCounter("process.cpu.time", unit, help)
	memory := amount(i, i.described("process.memory.usage"))
	descriptors := amount(i, i.described("process.unix.file_descriptor.count"))
	uptime := seconds(i, i.described("process.uptime"))
	if err := errors.Join(err, i.err); err != nil {
		return err
	}
	begun := time.Now()
	user := metric.WithAttributes(attribute.String("cpu.mode", "user"))
	system := metric.WithAttributes(attribute.String("cpu.mode", "system"))
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		uptime(o, int64(time.Since(begun)))
		process, err := procfs.Self()
		if err != nil {
			// Not Linux, or no /proc.
			return nil
		}
		if stat, err := process.Stat(); err == nil {
			o.ObserveFloat64(cpu, float64(stat.UTime)/ticksPerSecond, user)
			o.ObserveFloat64(cpu, float64(stat.STime)/ticksPerSecond, system)
			memory(o, int64(stat.ResidentMemory()))
		}
		if open, err := process.FileDescriptorsLen(); err == nil {
			descriptors(o, int64(open))
		}
		return nil
	}, append(i.all, cpu)...)
	return err
}
