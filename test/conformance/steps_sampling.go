/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// slow is the keepSlowerThan of Selective.
const slow = 2 * time.Second

// Selective samples, keeps failures and slow exchanges, and has a filter. It keeps
// each failure, so that steps can rely on its events.
var Selective = Logger{
	Name: "selective", Events: everyKind, MaxPayloadBytes: payloadCap,
	Sampling: &Sampling{Percent: "50", KeepFailures: true, KeepSlowerThan: slow.String()},
	Filter:   `{"not":{"suffix":{"subject":"/left-out"}}}`,
}

// seldom selects no exchange of a step: each with a chance of one in a million.
const seldom = "--sampling-one-in=1000000"

// failing is an exchange that the model answers with a status other than 2xx.
func failing(status int) exchange {
	x := prediction()
	x.status = status
	return x
}

// chances plays an exchange many times. Each must give all of the kinds or none, and
// chance must select some and leave out others. Their rate is 2, but 1 if they were slow.
func chances(s *Stage, x exchange, kinds ...string) {
	before := s.mark()
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = uuid.NewString()
		again := x
		again.header = x.header.Clone()
		if again.header == nil {
			again.header = make(http.Header)
		}
		again.header.Set("X-Request-Id", ids[i])
		again.play(s)
	}
	s.settle(before, s.mark())
	selected := 0
	for _, id := range ids {
		events := s.ofExchange(id)
		if len(events) == 0 {
			continue
		}
		got := kindsOf(events)
		if slices.Sort(got); !slices.Equal(got, kinds) {
			s.Errorf("an exchange gave events of the kinds %v, want %v or none", got, kinds)
		}
		rate := events[0].Attribute("sampledrate")
		for _, e := range events {
			if e.Attribute("sampledrate") != rate {
				s.Errorf("the events of an exchange have other rates: %v", events)
			}
		}
		switch {
		case rate == "2":
			selected++
		case rate == "1" && tookLong(events):
		default:
			s.Errorf("the rate is %q: %v", rate, events)
		}
	}
	if selected == 0 || selected == len(ids) {
		s.Errorf("chance selected %d of %d", selected, len(ids))
	}
}

// tookLong reports whether an exchange may have been kept because it was slow.
func tookLong(events []agenttest.Event) bool {
	return slices.ContainsFunc(events, func(e agenttest.Event) bool {
		took, err := strconv.Atoi(e.Attribute("durationms"))
		return err == nil && time.Duration(took+1)*time.Millisecond >= slow
	})
}

// kept plays an exchange. Its events must have the rate 1.
func kept(s *Stage, x exchange, kinds ...string) {
	for kind, e := range s.events(x, kinds...) {
		s.expect("sampledrate of the "+kind, e.Attribute("sampledrate"), "1")
	}
}

// samplingSteps are the section "Sampling".
func samplingSteps() []Step {
	return slices.Concat(chanceSteps(), keepSteps(), heldSteps(), ceilingSteps())
}

