/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package process

import "testing"

func TestPerfsCountIsRead(t *testing.T) {
	if got, err := parseCount("12345,,raw_syscalls:sys_enter,1000,100.00,,\n"); got != 12345 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	for _, said := range []string{"<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n", "event syntax error", ""} {
		if _, err := parseCount(said); err == nil {
			t.Errorf("%q: no error", said)
		}
	}
}
