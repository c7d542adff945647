/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// moody fails at /fail, takes 5 ms at /slow, and predicts elsewhere.
var moody = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/fail":
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, "no", http.StatusTeapot)
		return
	case "/slow":
		time.Sleep(5 * time.Millisecond)
	}
	agenttest.Predictor().ServeHTTP(w, r)
})

// byCorrelation are the kinds of the events that arrived, in the order of their
// sequence, by correlation id. Each event must have a rate.
func (r *rig) byCorrelation(rate string) map[string]string {
	r.t.Helper()
	kinds := make(map[string]string)
	for _, e := range r.Sink.Events() {
		if got := e.Attribute("sampledrate"); got != rate {
			r.t.Errorf("%s has the sampledrate %q, want %q", e.Kind(), got, rate)
		}
		kinds[e.Attribute("correlationid")] += e.Kind() + " "
	}
	for id := range kinds {
		kinds[id] = sortedWords(kinds[id])
	}
	return kinds
}

func TestSampledExchangesSendBothEvents(t *testing.T) {
	const count = 200
	r := newRig(t, agenttest.With("--sampling-one-in=2"))
	for range count {
		r.Post("/v1/models/m:predict", `{}`)
	}
	counts := r.settled()
	pairs := r.byCorrelation("2")
	for id, kinds := range pairs {
		if kinds != "request response" {
			t.Errorf("%s has the events %s", id, kinds)
		}
	}
	skipped := r.agent.status().Skipped[ledger.SkipSampling]
	if len(pairs)+int(skipped) != count || counts.Delivered != 2*uint64(len(pairs)) || counts.Observed != counts.Delivered {
		t.Errorf("of %d exchanges, %d have events and %d are skipped; the ledger says %+v", count, len(pairs), skipped, counts)
	}
	// Seven standard deviations.
	if len(pairs) < 50 || len(pairs) > 150 {
		t.Errorf("%d of %d exchanges are sampled", len(pairs), count)
	}
}

// TestFailuresAndSlowExchangesAreKept with both bodies, and no other.
func TestFailuresAndSlowExchangesAreKept(t *testing.T) {
	for _, test := range []struct{ argument, path, response, body string }{
		{"--keep-failures=true", "/fail", "response.failure", "no\n"},
		{"--keep-slower-than=1ms", "/slow", "response", agenttest.Prediction},
	} {
		t.Run(test.path, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(moody), agenttest.With("--sampling-one-in=1000000", test.argument))
			r.Post(test.path, `{"instances":[1]}`)
			counts := r.settled()
			r.byCorrelation("1")
			request, response := r.Sink.Of("request"), r.Sink.Of(test.response)
			if string(request.Data()) != `{"instances":[1]}` || string(response.Data()) != test.body || counts.Delivered != 2 {
				t.Errorf("the events have %s and %s; the ledger says %+v", request.Data(), response.Data(), counts)
			}
			if request.Attribute("agentsequence") > response.Attribute("agentsequence") {
				t.Error("the request follows its response")
			}
			if test.path == "/fail" {
				r.Post("/ok", `{}`)
				if after := r.settled(); after.Observed != 2 || r.agent.status().Skipped[ledger.SkipSampling] != 1 {
					t.Errorf("after a success the ledger says %+v, skipped are %v", after, r.agent.status().Skipped)
				}
			}
			if used := r.agent.budget.Used(); used != 0 {
				t.Errorf("%d bytes are held", used)
			}
		})
	}
}

// TestAKeptFailureOutlastsItsBody: where the budget has no room for the request that
// is held, its event has the size and the hash.
func TestAKeptFailureOutlastsItsBody(t *testing.T) {
	r := newRig(t, agenttest.InFrontOf(moody), agenttest.With("--sampling-one-in=1000000", "--keep-failures=true", "--buffer-bytes=65536"))
	r.Post("/fail", `"`+strings.Repeat("q", 20<<10)+`"`)
	r.settled()
	r.byCorrelation("1")
	if got := r.kinds(); got != "request.oversize response.failure" {
		t.Errorf("the events are %s", got)
	}
	if request := r.Sink.Of("request.oversize"); request.Attribute("bodysize") != "20482" || request.Attribute("bodysha256") == "" {
		t.Errorf("the request has %v", request.Extensions())
	}
}

// TestTheCeilingIsCounted as drops, with a gap in the sequence.
func TestTheCeilingIsCounted(t *testing.T) {
	r := newRig(t, agenttest.With("--max-events-per-second=2"))
	const count = 100
	for range count {
		r.Post("/v1/models/m:predict", `{}`)
	}
	counts := r.settled()
	dropped := counts.Dropped[ledger.ReasonRate]
	if counts.Observed != 2*count || dropped == 0 || dropped%2 != 0 || counts.Delivered+dropped != counts.Observed {
		t.Errorf("the ledger says %+v", counts)
	}
	for id, kinds := range r.byCorrelation("") {
		if kinds != "request response" {
			t.Errorf("%s has the events %s", id, kinds)
		}
	}
}