// chanceSteps are about what chance selects.
func chanceSteps() []Step {
	return []Step{
		{
			Name: "chance selects exchanges", Logger: Selective,
			Statements: statements(
				"The agent decides once for each exchange whether to observe it: from its request (see [which requests](#which-requests)), and with [sampling](#sampling) by chance and, if you keep failures or slow exchanges, from its outcome.",
				"With `logger.sampling`, an exchange sends all of its events or none.",
				"Each event of an exchange has the attribute `sampledrate` of CloudEvents' [sampled rate extension](https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/sampledrate.md): the number of exchanges that it stands for.",
			),
			Run: func(s *Stage) {
				chances(s, prediction(), "request", "response")
				s.events(exchange{method: http.MethodGet, path: "/v2/health/ready", response: jsonBody(`{}`)})
				kept(s, failing(http.StatusInternalServerError), "request", "response.failure")
			},
		},
		{
			Name: "chance selects loops and tunnels", Logger: Selective,
			Statements: statements(
				"A loop and a tunnel are sampled like any other exchange, but never count as failures.",
			),
			Run: func(s *Stage) {
				chances(s, failing(http.StatusInternalServerError).having("Ce-Type", "io.kubeflow.serving.inference.request"), "loop")
				chances(s, exchange{replacement: converse}, "tunnel")
			},
		},
		{
			Name: "the rate of a selected exchange",
			Statements: statements(
				"Chance selects `percent` of the exchanges, or `oneIn`.",
				"The rate of a selected exchange is 100 divided by `percent`, or `oneIn`.",
				"So the sum of `sampledrate` over the events of a kind estimates how many such events there would be without sampling, without a bias.",
				"It is counted by `reason`: `probe`, `path`, `loop`, `sampling`, or `overload` if the agent had no room for it and responded with 503.",
			),
			Alone: func(t *testing.T, start Start) {
				for _, test := range []struct {
					argument string
					rates    []string
					on       float64
				}{
					{"--sampling-percent=100", []string{"1"}, 1},
					{"--sampling-percent=60", []string{"1", "2"}, 1 / .6},
					{"--sampling-percent=25", []string{"4"}, 4},
					{"--sampling-one-in=3", []string{"3"}, 3},
				} {
					t.Run(test.argument, func(t *testing.T) {
						checkRate(t, start(t, agenttest.With(test.argument, "--mode=response")), test.rates, test.on)
					})
				}
			},
		},
		{
			Name: "ledger events are not sampled",
			Statements: statements(
				"Ledger events are not sampled.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With(seldom, "--events=request,ledger", "--ledger-interval=1s", "--inference-service=m"))
				r.Post(predictPath, instances)
				if rate := r.Sink.Of("ledger").Attribute("sampledrate"); rate != "" {
					t.Errorf("a ledger event has the sampledrate %s", rate)
				}
				if c := ledgers(t, r)[0]; c.Skipped["sampling"] != 1 || len(r.Sink.Events()) > 2 {
					t.Errorf("the ledger event says %+v", c)
				}
			},
		},
	}
}

// checkRate checks how many exchanges are selected of those that come on a selected
// one, their rates, and the sum of the rates, within seven standard deviations.
func checkRate(t *testing.T, r *agenttest.Rig, rates []string, on float64) {
	t.Helper()
	const count = 300
	for range count {
		r.Post(predictPath, instances)
	}
	agenttest.Eventually(t, "every event has arrived", func() bool {
		return len(r.Sink.Events())+readStatus(t, r).Skipped["sampling"] == count
	})
	sum, seen := 0.0, make(map[string]bool)
	for _, e := range r.Sink.Events() {
		rate, err := strconv.Atoi(e.Attribute("sampledrate"))
		if err != nil {
			t.Errorf("the rate of %v: %v", e, err)
		}
		seen[e.Attribute("sampledrate")] = true
		sum += float64(rate)
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, rates) {
		t.Errorf("the rates are %v, want %v", got, rates)
	}
	selected, left := float64(len(r.Sink.Events())), readStatus(t, r).Skipped["sampling"]
	if math.Abs(selected-count/on) > 7*math.Sqrt(count/on*(1-1/on)) {
		t.Errorf("%.0f of %d exchanges are selected, one of %.2f should be", selected, count, on)
	}
	if math.Abs(sum-count) > 7*math.Sqrt(count*(on-1+.25/on)) {
		t.Errorf("%d exchanges are estimated to be %.0f", count, sum)
	}
	if left > 0 {
		awaitLine(t, r, fmt.Sprintf(`sidenote_exchanges_skipped_total{reason="sampling"} %d`, left))
	}
}

