/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
)

// BenchmarkRecord is what an exchange and the delivery of an event cost here.
func BenchmarkRecord(b *testing.B) {
	reader, _, err := NewExposition()
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(reader, resource.Empty())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("exchange", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Overhead(time.Millisecond)
		}
	})
	b.Run("attempt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Attempt("default", time.Millisecond, 202)
		}
	})
}

// TestRecordingAllocatesNothing, once a sink is known.
func TestRecordingAllocatesNothing(t *testing.T) {
	reader, _, err := NewExposition()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(reader, resource.Empty())
	if err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string]func(){
		"an attempt":  func() { m.Attempt("default", time.Millisecond, 202) },
		"an exchange": func() { m.Overhead(time.Millisecond) },
	} {
		if got := testing.AllocsPerRun(100, record); got >= 1 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
