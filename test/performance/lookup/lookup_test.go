/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/load"
)

const exposition = `# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="serving.kubeflow.org",resource="inferenceservices",scope="resource",subresource="",verb="GET",version="v1beta1"} 400
apiserver_request_total{code="404",component="apiserver",dry_run="",group="serving.kubeflow.org",resource="inferenceservices",scope="resource",subresource="",verb="GET",version="v1beta1"} 2
apiserver_request_total{code="0",component="apiserver",dry_run="",group="serving.kubeflow.org",resource="inferenceservices",scope="namespace",subresource="",verb="WATCH",version="v1beta1"} 1e+00
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="GET",version="v1"} 7
apiserver_request_terminations_total{code="200",resource="inferenceservices",verb="GET"} 9
`

func TestRequestsAreCountedByVerb(t *testing.T) {
	got, err := parseRequests(strings.NewReader(exposition))
	if want := (requests{"GET": 402, "WATCH": 1}); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v and %v, want %v", got, err, want)
	}
	if got.total() != 403 {
		t.Errorf("%d in all", got.total())
	}
	if between := got.since(requests{"GET": 400, "WATCH": 1}); !maps.Equal(between, requests{"GET": 2}) {
		t.Errorf("%v since", between)
	}
	if _, err := parseRequests(strings.NewReader(strings.Replace(exposition, " 400", " many", 1))); err == nil {
		t.Error("a count that is no number is taken")
	}
}

func eventOf(kind, id string) http.Header {
	header := http.Header{}
	header.Set("Ce-Type", "io.kubeflow.serving.inference."+kind)
	header.Set("Ce-Clientrequestid", id)
	for _, a := range attributes {
		header.Set("Ce-"+a.name, a.value)
	}
	return header
}

func TestDelaysAreThoseOfEachSide(t *testing.T) {
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	line := newTimeline()
	line.sends(request, "a", at(0))
	line.sends(response, "a", at(10))
	line.event(eventOf("response", "a"), at(13))
	line.event(eventOf("request", "a"), at(15))
	for of, want := range map[side]time.Duration{request: 15 * time.Millisecond, response: 3 * time.Millisecond} {
		if got, err := line.delays(of); err != nil || !slices.Equal(got, []time.Duration{want}) {
			t.Errorf("side %d: %v and %v, want %s", of, got, err, want)
		}
	}
	if arrived, odd := line.state(); arrived != 2 || odd != nil {
		t.Errorf("%d arrived, %v is odd", arrived, odd)
	}
}

func TestOddEventsAreSeen(t *testing.T) {
	lacking, wrong := eventOf("request", "a"), eventOf("request", "a")
	lacking.Del("Ce-Team")
	wrong.Set("Ce-Owner", "nobody")
	for name, header := range map[string]http.Header{
		"without an annotation": lacking, "with a wrong one": wrong, "of another kind": eventOf("response.failure", "a"),
	} {
		line := newTimeline()
		line.event(header, time.Now())
		if _, odd := line.state(); odd == nil {
			t.Errorf("an event %s is taken", name)
		}
	}
	line := newTimeline()
	line.event(eventOf("request", "a"), time.Now())
	line.event(eventOf("request", "a"), time.Now())
	if arrived, odd := line.state(); arrived != 1 || odd == nil {
		t.Errorf("an event that came twice: %d arrived, %v is odd", arrived, odd)
	}
	if _, err := line.delays(request); err == nil {
		t.Error("an event of an exchange that nobody began is taken")
	}
}

