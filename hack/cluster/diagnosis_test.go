/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"slices"
	"testing"
)

func TestUnready(t *testing.T) {
	got := unready(`knative-serving   webhook-1      1/1   Running            0   1m
knative-serving   activator-1    0/1   CrashLoopBackOff   6   1m
default           job-1          0/1   Completed          0   1m
`)
	want := []string{"knative-serving   activator-1    0/1   CrashLoopBackOff   6   1m"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
