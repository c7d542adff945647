/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"strings"
	"testing"
	"time"
)

// FuzzRetryAfter: whatever a sink writes, it is left alone for no longer than
// the cap, and only where its status lets it ask for that.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	for _, value := range []string{
		"1", "0", "-1", "+1", "1.5", "1e9", "18446744073709551615", "99999999999999999999", " 3 ", "",
		"Sun, 22 Nov 2026 12:00:05 GMT", "Sunday, 22-Nov-26 12:00:05 GMT", "Sun Nov 22 12:00:05 2026",
		"Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "\x00", "１",
	} {
		f.Add(503, value, int64(20*time.Second))
	}
	f.Add(429, "7", int64(0))
	f.Add(200, "7", int64(time.Hour))
	f.Fuzz(func(t *testing.T, status int, value string, most int64) {
		if most < 0 {
			t.Skip("a cap is no less than nothing")
		}
		wait := ParseRetryAfter(status, value, now, time.Duration(most))
		if wait < 0 || wait > time.Duration(most) {
			t.Errorf("%d %q capped at %s waits %s", status, value, time.Duration(most), wait)
		}
		if wait > 0 && status != 429 && status != 503 {
			t.Errorf("%d %q waits %s", status, value, wait)
		}
		if wait > 0 && !strings.ContainsAny(value, "0123456789") {
			t.Errorf("%q waits %s", value, wait)
		}
	})
}
