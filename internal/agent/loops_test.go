/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/receiver"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestClientCannotHideAnExchange: whatever a client writes into its request so that
// it is taken for a loop, or can't be read, the exchange leaves an event, or at
// the very least a count.
func TestClientCannotHideAnExchange(t *testing.T) {
	const ownType, kept = "io.kubeflow.serving.inference.request", 4096
	own := `{"specversion":"1.0","id":"1","source":"s","data":{"type":"x"},"type":"` + ownType + `"}`
	other := `{"specversion":"1.0","type":"com.example.other","id":"1","source":"s"}`
	padded := `{"padding":"` + strings.Repeat(" ", 100_000) + `",` + own[1:]
	const structured, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
	for _, test := range []struct {
		name, body string
		header     map[string]string
		// events are the kinds that go out; reason is the attribute of a loop.
		events, reason string
		// skipped is set where there is no event but a count.
		skipped bool
	}{
		{name: "Ce-Type", header: map[string]string{"Ce-Type": "io.kubeflow.serving.inference.x"}, body: "{}", events: "loop", reason: "header"},
		{name: "Ce-Type of a ledger event", header: map[string]string{"Ce-Type": receiver.LedgerType}, body: "{}", events: "loop", reason: "header"},
		{name: "Ce-Type, with a body over the cap", header: map[string]string{"Ce-Type": ownType}, body: padded, events: "loop", reason: "header"},
		{name: "Ce-Type, without a body", header: map[string]string{"Ce-Type": ownType}, events: "loop", reason: "header"},
		{name: "an event of ours as the body", header: map[string]string{"Content-Type": structured}, body: own, events: "loop", reason: "body"},
		{name: "an event of ours with data over the cap", header: map[string]string{"Content-Type": structured}, body: own[:len(own)-1] + `,"data_base64":"` + strings.Repeat("A", kept) + `"}`, events: "loop", reason: "body"},
		{name: "an event of ours in a batch", header: map[string]string{"Content-Type": batch}, body: "[" + other + "," + own + "]", events: "loop", reason: "body"},
		{name: "a batch that hides it behind a loop", header: map[string]string{"Content-Type": batch}, body: "[" + strings.Replace(own, ownType, "io.kubeflow.serving.inference.loop", 1) + "," + own + "]", events: "loop", reason: "body"},
		{name: "padding past the cap", header: map[string]string{"Content-Type": structured}, body: padded, events: "loop", reason: "unreadable"},
		{name: "padding past the cap, and no event", header: map[string]string{"Content-Type": "application/json"}, body: padded, events: "request.oversize response"},
		{name: "an event that is cut off", header: map[string]string{"Content-Type": structured}, body: own[:20], events: "request response"},
		{name: "Content-Encoding: br", header: map[string]string{"Content-Encoding": "br", "Content-Type": "application/json"}, body: "{}", events: "request.encoded response"},
		{name: "Content-Encoding: br, and an event of ours", header: map[string]string{"Content-Encoding": "br", "Content-Type": structured}, body: own, events: "loop", reason: "body"},
		{name: "Accept-Encoding: br", header: map[string]string{"Accept-Encoding": "br"}, body: "{}", events: "request response.encoded"},
		{name: "a foreign event", header: map[string]string{"Content-Type": structured}, body: other, events: "request response"},
		{name: "a foreign batch", header: map[string]string{"Content-Type": batch}, body: "[" + other + "]", events: "request response"},
		{name: "Ce-Type of a foreign event", header: map[string]string{"Ce-Type": "com.example.other"}, body: "{}", events: "request response"},
		// What ends a loop leaves no event, or there would be no end.
		{name: "Ce-Type of a loop", header: map[string]string{"Ce-Type": "io.kubeflow.serving.inference.loop"}, body: "{}", skipped: true},
		{name: "a loop as the body", header: map[string]string{"Content-Type": structured}, body: strings.Replace(own, ownType, "io.kubeflow.serving.inference.loop", 1), skipped: true},
		{name: "padding past the cap that may be a loop", header: map[string]string{"Content-Type": structured}, body: `{"padding":"` + strings.Repeat(" ", kept) + `",` + own[1:], skipped: true},
	} {
		for _, mode := range []string{"all", "request"} {
			t.Run(test.name+", mode "+mode, func(t *testing.T) {
				model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Accept-Encoding") == "br" {
						w.Header().Set("Content-Encoding", "br")
					}
					agenttest.Predictor().ServeHTTP(w, r)
				})
				r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--max-payload-bytes="+strconv.Itoa(kept), "--mode="+mode))
				header := http.Header{}
				for name, value := range test.header {
					header.Set(name, value)
				}
				response, content := r.Do(http.MethodPost, "/v1/models/m:predict", header, strings.NewReader(test.body))
				if response.StatusCode != http.StatusOK || content != agenttest.Prediction {
					t.Errorf("the client got %s %s", response.Status, content)
				}
				counts, skipped := r.settled(), r.agent.pipeline.Skips().Snapshot()
				if test.skipped {
					if counts.Observed != 0 || skipped.Exchanges[ledger.SkipLoop] != 1 || len(skipped.Events) != 0 {
						t.Errorf("the ledger says %+v, skipped %+v", counts, skipped)
					}
					return
				}
				want := sortedWords(test.events)
				if requests, _, both := strings.Cut(test.events, " "); mode == "request" && both {
					// By what its head says: nobody tried to decode it.
					if skipped.Events["response"]+skipped.Events["response.encoded"] != 1 {
						t.Errorf("skipped %+v", skipped)
					}
					want = requests
				}
				if got := r.kinds(); got != want || len(skipped.Exchanges) != 0 {
					t.Fatalf("got %s, want %s; skipped %+v", got, want, skipped)
				}
				if test.reason == "" {
					return
				}
				sum := sha256.Sum256([]byte(test.body))
				e := r.Sink.Events()[0]
				if e.Attribute("loopreason") != test.reason || len(e.Data()) != 0 || e.Attribute("statuscode") != "200" || e.Attribute("durationms") == "" ||
					e.Subject() != "/v1/models/m:predict" || e.Attribute("bodysize") != strconv.Itoa(len(test.body)) || e.Attribute("bodysha256") != hex.EncodeToString(sum[:]) {
					t.Errorf("unexpected event: %v", e)
				}
			})
		}
	}
}

