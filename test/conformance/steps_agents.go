/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	cesql "github.com/cloudevents/sdk-go/sql/v2/parser"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// attributeSteps are the section "Attributes".
func attributeSteps() []Step {
	// replaces plays an exchange whose request has a value that an event can't carry.
	replaces := func(s *Stage, x exchange, kind, attribute, want string) {
		events := s.events(x, kind, "response")
		s.expect("replaced", events[kind].Attribute("replaced"), attribute)
		switch attribute {
		case "subject":
			s.expect(attribute, events[kind].Subject(), want)
		case "datacontenttype":
			s.expect(attribute, events[kind].DataContentType(), want)
		default:
			s.expect(attribute, events[kind].Attribute(attribute), want)
		}
	}
	typed := func(contentType string) exchange {
		x := prediction()
		x.request.contentType = contentType
		return x
	}
	return []Step{
		{
			Name: "the sequence has no gap", Logger: Everything,
			Statements: statements(
				"`agentsequence` counts the events of one `agentinstance` for one sink.",
				"The event has a place in `agentsequence`, and is delivered, dead-lettered, dropped for a reason, or still pending.",
				"A skip leaves no gap.",
				"Exactly one of these holds:",
				"The exchange is **observed**.",
				"It has two sides, the request and the response, or it is one tunnel or one loop.",
				"Each side, tunnel or loop is of one kind.",
			),
			Run: func(s *Stage) {
				before := s.mark()
				s.events(exchange{method: http.MethodGet, path: "/v2/health/ready", response: jsonBody(`{}`)})
				s.events(prediction(), "request", "response")
				after := s.mark()
				s.settle(before, after)
				if sequenceOf(after) < sequenceOf(before)+4 {
					s.Errorf("the sequence went from %d to %d over four events", sequenceOf(before), sequenceOf(after))
				}
			},
		},
		{
			Name: "an Integer arrives as text", Logger: ByDefault,
			Statements: statements(
				"In binary mode every attribute is text, so an Integer arrives as a String.",
				"The filter `exact` compares the text: `statuscode: \"200\"`.",
				"CESQL compares an Integer that became text as a number too: `statuscode >= 500`.",
			),
			Run: func(s *Stage) {
				e := s.events(prediction(), "request", "response")["response"]
				if value, isText := e.Extensions()["statuscode"].(string); !isText || value != "200" {
					s.Errorf("statuscode arrived as %T: %[1]v", e.Extensions()["statuscode"])
				}
				for text, want := range map[string]bool{"statuscode >= 500": false, "statuscode < 300": true, "statuscode = 200": true} {
					expression, err := cesql.Parse(text)
					if err != nil {
						s.Fatalf("%s: %v", text, err)
					}
					if got, err := expression.Evaluate(e.Event); err != nil || got != want {
						s.Errorf("%s is %v, %v", text, got, err)
					}
				}
			},
		},
		{
			Name: "a content type that can't be parsed", Logger: Everything,
			Statements: statements(
				"An event can't carry every value that a client or a model may send.",
				"The attribute `replaced` names the attributes that the agent changed:",
				"`datacontenttype` | it can't be parsed",
			),
			Run: func(s *Stage) {
				replaces(s, typed("no/type/at/all"), "request", "datacontenttype", "application/octet-stream")
			},
		},
		{
			Name: "a content type with invalid parameters", Logger: Everything,
			Statements: statements(
				"`datacontenttype` | its parameters are invalid, repeated or very long",
			),
			Run: func(s *Stage) { replaces(s, typed("text/plain; a=1; a=2"), "request", "datacontenttype", "text/plain") },
		},
		{
			Name: "a long subject", Logger: Everything,
			Statements: statements(
				"`subject` | it is longer than 1 KiB",
			),
			Run: func(s *Stage) {
				path := "/" + strings.Repeat("a", 1100)
				replaces(s, prediction().to(path), "request", "subject", path[:1024])
			},
		},
		{
			Name: "a header's value that is invalid", Logger: Everything,
			Statements: statements(
				"`traceparent`, `clientrequestid` | it is invalid",
				"`contentencoding` | it is not a list of codings",
			),
			Beside: "an ingress with traces writes its own traceparent",
			Run: func(s *Stage) {
				replaces(s, prediction().having("Traceparent", "00-no"), "request", "traceparent", "")
				x := prediction()
				x.request = coded("no coding", "", "x")
				replaces(s, x, "request.encoded", "contentencoding", "unknown")
			},
		},
		{
			Name: "an Inference-Header-Content-Length that is none", Logger: Everything,
			Statements: statements(
				"`inferenceheaderlen` | it is not a number, or exceeds the body's size",
			),
			Run: func(s *Stage) {
				for _, length := range []string{"many", "1000"} {
					replaces(s, prediction().having("Inference-Header-Content-Length", length), "request", "inferenceheaderlen", "")
				}
			},
		},
		{
			Name: "a long tracestate", Logger: Everything,
			Statements: statements(
				"`tracestate` | it is too long",
			),
			Beside: "an ingress with traces writes its own tracestate",
			Run: func(s *Stage) {
				var members []string
				for i := range 40 {
					members = append(members, fmt.Sprintf("k%02d=0123456789abcdef", i))
				}
				x := prediction().having("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate", strings.Join(members, ","))
				replaces(s, x, "request", "tracestate", strings.Join(members[:24], ","))
			},
		},
		{
			Name: "an event that is sent again", Statements: statements(
				"`id` stays the same when an event is sent again.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t)
				r.Sink.Respond(agenttest.Statuses(http.StatusServiceUnavailable, http.StatusServiceUnavailable, http.StatusAccepted))
				r.Post(predictPath, instances)
				events := r.Sink.Await(2)
				if events[0].ID() == events[1].ID() || r.Sink.Requests() < 4 {
					t.Errorf("%d attempts gave %v", r.Sink.Requests(), events)
				}
			},
		},
	}
}