// keepSteps are about outcomes that are kept.
func keepSteps() []Step {
	return []Step{
		{
			Name: "failures are kept", Logger: Selective,
			Statements: statements(
				"With `keepFailures`, every exchange that fails is sent: a side broke off, there was no response, the response's status is not 2xx, or its gRPC status is not 0.",
				"These exchanges have the rate 1, also if chance selects them.",
				"It is exact for failures and slow exchanges that are kept.",
			),
			Run: func(s *Stage) {
				for _, status := range []int{http.StatusFound, http.StatusBadRequest, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError} {
					kept(s, failing(status), "request", "response.failure")
				}
				if s.Speaks("HTTP/2") {
					kept(s, asCall(exchange{request: messages("in").whole(), response: messages("out").whole(), trailer: "Grpc-Status=5"}), "request", "response.failure")
				}
			},
		},
		{
			Name: "exchanges that break off are kept", Logger: Selective, Beside: nearOnly,
			Statements: statements(
				"With `keepFailures`, every exchange that fails is sent: a side broke off, there was no response, the response's status is not 2xx, or its gRPC status is not 0.",
				"These exchanges have the rate 1, also if chance selects them.",
			),
			Run: func(s *Stage) {
				for range 3 {
					for name, kind := range map[string]string{
						"HTTP: the client aborts its request": "request.failure", "HTTP: the client aborts the response": "request",
						"HTTP: the model aborts before its response": "request", "HTTP: the model aborts its response": "request",
					} {
						scene := scenes()[name]
						x := scene.exchange
						if scene.play != nil {
							x.replacement = scene.play
						}
						kept(s, x, kind, "response.failure")
					}
				}
			},
		},
		{
			Name: "slow exchanges are kept", Logger: Selective,
			Statements: statements(
				"With `keepSlowerThan`, every exchange that takes longer is sent.",
				"The time of a stream or a tunnel ends with it.",
				"These exchanges have the rate 1, also if chance selects them.",
			),
			Run: func(s *Stage) {
				const pause = slow + slow/4
				late := strconv.Itoa(int(pause.Milliseconds())) + "ms"
				stream := exchange{request: jsonBody(instances), response: body{contentType: "text/event-stream", wire: "data: [DONE]\n\n"}}
				kept(s, prediction().having("X-Model-Delay", late), "request", "response")
				kept(s, stream.having("X-Model-Stay", late), "request", "stream")
				kept(s, exchange{replacement: func(s *Stage, _ exchange, header http.Header) { converseFor(s, header, pause) }}, "tunnel")
			},
		},
	}
}

// heldSteps are about events that wait for an outcome.
func heldSteps() []Step {
	large := `"` + strings.Repeat("q", 20<<10) + `"`
	fail := func(r *agenttest.Rig, text string) {
		response, _ := r.Do(http.MethodPost, predictPath, http.Header{"X-Model-Body": {base64.StdEncoding.EncodeToString([]byte("no"))}, "X-Model-Status": {"500"}}, strings.NewReader(text))
		response.Body.Close()
	}
	return []Step{
		{
			Name: "nothing is sent before an outcome that decides",
			Statements: statements(
				"If the outcome decides, the agent sends nothing of an exchange before its end.",
				"Both events then follow each other, the request's first.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--sampling-percent=100", "--keep-failures=true"))
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL+predictPath, strings.NewReader(instances))
				if err != nil {
					t.Fatal(err)
				}
				// The client will leave in the middle of a JSON document.
				request.Header = http.Header{
					"X-Model-Body": {base64.StdEncoding.EncodeToString([]byte(`{"predictions":`))}, "X-Model-Stay": {forever},
					"X-Model-Header": {"Content-Type=application/json"}, "X-Request-Id": {"waits"},
				}
				response, err := agenttest.HTTP1Client(t).Do(request)
				if err != nil {
					t.Fatal(err)
				}
				fail(r, instances)
				for _, e := range r.Sink.Await(2) {
					if e.Attribute("clientrequestid") == "waits" {
						t.Errorf("%s came before the end of its exchange", e.Kind())
					}
				}
				response.Body.Close()
				r.Sink.Await(4)
				numbers := make(map[string]int)
				for _, e := range r.Sink.Events() {
					if e.Attribute("clientrequestid") == "waits" {
						numbers[e.Kind()] = sequenceOf(e)
					}
				}
				if len(numbers) != 2 || numbers["request"] != 3 || numbers["response.failure"] != 4 {
					t.Errorf("the events have the numbers %v", numbers)
				}
			},
		},
		{
			Name: "a kept exchange without room for its body",
			Statements: statements(
				"If the budget has no room for such a body, and the exchange is kept, its event is sent as one without room is: as an `oversize` or failure type with its size and hash if that is selected, otherwise it is dropped for `budget`.",
				"The other event of the exchange is sent in any case.",
			),
			Alone: func(t *testing.T, start Start) {
				arguments := []string{seldom, "--keep-failures=true", "--buffer-bytes=65536"}
				r := start(t, agenttest.With(arguments...))
				fail(r, large)
				e := r.Sink.Of("request.oversize")
				if e.Attribute("bodysize") != strconv.Itoa(len(large)) || e.Attribute("bodysha256") == "" || len(e.Data()) > 0 {
					t.Errorf("the request's event is %v", e)
				}
				r.Sink.Of("response.failure")

				r = start(t, agenttest.With(append(arguments, "--events=request,response.failure")...))
				fail(r, large)
				r.Sink.Of("response.failure")
				awaitLine(t, r, `sidenote_events_dropped_total{reason="budget",sink="default"} 1`)
				if events := r.Sink.Events(); len(events) != 1 {
					t.Errorf("the sink got %v", events)
				}
			},
		},
	}
}

