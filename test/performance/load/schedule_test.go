/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"testing"
	"time"
)

func TestAScheduleKeepsItsRate(t *testing.T) {
	s := Schedule{Rate: 3, Length: 10 * time.Second}
	if s.Count() != 30 {
		t.Errorf("%d exchanges", s.Count())
	}
	for i, want := range map[int]time.Duration{0: 0, 1: 333333333, 3: time.Second, 29: 9666666666} {
		if got := s.At(i); got != want {
			t.Errorf("exchange %d at %d, want %d", i, got, want)
		}
	}
}