// statusOf is the part of /status that the contract names.
type statusOf struct {
	Sinks map[string]struct {
		Observed, Delivered, Filtered int
		Dropped, SkippedEvents        map[string]int
	}
	Skipped, SkippedEvents map[string]int
}

func readStatus(t testing.TB, r *agenttest.Rig) (s statusOf) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Page("/status")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitLine waits for a line of /metrics.
func awaitLine(t testing.TB, r *agenttest.Rig, line string) {
	t.Helper()
	agenttest.Eventually(t, "the metric "+line, func() bool { return strings.Contains(r.Page("/metrics"), line+"\n") })
}

// countSteps are the section "What a subscriber can count".
func countSteps() []Step {
	compressed := func(t testing.TB, r *agenttest.Rig) {
		t.Helper()
		response, _ := r.Do(http.MethodPost, predictPath, http.Header{"Content-Encoding": {"compress"}, "X-Model-Body": {""}}, strings.NewReader("\x1f\x9d"))
		response.Body.Close()
	}
	return []Step{
		{
			Name: "skipped exchanges are counted by reason",
			Statements: statements(
				"The exchange is **skipped**.",
				"It is counted by `reason`: `probe`, `path`, `loop`, `sampling`, or `overload` if the agent had no room for it and responded with 503.",
				"skipped exchanges | `sidenote_exchanges_skipped_total{reason=\"…\"}`",
				"A request that isn't inference is passed on like any other, and counted in `sidenote_exchanges_skipped_total`.",
				"The reason is `probe` if the default or a header excludes it, and `path` if `logger.paths` excludes it.",
				"A request that carries an event of the type `loop` gives no event, and is counted as skipped for `loop`.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--paths=/v1/*"))
				get := func(path string, header http.Header) { r.Do(http.MethodGet, path, header, nil) }
				get("/v1/models/m", http.Header{"User-Agent": {"kube-probe/1.35"}})
				if status, content := r.Post("/v2/models/m/infer", "{}"); status == http.StatusServiceUnavailable {
					t.Errorf("a request that is no inference got %d %s", status, content)
				}
				r.Do(http.MethodPost, predictPath, http.Header{"Ce-Type": {"io.kubeflow.serving.inference.loop"}}, strings.NewReader(instances))
				for _, reason := range []string{"probe", "path", "loop"} {
					awaitLine(t, r, `sidenote_exchanges_skipped_total{reason="`+reason+`"} 1`)
					if got := readStatus(t, r).Skipped[reason]; got != 1 {
						t.Errorf("/status counts %d of %s", got, reason)
					}
				}
			},
		},
		{
			Name: "a request beyond max-exchanges",
			Statements: statements(
				"A request beyond [`max-exchanges`](operations.md#memory-of-the-agent) is not passed on: the client gets a 503, and the request is counted with the reason `overload`.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--max-exchanges=1"))
				// The first has its response's head, and stays in flight.
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL+predictPath, strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("X-Model-Body", "aGk=")
				request.Header.Set("X-Model-Stay", forever)
				response, err := agenttest.HTTP1Client(t).Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if status, _ := r.Post(predictPath, instances); status != http.StatusServiceUnavailable {
					t.Errorf("a request beyond the limit got %d", status)
				}
				awaitLine(t, r, `sidenote_exchanges_skipped_total{reason="overload"} 1`)
			},
		},
		{
			Name: "kinds that aren't selected are counted",
			Statements: statements(
				"If the kind is not selected, because `logger.events` doesn't name it or `mode` excludes the side, it is a **skipped event**, and is counted by `kind`.",
				"skipped events | `sidenote_events_skipped_total{kind=\"…\"}`",
				"Such a body counts as the kind that its head indicates.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--mode=request", "--events=request"))
				r.Post(predictPath, instances)
				awaitLine(t, r, `sidenote_events_skipped_total{kind="response"} 1`)
				if got := readStatus(t, r).SkippedEvents["response"]; got != 1 {
					t.Errorf("/status counts %d", got)
				}
				compressed(t, r)
				awaitLine(t, r, `sidenote_events_skipped_total{kind="response"} 2`)
			},
		},
		{
			Name: "a drop leaves a gap",
			Statements: statements(
				"A drop is a loss of an event, and leaves a gap in `agentsequence`.",
				"An event gets its place in `agentsequence` before its body is decoded.",
				"If the body can't be decoded, the event becomes one of an `encoded` kind.",
				"If that kind is not selected, the event is dropped for `encoded`.",
				"dropped events | `sidenote_events_dropped_total{sink=\"…\",reason=\"…\"}`",
				"A gap in it is a loss.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--mode=request", "--events=request"))
				response, _ := r.Do(http.MethodPost, predictPath, http.Header{"Content-Encoding": {"gzip"}}, strings.NewReader("no gzip"))
				response.Body.Close()
				awaitLine(t, r, `sidenote_events_dropped_total{reason="encoded",sink="default"} 1`)
				r.Post(predictPath, instances)
				if got := r.Sink.Await(1)[0].Attribute("agentsequence"); got != "000000000002" {
					t.Errorf("the first event that arrives has the number %s", got)
				}
				if got := readStatus(t, r).Sinks["default"].Dropped["encoded"]; got != 1 {
					t.Errorf("/status counts %d", got)
				}
			},
		},
	}
}

