/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A sink gets its address after the agent has started, and moves, and the
// agent stays.
func TestAnAgentFollowsItsSink(t *testing.T) {
	first, second, letters := newSubscriber(t), newSubscriber(t), newSubscriber(t)
	second.answer = func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }
	directory := t.TempDir()
	say := func(name, content string) {
		t.Helper()
		// As the kubelet does: never half a file.
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, predictor(),
		"--sink.default.address-file="+filepath.Join(directory, "sink"), "--sink.default.dead-letter.address-file="+filepath.Join(directory, "letters"),
		"--allow-loopback-sinks=true")
	predict := func(what string, arrived func() bool) {
		t.Helper()
		eventually(t, what, func() bool {
			r.post("/v1/models/m:predict", "{}")
			return arrived()
		})
	}
	predict("events without an address are counted", func() bool {
		return r.agent.sinks[0].Account().Snapshot().Dropped["nosink"] > 0
	})
	say("sink", `{"url":"`+first.url+`"}`)
	predict("events at the first place", func() bool { return len(first.events()) > 0 })

	say("letters", `{"url":"`+letters.url+`"}`)
	say("sink", `{"url":"`+second.url+`"}`)
	predict("what the second place refuses among the dead letters", func() bool { return len(letters.events()) > 0 })
	if got := letters.events()[0].Extensions()["knativeerrordest"]; got != second.url {
		t.Errorf("knativeerrordest is %v, want the present address %s", got, second.url)
	}
}
