/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package procs

import (
	"testing"
	"time"
)

func TestProcessTimeGrows(t *testing.T) {
	before, known := processTime()
	if !known {
		t.Fatal("the CPU time of the process is not known")
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if after, _ := processTime(); after > before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the process used no CPU time in 10 s")
		}
	}
}