// counts are the data of a ledger event.
type counts struct {
	AgentInstance, Sink, Mode, Started                    string
	Sequence                                              int
	Observed, Recovered, Delivered, DeadLettered, Pending int
	Dropped, Skipped, SkippedEvents                       map[string]int
	Events                                                []string
	IntervalSeconds                                       int
	Final                                                 bool
}

func ledgers(t testing.TB, r *agenttest.Rig) []counts {
	t.Helper()
	var all []counts
	for _, e := range r.Sink.Events() {
		if e.Kind() != "ledger" {
			continue
		}
		var c counts
		if err := json.Unmarshal(e.Data(), &c); err != nil {
			t.Error(err)
		}
		if e.Attribute("agentinstance") != c.AgentInstance || sequenceOf(e) != c.Sequence {
			t.Errorf("%v has the data %+v", e, c)
		}
		if e.DataContentType() != "application/json" || e.Attribute("team") != "" || e.Attribute("inferenceservicename") == "" || e.Source() == "" {
			t.Errorf("unexpected attributes: %v", e)
		}
		all = append(all, c)
	}
	return all
}

// ledgerSteps are the section "Ledger events".
func ledgerSteps() []Step {
	arguments := agenttest.With("--events=request,ledger", "--ledger-interval=1s", "--metadata=team=x", "--inference-service=m")
	return []Step{
		{
			Name: "a ledger event counts",
			Statements: statements(
				"If `logger.events` contains `ledger`, the agent sends each sink the counts of its events to that sink.",
				"A ledger event has a place in `agentsequence` and is counted like any other event.",
				"It doesn't carry your metadata, so a Trigger must match it by `type`, with `inferenceservicename` or `source`.",
				"Its data is `application/json`:",
				"`agentinstance`, `sequence` | the event's own `agentinstance` and `agentsequence`, the latter as a number",
				"`sink` | the name of the sink to which the counts belong. It is `default` if there is only one",
				"`observed`, `recovered`, `delivered`, `dropped`, `deadLettered`, `pending` | the [ledger](delivery.md#the-ledger) of the events up to `sequence`; `dropped` by reason. `observed` equals `sequence`, and `pending` includes the ledger event itself. `recovered` events have numbers of an earlier `agentinstance`; the other counts include them",
				"`skipped` | the agent's skipped exchanges, by reason; the same for every sink",
				"`started` | the start time of the agent",
				"`intervalSeconds` | the interval of ledger events in seconds",
				"The agent sends a ledger event every minute (`--ledger-interval`) if there is news: an event was observed or skipped since the last one, all pending events have ended, or the sink didn't accept the last one.",
				"An agent that observes nothing more sends one ledger event with its last counts, and then none.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, arguments)
				r.Do(http.MethodGet, "/v2/health/ready", nil, nil)
				r.Post(predictPath, instances)
				agenttest.Eventually(t, "the last counts", func() bool {
					all := ledgers(t, r)
					return len(all) > 0 && all[len(all)-1].Delivered == all[len(all)-1].Observed-1
				})
				all := ledgers(t, r)
				c := all[len(all)-1]
				if c.Sink != "default" || c.Observed != c.Sequence || c.Pending != 1 || c.Skipped["probe"] != 1 || c.SkippedEvents["response"] != 1 || c.Mode != "all" ||
					!slices.Equal(c.Events, []string{"request", "ledger"}) || c.Started == "" || c.IntervalSeconds != 1 || c.Final {
					t.Errorf("the counts are %+v", c)
				}
				if c.Observed+c.Recovered != c.Delivered+c.DeadLettered+c.Pending {
					t.Errorf("the counts don't add up: %+v", c)
				}
			},
		},
		{
			Name: "the final ledger event",
			Statements: statements(
				"On SIGTERM the agent sends a ledger event if there is news.",
				"When the last exchange has ended and the port is closed, it sends the `final` one before all events that still wait.",
				"Its `agentsequence` is the highest of this `agentinstance`.",
				"`final` | whether it is the last event of this `agentinstance`",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, arguments)
				r.Post(predictPath, instances)
				r.Signal(syscall.SIGTERM)
				r.Wait()
				all, highest := ledgers(t, r), 0
				for _, e := range r.Sink.Events() {
					highest = max(highest, sequenceOf(e))
				}
				if len(all) == 0 || !all[len(all)-1].Final || all[len(all)-1].Sequence != highest {
					t.Errorf("the highest number is %d, the ledger events say %+v", highest, all)
				}
			},
		},
		{
			Name: "no news, no ledger event",
			Statements: statements(
				"Exchanges that were skipped for `probe`, `path` or `overload` alone don't cause a ledger event.",
				"An agent that never observed or skipped an event sends none.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, arguments)
				r.Do(http.MethodGet, "/v2/health/ready", nil, nil)
				r.Signal(syscall.SIGTERM)
				r.Wait()
				if events := r.Sink.Events(); len(events) != 0 {
					t.Errorf("an agent that observed nothing sent %v", events)
				}
			},
		},
		{
			Name: "an agent that is killed",
			Statements: statements(
				"An agent sends no final ledger event if it is killed, or if a second signal comes while exchanges are in flight.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, arguments)
				r.Post(predictPath, instances)
				r.Sink.Await(1)
				r.Kill()
				for _, c := range ledgers(t, r) {
					if c.Final {
						t.Errorf("it sent %+v", c)
					}
				}
			},
		},
	}
}

