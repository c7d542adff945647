/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import "testing"

// TestShare: whatever the others hold, each sink has its guaranteed part.
func TestShare(t *testing.T) {
	const budget = 1 << 20
	if got := SinkShare(budget, 1); got != budget {
		t.Errorf("a sole sink may hold %d", got)
	}
	for sinks := 2; sinks <= 20; sinks++ {
		left := int64(budget) - int64(sinks-1)*SinkShare(budget, sinks)
		if left < budget/int64(2*sinks) {
			t.Errorf("of %d sinks, the others leave one %d bytes", sinks, left)
		}
	}
}