// ceilingSteps are about maxEventsPerSecond.
func ceilingSteps() []Step {
	// More exchanges than an agent with a bound of two events sends in a minute.
	const many = 60
	return []Step{
		{
			Name: "a bound of events",
			Statements: statements(
				"The first event of an exchange decides for both, so an exchange sends all of its events or none.",
				"An event over the bound is dropped for `rate`.",
				"Ledger events don't count.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--max-events-per-second=2", "--events=request,response,ledger", "--ledger-interval=1h", "--inference-service=m"))
				for range many {
					r.Post(predictPath, instances)
				}
				r.Signal(syscall.SIGTERM)
				r.Wait()
				pairs := make(map[string]int)
				for _, e := range r.Sink.Events() {
					if e.Kind() != "ledger" {
						pairs[e.Attribute("correlationid")]++
					}
				}
				for id, count := range pairs {
					if count != 2 {
						t.Errorf("%s has %d events", id, count)
					}
				}
				all := ledgers(t, r)
				if len(all) == 0 {
					t.Fatal("there is no ledger event")
				}
				if c := all[len(all)-1]; !c.Final || len(pairs) == 0 || c.Dropped["rate"] == 0 || c.Dropped["rate"] != 2*(many-len(pairs)) {
					t.Errorf("%d of %d exchanges have events, and the ledger event says %+v", len(pairs), many, c)
				}
			},
		},
		{
			Name: "what the bound counts",
			Statements: statements(
				"`logger.maxEventsPerSecond` bounds the events of each pod, after sampling and the selection of types.",
			),
			Alone: func(t *testing.T, start Start) {
				for _, line := range [][]string{{seldom, "--keep-failures=true"}, {"--events=request.failure,response.failure"}} {
					r := start(t, agenttest.With(append(line, "--max-events-per-second=1")...))
					for range many {
						r.Post(predictPath, instances)
					}
					r.Do(http.MethodPost, predictPath, http.Header{"X-Model-Body": {""}, "X-Model-Status": {"500"}}, strings.NewReader("{}"))
					r.Sink.Of("response.failure")
					if dropped := readStatus(t, r).Sinks["default"].Dropped; len(dropped) > 0 {
						t.Errorf("%v: dropped are %v", line, dropped)
					}
				}
			},
		},
		{
			Name: "an event for several sinks counts once",
			Statements: statements(
				"An event for several sinks counts once, also if a sink's filter leaves it out later.",
			),
			Alone: func(t *testing.T, start Start) {
				sinks := map[string]*agenttest.Sink{"first": agenttest.NewSink(t), "second": agenttest.NewSink(t)}
				r := start(t, agenttest.With("--max-events-per-second=2", "--sink=first="+sinks["first"].URL, "--sink=second="+sinks["second"].URL))
				r.Post(predictPath, instances)
				for name, sink := range sinks {
					sink.Await(2)
					if dropped := readStatus(t, r).Sinks[name].Dropped; len(dropped) > 0 {
						t.Errorf("%s: dropped are %v", name, dropped)
					}
				}
				r = start(t, agenttest.With("--max-events-per-second=2", `--sink.default.filter={"exact":{"subject":"/none"}}`))
				for range many {
					r.Post(predictPath, instances)
				}
				agenttest.Eventually(t, "an event is over the bound", func() bool { return readStatus(t, r).Sinks["default"].Dropped["rate"] > 0 })
			},
		},
	}
}