// modeSteps are the section "Content mode".
func modeSteps() []Step {
	// event is the request's event of an agent with arguments.
	event := func(t *testing.T, start Start, contentType, text string, arguments ...string) agenttest.Event {
		t.Helper()
		r := start(t, agenttest.With(append(arguments, "--mode=request")...))
		response, _ := r.Do(http.MethodPost, predictPath, http.Header{"Content-Type": {contentType}, "X-Model-Body": {""}}, strings.NewReader(text))
		response.Body.Close()
		return r.Sink.Await(1)[0]
	}
	const odd, asciiOnly = "--metadata=region=東京 50%", "--metadata=team=x"
	return []Step{
		{
			Name: "content mode auto",
			Statements: statements(
				"`auto`, the default, is binary mode if headers can carry the subject and all extensions unchanged.",
				"A header can't carry characters outside printable ASCII, a space, `\"` or `%`.",
				"An event with such a value is sent in structured mode, so that a Trigger matches the original value.",
			),
			Alone: func(t *testing.T, start Start) {
				if e := event(t, start, "application/json", "{}", asciiOnly); e.Structured || e.Attribute("team") != "x" {
					t.Errorf("an event of plain values is structured: %v", e)
				}
				for _, value := range []string{"東京", "a b", `a"b`, "50%"} {
					if e := event(t, start, "application/json", "{}", "--metadata=region="+value); !e.Structured || e.Attribute("region") != value {
						t.Errorf("%s came as %v", value, e)
					}
				}
			},
		},
		{
			Name: "fixed content modes",
			Statements: statements(
				"`logger.contentMode` selects how events are encoded:",
				"`structured` is always structured mode.",
				"`binary` is binary mode with percent-encoding.",
				"In binary mode the value would be percent-encoded, and neither the Go SDK nor the Broker decodes that.",
			),
			Alone: func(t *testing.T, start Start) {
				if e := event(t, start, "application/json", "{}", "--content-mode=structured", asciiOnly); !e.Structured {
					t.Error("structured mode isn't")
				}
				e := event(t, start, "application/json", "{}", "--content-mode=binary", odd)
				if got := e.Header.Get("Ce-Region"); e.Structured || got != "%E6%9D%B1%E4%BA%AC%2050%25" {
					t.Errorf("binary mode has the header %q", got)
				}
			},
		},
		{
			Name: "structured in every mode",
			Statements: statements(
				"In every mode, an event is structured if its body is itself a CloudEvent, or if its headers would exceed 7 KiB.",
			),
			Alone: func(t *testing.T, start Start) {
				if e := event(t, start, "application/cloudevents+json", eventOf("com.example.other"), "--content-mode=binary"); !e.Structured {
					t.Error("an event whose body is an event is binary")
				}
				line := []string{"--content-mode=binary"}
				for i := range 3 {
					line = append(line, "--metadata=a"+strconv.Itoa(i)+"="+strings.Repeat("界", 341))
				}
				if e := event(t, start, "application/json", "{}", line...); !e.Structured {
					t.Error("an event with headers over 7 KiB is binary")
				}
			},
		},
		{
			Name: "data in structured mode",
			Statements: statements(
				"In structured mode, `data` contains a body that is valid JSON with the type `application/json`, `text/json` or no type.",
				"`data_base64` contains any other body.",
				"White space around a JSON value isn't part of it, so `data` may lack it.",
			),
			Alone: func(t *testing.T, start Start) {
				for _, test := range []struct {
					contentType, text string
					base64            bool
				}{
					{"application/json", `{"a": 1}`, false}, {"text/json", `[1]`, false}, {"", `1`, false},
					{"application/json", `{"a":`, true}, {"text/plain", `1`, true},
				} {
					e := event(t, start, test.contentType, test.text, "--content-mode=structured")
					if e.DataBase64 != test.base64 || string(e.Data()) != test.text {
						t.Errorf("%q of the type %q came with base64 %v as %q", test.text, test.contentType, e.DataBase64, e.Data())
					}
				}
			},
		},
	}
}
