/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	three, none := 3, 0
	second, hour, nothing := time.Second, time.Hour, time.Duration(0)
	for name, test := range map[string]struct {
		schedule Schedule
		// waits after each failed attempt, up to the last that is followed by one.
		waits []time.Duration
		ends  bool
	}{
		"nothing asked for":          {Schedule{}, []time.Duration{0, 0, 0, 0, 0, 0}, false},
		"no retries":                 {Schedule{Retries: &none}, nil, true},
		"retries alone":              {Schedule{Retries: &three}, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}, true},
		"exponential":                {Schedule{Retries: &three, Policy: BackoffExponential, Delay: &second}, []time.Duration{1 * second, 2 * second, 4 * second}, true},
		"linear":                     {Schedule{Retries: &three, Policy: BackoffLinear, Delay: &second}, []time.Duration{1 * second, 2 * second, 3 * second}, true},
		"no delay":                   {Schedule{Retries: &three, Delay: &nothing}, []time.Duration{0, 0, 0}, true},
		"longer than an event lives": {Schedule{Retries: &three, Policy: BackoffLinear, Delay: &hour}, []time.Duration{EventDeadline, EventDeadline, EventDeadline}, true},
		"a delay alone":              {Schedule{Delay: &second}, []time.Duration{1 * second, 2 * second, 4 * second, 8 * second, 16 * second, 20 * second, 20 * second}, false},
		"a policy alone":             {Schedule{Policy: BackoffLinear}, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond}, false},
	} {
		for i, want := range test.waits {
			if test.schedule.Exhausted(i + 1) {
				t.Errorf("%s: exhausted after %d attempts", name, i+1)
			}
			if got := test.schedule.Wait(i + 1); got != want {
				t.Errorf("%s: the wait before retry %d is %s, want %s", name, i+1, got, want)
			}
		}
		if got := test.schedule.Exhausted(len(test.waits) + 1); got != test.ends {
			t.Errorf("%s: exhausted after %d attempts: %v", name, len(test.waits)+1, got)
		}
		if got := test.schedule.Wait(1 << 40); got < 0 || got > EventDeadline {
			t.Errorf("%s: in the end the wait is %s", name, got)
		}
	}
}
