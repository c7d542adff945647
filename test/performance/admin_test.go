/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import "testing"

func TestMetricSumsItsSeries(t *testing.T) {
	exposition := "# HELP x_total y\n# TYPE x_total counter\nx_total{a=\"b} 7\",c=\"d\"} 1.5e3\nx_total 2\nx_total_other 5\n"
	if got := metric(exposition, "x_total"); got != 1502 {
		t.Errorf("got %v", got)
	}
}