// TestEachExchangeOfALoadHasAnID: the events of an exchange are found by it.
func TestEachExchangeOfALoadHasAnID(t *testing.T) {
	body := load.Body(64)
	var mu sync.Mutex
	var begun, served []string
	note := func(ids *[]string, id string) {
		mu.Lock()
		defer mu.Unlock()
		*ids = append(*ids, id)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(&served, r.Header.Get("X-Request-Id"))
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	senders := newLoad(t.Context(), server.URL, "x-", body, func(id string) { note(&begun, id) })
	outcome := load.Open(t.Context(), load.Schedule{Rate: 1000, Length: 4 * time.Millisecond}, senders)
	senders[0].Close()
	slices.Sort(begun)
	slices.Sort(served)
	if want := []string{"x-1", "x-2", "x-3", "x-4"}; outcome.First != nil || !slices.Equal(begun, want) || !slices.Equal(served, want) {
		t.Errorf("%v: begun %q and served %q, want %q", outcome.First, begun, served, want)
	}
}

func TestAWrongAnswerFailsALoad(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	sender := newLoad(t.Context(), server.URL, "x-", nil, func(string) {})[0]
	defer sender.Close()
	if err := sender.Exchange(); err == nil || !strings.Contains(err.Error(), "status 404") {
		t.Errorf("got %v", err)
	}
}

// TestArmsAreComparedWithinARound: a round in which everything took longer says
// nothing about an arm.
func TestArmsAreComparedWithinARound(t *testing.T) {
	round := func(p50 float64, count, start int) figures {
		return figures{
			Response: quantiles{p50, 2 * p50}, Request: quantiles{p50, p50}, Events: 100,
			UnderLoad: requests{"GET": count}, AtStart: requests{"LIST": start}, Memory: 8 << 20,
		}
	}
	r := result{Rate: 100, Length: "6s", CPUs: 2, Go: "go1", Load: "0", Arms: []armResult{
		{arm: arms[0], Rounds: []figures{round(100, 0, 0), round(1000, 0, 0), round(200, 0, 0)}},
		{arm: arms[5], Rounds: []figures{round(500, 100, 1), round(5000, 100, 1), round(800, 100, 1)}},
	}}
	got := markdown(r)
	for _, want := range []string{
		"100 exchanges a second for 6s in each of 3 rounds",
		"| Sidenote | 200 | 400 | 1 | 1 | | |\n",
		"| GET | 800 | 1600 | 5.00 (4.00 to 5.00) | 5.00 (4.00 to 5.00) | 80 % (75 % to 80 %) | 80 % (75 % to 80 %) |\n",
		"| Sidenote | 0 | 0 |",
		"| GET | 1 | 1 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
}

func TestAllArmsGetTheSameLineButForTheAnnotations(t *testing.T) {
	at := place{agent: "agent", enricher: "enricher", model: "http://m", sink: "http://s", cluster: &controlPlane{directory: "d", url: "https://a"}}
	agent := arms[0].command(at, "1", "2")
	if agent.Path != "agent" || agent.Environment != nil || !slices.Contains(agent.Arguments, "--metadata=team=ai-platform") {
		t.Errorf("the agent gets %+v", agent)
	}
	without := slices.DeleteFunc(slices.Clone(agent.Arguments), func(argument string) bool { return strings.HasPrefix(argument, "--metadata=") })
	for _, a := range arms {
		command := a.command(at, "1", "2")
		if a.lookup == "" {
			continue
		}
		if command.Path != "enricher" || !slices.Equal(command.Arguments, without) {
			t.Errorf("%s gets %+v, the agent %+v", a.Name, command, agent)
		}
		if !slices.Contains(command.Environment, "LOOKUP="+a.lookup) || !slices.Contains(command.Environment, "LOOKUP_ANNOTATIONS=team owner") {
			t.Errorf("%s gets %v", a.Name, command.Environment)
		}
	}
}

func TestOptionsThatMeasureNothingAreRefused(t *testing.T) {
	if o, err := readOptions(nil); err != nil || o.rounds < 7 {
		t.Errorf("by default: %+v and %v", o, err)
	}
	for _, line := range [][]string{{"-rounds=0"}, {"-rate=0"}, {"-length=0s"}, {"rounds"}, {"-unknown"}} {
		if _, err := readOptions(line); err == nil {
			t.Errorf("%v is taken", line)
		}
	}
}
