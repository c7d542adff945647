/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import "testing"

func TestChartsShowTheMeasurements(t *testing.T) {
	charts := Charts(goalResult())
	names := make(map[string]Chart)
	for _, chart := range charts {
		names[chart.Name] = chart
	}
	cpu := names["performance-cpu"]
	if len(charts) != 4 || len(cpu.Rows) != 4 {
		t.Fatalf("got %+v", charts)
	}
	if row := cpu.Rows[2]; row.Label != All || len(row.Bars) != 1 || row.Bars[0].Goal != 1 || row.Bars[0].High != 1.2 {
		t.Errorf("got %+v", row)
	}
	if Charts(&Result{}) == nil || len(Charts(&Result{})) != 0 {
		t.Error("nothing was measured, and there are charts")
	}
}
