/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package ledger

import (
	"encoding/json"
	"testing"
)

// TestAStatementIsTheSameJSON compares it byte by byte: it is the data of ledger
// events.
func TestAStatementIsTheSameJSON(t *testing.T) {
	for _, want := range []string{
		`{"agentinstance":"a","sink":"default","sequence":9,"final":true,` +
			`"observed":9,"recovered":1,"delivered":2,"dropped":{"budget":3},"deadLettered":1,"pending":3,` +
			`"skipped":{"probe":4},"skippedEvents":{"request":5},"mode":"all","events":["response"],` +
			`"started":"2026-11-25T00:00:00Z","intervalSeconds":60}`,
		`{"agentinstance":"","sink":"","sequence":0,"final":false,` +
			`"observed":0,"recovered":0,"delivered":0,"dropped":{},"deadLettered":0,"pending":0,` +
			`"skipped":{},"skippedEvents":{},"mode":"","events":[],` +
			`"started":"2026-11-25T00:00:00Z","intervalSeconds":0}`,
	} {
		var statement Statement
		if err := json.Unmarshal([]byte(want), &statement); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(statement); err != nil || string(got) != want {
			t.Errorf("a statement is\n%s (%v), want\n%s", got, err, want)
		}
	}
}
