/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"encoding/json"
	"testing"
)

func TestBodiesAreAsLongAsAskedFor(t *testing.T) {
	for _, length := range []int{0, 1, 64, 1 << 10, 1<<10 + 1, 64 << 10} {
		body := Body(length)
		if len(body) != length {
			t.Errorf("%d bytes, want %d", len(body), length)
		}
		if length >= 64 && !json.Valid(body) {
			t.Errorf("%d bytes are no JSON", length)
		}
	}
}