// TestEventLoopEnds: a model behind a Trigger without a filter, which matches the
// events of the model's own agent.
func TestEventLoopEnds(t *testing.T) {
	for _, test := range []struct {
		name  string
		line  []string
		calls int64
	}{
		// One of the client, one for each of its two events, one for each of the
		// loop events of those.
		{"in binary mode", []string{"--content-mode=binary"}, 5},
		{"in structured mode", []string{"--content-mode=structured"}, 5},
		// No event can be read here, so the first ones end it.
		{"of events over the cap", []string{"--content-mode=structured", "--max-payload-bytes=1"}, 3},
		{"without loop events", []string{"--events=request,response"}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int64
			var agent atomic.Value
			trigger := agenttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				delivered, err := http.NewRequest(http.MethodPost, agent.Load().(string), bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				delivered.Header = r.Header.Clone()
				response, err := agenttest.HTTP1Client(t).Do(delivered)
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				w.WriteHeader(http.StatusAccepted)
			})).URL
			r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				agenttest.Predictor().ServeHTTP(w, r)
			})), agenttest.With(append(test.line, "--sink="+trigger)...))
			agent.Store(r.URL + "/v1/models/m:predict")
			r.Post("/v1/models/m:predict", "{}")
			if counts := r.settled(); counts.Delivered != counts.Observed {
				t.Errorf("the ledger says %+v", counts)
			}
			if got := calls.Load(); got != test.calls {
				t.Errorf("the model was called %d times, want %d", got, test.calls)
			}
		})
	}
}
