/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"testing"
	"time"
)

// Eventually waits until a condition holds. Its limit ends a test that hangs;
// no test measures time by it.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	Within(t, 5*time.Minute, what, condition)
}

// Within waits until a condition holds, for at most limit of the time in which
// this process runs: on a busy machine both it and the agent wait, and hardly
// any of that time passes.
func Within(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	step, used := time.Millisecond, time.Duration(0)
	for deadline := time.Now().Add(10 * time.Minute); !condition(); {
		begun := time.Now()
		if used > limit || begun.After(deadline) {
			t.Fatalf("not seen within %s: %s", limit, what)
		}
		time.Sleep(step)
		used += min(time.Since(begun), 2*step)
		step = min(2*step, 10*time.Millisecond)
	}
}
