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

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// A sink gets its address after the agent has started, and moves, and the
// agent stays.
func TestAnAgentFollowsItsSink(t *testing.T) {
	first, second, letters := agenttest.NewSink(t), agenttest.NewSink(t), agenttest.NewSink(t)
	second.Respond(func(_ agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
	})
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
	r := newRig(t, agenttest.Predictor(),
		"--sink.default.address-file="+filepath.Join(directory, "sink"), "--sink.default.dead-letter.address-file="+filepath.Join(directory, "letters"),
		"--allow-loopback-sinks=true")
	predict := func(what string, arrived func() bool) {
		t.Helper()
		agenttest.Eventually(t, what, func() bool {
			r.post("/v1/models/m:predict", "{}")
			return arrived()
		})
	}
	predict("events without an address are counted", func() bool {
		return r.agent.sinks[0].Account().Snapshot().Dropped["nosink"] > 0
	})
	say("sink", `{"url":"`+first.URL+`"}`)
	predict("events at the first place", func() bool { return len(first.Events()) > 0 })

	say("letters", `{"url":"`+letters.URL+`"}`)
	say("sink", `{"url":"`+second.URL+`"}`)
	predict("what the second place refuses among the dead letters", func() bool { return len(letters.Events()) > 0 })
	if got := letters.Events()[0].Extensions()["knativeerrordest"]; got != second.URL {
		t.Errorf("knativeerrordest is %v, want the present address %s", got, second.URL)
	}
}
