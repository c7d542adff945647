/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// sinkSteps are about several sinks and their filters. All but one are Alone: the other
// places have one sink.
func sinkSteps() []Step {
	return []Step{
		{
			Name: "each sink gets what it selects",
			Statements: statements(
				"If the kind is selected, it gives an event for each sink that selects it.",
				"With several sinks, a kind is a skipped event if no sink selects it.",
				"If one does, the others count it for themselves.",
				"events that another sink gets and this one doesn't select | `sidenote_sink_skipped_total{sink=\"…\",reason=\"kind\"}`",
			),
			Alone: func(t *testing.T, start Start) {
				all, requests := agenttest.NewSink(t), agenttest.NewSink(t)
				r := start(t, agenttest.With("--events=request,response", "--sink=all="+all.URL, "--sink=requests="+requests.URL, "--sink.requests.mode=request"))
				r.Post(predictPath, instances)
				response, _ := r.Do(http.MethodPost, predictPath, http.Header{"X-Model-Body": {""}, "X-Model-Status": {"500"}}, strings.NewReader("{}"))
				response.Body.Close()
				expectKinds(t, all, "request", "request", "response")
				expectKinds(t, requests, "request", "request")
				awaitLine(t, r, `sidenote_events_skipped_total{kind="response.failure"} 1`)
				awaitLine(t, r, `sidenote_sink_skipped_total{reason="kind",sink="requests"} 1`)
				s := readStatus(t, r)
				if s.SkippedEvents["response"] != 0 || s.SkippedEvents["response.failure"] != 1 {
					t.Errorf("/status counts %v for the agent", s.SkippedEvents)
				}
				if of := s.Sinks["requests"].SkippedEvents; len(of) != 1 || of["response"] != 1 {
					t.Errorf("/status counts %v for the sink of requests", of)
				}
				if of := s.Sinks["all"].SkippedEvents; len(of) != 0 {
					t.Errorf("/status counts %v for the other sink", of)
				}
			},
		},
		{
			Name: "a filter leaves no gap", Logger: Selective,
			Statements: statements(
				"A sink with a `filter` numbers an event only after the filter, so an event that the filter leaves out is counted as `filtered` and leaves no gap.",
			),
			Run: func(s *Stage) {
				// The sampling keeps failures, so only the filter leaves one out.
				s.events(failing(http.StatusInternalServerError).to("/v1/left-out"))
				s.events(failing(http.StatusInternalServerError).to("/v1/left-in"), "request", "response.failure")
			},
		},
		{
			Name: "filtered events are counted",
			Statements: statements(
				"A sink with a `filter` numbers an event only after the filter, so an event that the filter leaves out is counted as `filtered` and leaves no gap.",
				"filtered events | `sidenote_sink_skipped_total{sink=\"…\",reason=\"filter\"}`",
				"A ledger event that the filter leaves out isn't made.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--events=request,ledger", "--ledger-interval=1s", "--inference-service=m", `--sink.default.filter={"suffix":{"subject":"/in"}}`))
				r.Post("/out", "{}")
				r.Post("/in", "{}")
				r.Post("/out", "{}")
				awaitLine(t, r, `sidenote_sink_skipped_total{reason="filter",sink="default"} 2`)
				if got := readStatus(t, r).Sinks["default"].Filtered; got != 2 {
					t.Errorf("/status counts %d", got)
				}
				r.Terminate()
				r.Wait()
				events := r.Sink.Events()
				if len(events) != 1 || events[0].Subject() != "/in" || sequenceOf(events[0]) != 1 {
					t.Errorf("the sink got %v", events)
				}
			},
		},
		{
			Name: "an event that ends before the filter leaves a gap",
			Statements: statements(
				"An event that ends before the filter, for `budget`, `rate`, `shutdown`, `encoded` or `invalid`, takes a number and leaves a gap, although the filter might have left it out.",
				"So the gaps at such a sink are an upper bound of its losses.",
			),
			Alone: func(t *testing.T, start Start) {
				const filter = `--sink.default.filter={"exact":{"subject":"/in"}}`
				lose := func(reason string, lost func(r *agenttest.Rig), line ...string) {
					r := start(t, agenttest.With(append(line, "--events=request", filter)...))
					lost(r)
					agenttest.Eventually(t, "a drop for "+reason, func() bool { return readStatus(t, r).Sinks["default"].Dropped[reason] > 0 })
					agenttest.Eventually(t, "an event after the one that is lost", func() bool {
						r.Post("/in", "{}")
						return len(r.Sink.Events()) > 0
					})
					agenttest.Eventually(t, "each event has ended", func() bool {
						s := readStatus(t, r).Sinks["default"]
						return s.Observed == s.Delivered+s.Dropped[reason]
					})
					if s := readStatus(t, r).Sinks["default"]; s.Delivered >= s.Observed || sequenceOf(r.Sink.Events()[0]) == 1 {
						t.Errorf("%s: the counts are %+v, and the first event has the number %d", reason, s, sequenceOf(r.Sink.Events()[0]))
					}
				}
				lose("encoded", func(r *agenttest.Rig) {
					response, _ := r.Do(http.MethodPost, "/out", http.Header{"Content-Encoding": {"gzip"}}, strings.NewReader("no gzip"))
					response.Body.Close()
				})
				lose("budget", func(r *agenttest.Rig) { r.Post("/out", `"`+strings.Repeat("q", 100<<10)+`"`) }, "--buffer-bytes=65536")
				lose("rate", func(r *agenttest.Rig) {
					for range 60 {
						r.Post("/out", "{}")
					}
				}, "--max-events-per-second=1")
			},
		},
		{
			Name: "the ledger event of each sink",
			Statements: statements(
				"`skippedEvents` | the skipped events, by kind: those that no sink selects, and those that another sink gets and this one doesn't select",
				"`filtered` | the events that the sink's filter left out; absent if there are none",
				"`mode`, `events` | the mode and types that the sink selects",
			),
			Alone: func(t *testing.T, start Start) {
				sinks := map[string]*agenttest.Sink{"all": agenttest.NewSink(t), "requests": agenttest.NewSink(t)}
				r := start(t, agenttest.With("--ledger-interval=1s", "--inference-service=m", "--events=request,response,ledger",
					"--sink=all="+sinks["all"].URL, "--sink=requests="+sinks["requests"].URL, "--sink.requests.mode=request",
					"--sink.requests.events=ledger,request", `--sink.requests.filter={"not":{"suffix":{"subject":"/out"}}}`))
				for _, x := range []struct{ path, status string }{{"/in", "200"}, {"/out", "200"}, {"/in", "500"}} {
					response, _ := r.Do(http.MethodPost, x.path, http.Header{"X-Model-Body": {""}, "X-Model-Status": {x.status}}, strings.NewReader("{}"))
					response.Body.Close()
				}
				for name, want := range map[string]struct {
					skipped  map[string]int
					filtered bool
					mode     string
					events   []string
				}{
					"all":      {map[string]int{"response.failure": 1}, false, "all", []string{"request", "response", "ledger"}},
					"requests": {map[string]int{"response.failure": 1, "response": 2}, true, "request", []string{"request", "ledger"}},
				} {
					r.Sink = sinks[name]
					var c counts
					agenttest.Eventually(t, "the last counts of "+name, func() bool {
						all := ledgers(t, r)
						if len(all) == 0 {
							return false
						}
						c = all[len(all)-1]
						return c.SkippedEvents["response.failure"] == 1 && c.Delivered == c.Observed-1
					})
					if c.Sink != name || c.Mode != want.mode || !slices.Equal(c.Events, want.events) || len(c.SkippedEvents) != len(want.skipped) {
						t.Errorf("%s: the ledger event says %+v", name, c)
					}
					for kind, count := range want.skipped {
						if c.SkippedEvents[kind] != count {
							t.Errorf("%s: the ledger event counts %d of %s, want %d", name, c.SkippedEvents[kind], kind, count)
						}
					}
					events := sinks[name].Events()
					last := string(events[len(events)-1].Data())
					if got := strings.Contains(last, `"filtered":1,`); got != want.filtered || strings.Contains(last, `"filtered"`) != want.filtered {
						t.Errorf("%s: the ledger event is %s", name, last)
					}
				}
			},
		},
	}
}

// expectKinds waits for events at a sink. There must be no other.
func expectKinds(t *testing.T, sink *agenttest.Sink, want ...string) {
	t.Helper()
	got := kindsOf(sink.Await(len(want)))
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("a sink got %v, want %v", got, want)
	}
}
