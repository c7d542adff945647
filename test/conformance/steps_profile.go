/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// kserveRequest and kserveResponse are the types of KServe's logger.
const (
	kserveRequest  = agentconfig.KServeTypePrefix + "request"
	kserveResponse = agentconfig.KServeTypePrefix + "response"
)

// profileSteps are the section "Profile kserve", and what other sections say of it.
func profileSteps() []Step {
	const inProfile = "--sink.default.profile=kserve"
	return []Step{
		{
			Name: "the events of KServe's logger", Logger: KServe,
			Statements: statements(
				"`type` of a request | `io.kubeflow.serving.inference.request`",
				"`type` of a response | `io.kubeflow.serving.inference.response`",
				"`id` | one for each event",
				"`recordedtime` | –",
				"`source` is the name of the Knative Service.",
				"`endpoint` is absent.",
				"*Producers MUST ensure that `source` + `id` is unique for each distinct event.* The request and the response of an exchange have the same `source` and `id`.",
			),
			Run: func(s *Stage) {
				events := s.events(prediction(), kserveRequest, kserveResponse)
				for kind, e := range events {
					s.expect("id of the "+kind, e.ID(), events[kserveRequest].Attribute("correlationid"))
					s.expect("source of the "+kind, e.Source(), s.Identity()["source"])
					recorded, err := time.Parse(time.RFC3339, e.Attribute("recordedtime"))
					if err != nil || recorded.Before(e.Time()) {
						s.Errorf("recordedtime of the %s is %v, %v, and its time is %v", kind, recorded, err, e.Time())
					}
					if value, there := e.Extensions()["endpoint"]; there {
						s.Errorf("endpoint of the %s is %v", kind, value)
					}
				}
				s.expect("the request's data", string(events[kserveRequest].Data()), s.AsReceived(instances))
				s.expect("the response's data", string(events[kserveResponse].Data()), predictions)
			},
		},
		{
			Name: "a client chooses the id", Logger: KServe,
			Statements: statements(
				"`id` | one for each event",
				"A client can choose the `id`, as with KServe's logger, and so give several exchanges the same one.",
				"A `Ce-Id` with a space, `\"`, `%` or a character outside ASCII, or of more than 128 bytes, isn't used.",
			),
			Run: func(s *Stage) {
				long := strings.Repeat("x", 128)
				for _, id := range []string{"of-the-client", "of-the-client", long} {
					for kind, e := range s.events(prediction().having("Ce-Id", id), kserveRequest, kserveResponse) {
						s.expect("id of the "+kind, e.ID(), id)
					}
				}
				for _, id := range []string{"a b", `a"b`, "50%", "é", long + "x"} {
					for kind, e := range s.events(prediction().having("Ce-Id", id), kserveRequest, kserveResponse) {
						s.expect("id of the "+kind, e.ID(), e.Attribute("correlationid"))
					}
				}
			},
		},
		{
			Name: "metadata in the profile kserve", Logger: KServe,
			Statements: statements(
				"`annotations` | –",
				"`metadata` | –",
				"All other attributes are the same, also one for each annotation, and `agentsequence` counts as usual.",
				"*HTTP protocol binding, 3.1.3.2: spaces and double quotes in a header's value MUST be percent-encoded.* The JSON in `annotations` and `metadata` isn't, because subscribers parse it as it comes.",
				"It is ASCII without `%`: other characters are escaped as JSON has it, as `\\u00e9`.",
				"So a receiver that decodes percent-encoding reads the same JSON.",
				"All other attributes are percent-encoded where a header can't carry them.",
			),
			Run: func(s *Stage) {
				before := s.mark()
				for kind, e := range s.events(prediction(), kserveRequest, kserveResponse) {
					text := e.Attribute("annotations")
					var annotations map[string]string
					if err := json.Unmarshal([]byte(text), &annotations); err != nil || !maps.Equal(annotations, s.Logger.Annotations) {
						s.Errorf("annotations of the %s is %s, %v", kind, text, err)
					}
					if decoded, err := url.PathUnescape(text); err != nil || decoded != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
						s.Errorf("annotations of the %s is %q", kind, text)
					}
					s.expect("metadata of the "+kind, e.Attribute("metadata"), "{}")
					s.expect("team of the "+kind, e.Attribute("team"), "ai-platform")
					s.expect("region of the "+kind, e.Attribute("region"), "%E6%9D%B1%E4%BA%AC%2050%25")
					s.expect("quoted of the "+kind, e.Attribute("quoted"), "a%22b,%20c=d")
				}
				s.settle(before, s.mark())
			},
		},
		{
			Name: "headers in the profile kserve",
			Statements: statements(
				"`annotations` | –",
				"`metadata` | –",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With(inProfile, "--mode=request", "--metadata-header=tenant=x-tenant", "--metadata-header=via=X-Via"))
				header := http.Header{"X-Tenant": {`Zoë "1"`}, "X-Via": {"a", "b"}}
				maps.Copy(header, prediction().script())
				r.Do(http.MethodPost, predictPath, header, strings.NewReader(instances))
				e := r.Sink.Await(1)[0]
				if got, want := e.Header.Get("Ce-Metadata"), `{"X-Tenant":["Zo\u00eb \"1\""],"X-Via":["a, b"]}`; got != want {
					t.Errorf("metadata is %s, want %s", got, want)
				}
				if _, there := e.Extensions()["annotations"]; there {
					t.Errorf("there are no annotations: %v", e)
				}
			},
		},
		{
			Name: "kinds in the profile kserve by default", Logger: KServe,
			Statements: statements(
				"kinds by default | those of complete exchanges",
				"So the sink gets only `request` and `response` unless `logger.events` or `events` of the sink names other kinds.",
			),
			Run: func(s *Stage) {
				failure := prediction()
				failure.status = http.StatusInternalServerError
				s.events(failure, kserveRequest)
				large := prediction()
				large.request = oversized()
				s.events(large, kserveResponse)
				s.events(exchange{request: jsonBody(instances), response: body{contentType: "text/event-stream", wire: "data: 0\n\n"}}, kserveRequest)
				s.events(prediction().having("Ce-Type", ownType))
			},
		},
		{
			Name: "kinds that the profile kserve skips are counted",
			Statements: statements(
				"The others are counted as skipped, such as an error, a stream or a body over `maxPayloadBytes`.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With(inProfile, fmt.Sprint("--max-payload-bytes=", payloadCap)))
				failure := prediction()
				failure.status = http.StatusInternalServerError
				stream := exchange{response: body{contentType: "text/event-stream", wire: "data: 0\n\n"}}
				r.Do(http.MethodPost, predictPath, failure.script(), strings.NewReader(instances))
				r.Do(http.MethodPost, predictPath, stream.script(), strings.NewReader(instances))
				r.Do(http.MethodPost, predictPath, prediction().script(), strings.NewReader(oversized().wire))
				for _, kind := range []string{"response.failure", "stream", "request.oversize"} {
					awaitLine(t, r, `sidenote_events_skipped_total{kind="`+kind+`"} 1`)
				}
			},
		},
		{
			Name: "kinds that a sink of the profile kserve names",
			Statements: statements(
				"So the sink gets only `request` and `response` unless `logger.events` or `events` of the sink names other kinds.",
			),
			Alone: func(t *testing.T, start Start) {
				for _, argument := range []string{"--events=response.failure", "--sink.default.events=response.failure"} {
					r := start(t, agenttest.With(inProfile, argument))
					failure := prediction()
					failure.status = http.StatusInternalServerError
					r.Do(http.MethodPost, predictPath, failure.script(), strings.NewReader(instances))
					if e := r.Sink.Await(1)[0]; e.Kind() != "response.failure" {
						t.Errorf("with %s it got %v", argument, e)
					}
				}
			},
		},
		{
			Name: "other kinds have no profile", Logger: Detector,
			Statements: statements(
				"An event of a kind that is named is the same as in the profile `sidenote`, with Sidenote's type and its own `id`: KServe's logger has no such event, so no subscriber takes it for one.",
			),
			Run: func(s *Stage) {
				failure := prediction()
				failure.status = http.StatusInternalServerError
				large := prediction()
				large.request = oversized()
				stream := exchange{request: jsonBody(instances), response: body{contentType: "text/event-stream", wire: "data: 0\n\n"}}
				for _, test := range []struct {
					exchange        exchange
					kind, other, id string
				}{
					{failure, "response.failure", kserveRequest, "-response"},
					{large, "request.oversize", kserveResponse, "-request"},
					{stream, "stream", kserveRequest, "-response"},
				} {
					e := s.events(test.exchange, test.kind, test.other)[test.kind]
					s.expect("type of the "+test.kind, e.Type(), agenttest.TypePrefix+test.kind)
					s.expect("id of the "+test.kind, e.ID(), e.Attribute("correlationid")+test.id)
					for _, name := range []string{"annotations", "metadata", "recordedtime"} {
						s.expect(name+" of the "+test.kind, e.Attribute(name), "")
					}
				}
			},
		},
		{
			Name: "bodies in the profile kserve", Logger: KServe,
			Statements: statements(
				"The body is the exchange's own, without its content coding.",
				"`datacontenttype` of a response is its own.",
			),
			Run: func(s *Stage) {
				const plain = "a body"
				x := prediction()
				x.response = coded("gzip", plain, inGzip(plain))
				events := s.events(x, kserveRequest, kserveResponse)
				s.expect("the response's data", string(events[kserveResponse].Data()), plain)
				s.expect("the response's datacontenttype", events[kserveResponse].DataContentType(), "text/plain")
				s.expect("the request's datacontenttype", events[kserveRequest].DataContentType(), "application/json")
			},
		},
		{
			Name: "a gRPC message in the profile kserve", Logger: KServe,
			Statements: statements(
				"A gRPC message arrives as `application/protobuf`, which no subscriber of KServe's logger reads.",
			),
			Beside: "the model's port speaks HTTP/1.1",
			Run: func(s *Stage) {
				const message = "\x0a\x02in"
				call := asCall(exchange{request: messages(message).whole(), response: messages(message).whole(), trailer: "Grpc-Status=0"})
				for kind, e := range s.events(call, kserveRequest, kserveResponse) {
					s.expect("datacontenttype of the "+kind, e.DataContentType(), "application/protobuf")
					s.expect("data of the "+kind, string(e.Data()), message)
				}
			},
		},
		{
			Name: "a body that is an event in the profile kserve", Logger: KServe,
			Statements: statements(
				"If a body is itself a CloudEvent by its Content-Type, `datacontenttype` is `application/json` or `application/octet-stream`, and `replaced` names it: a receiver would otherwise take the body for the event.",
			),
			Run: func(s *Stage) {
				for given, want := range map[string]string{
					"application/cloudevents+json": "application/json", "application/cloudevents+avro": "application/octet-stream",
				} {
					x := prediction()
					x.response = body{contentType: given, wire: eventOf("com.example.other")}
					e := s.events(x, kserveRequest, kserveResponse)[kserveResponse]
					s.expect("type", e.Type(), kserveResponse)
					s.expect("datacontenttype", e.DataContentType(), want)
					s.expect("replaced", e.Attribute("replaced"), "datacontenttype")
					s.expect("data", string(e.Data()), s.AsReceived(x.response.wire))
				}
			},
		},
		{
			Name: "content modes in the profile kserve",
			Statements: statements(
				"mode | as `contentMode` says",
				"In the [profile `kserve`](#profile-kserve), a request or response event is in binary mode whatever `contentMode` is.",
			),
			Alone: func(t *testing.T, start Start) {
				for _, mode := range agentconfig.ContentModes() {
					r := start(t, agenttest.With(inProfile, "--content-mode="+string(mode), "--metadata=region=東京 50%"))
					r.Do(http.MethodPost, predictPath, prediction().script(), strings.NewReader(instances))
					for _, e := range r.Sink.Await(2) {
						if e.Structured || e.Header.Get("Ce-Region") != "%E6%9D%B1%E4%BA%AC%2050%25" || e.Header.Get("Ce-Annotations") != `{"region":"\u6771\u4eac 50\u0025"}` {
							t.Errorf("with the content mode %s an event is structured: %v, with the header %v", mode, e.Structured, e.Header)
						}
					}
				}
			},
		},
		{
			Name: "two sinks with a profile of their own",
			Statements: statements(
				"The profile is a sink's own: another sink of the same logger may have Sidenote's events.",
				"All other attributes are the same, also one for each annotation, and `agentsequence` counts as usual.",
			),
			Alone: func(t *testing.T, start Start) {
				own, kserve := agenttest.NewSink(t), agenttest.NewSink(t)
				r := start(t, agenttest.With("--sink=own="+own.URL, "--sink=kserve="+kserve.URL, "--sink.kserve.profile=kserve",
					"--inference-service=m", "--namespace=n", "--component=predictor", "--metadata=team=x"))
				r.Do(http.MethodPost, predictPath, prediction().script(), strings.NewReader(instances))
				own.Await(2)
				kserve.Await(2)
				for _, side := range []string{"request", "response"} {
					ours, theirs := own.Of(side), kserve.Of(agentconfig.KServeTypePrefix+side)
					added := theirs.Extensions()
					for name, want := range ours.Extensions() {
						if got := added[name]; got != want {
							t.Errorf("%s of the %s is %v, want %v", name, side, got, want)
						}
						delete(added, name)
					}
					if len(added) != 3 || added["annotations"] != `{"team":"x"}` || added["metadata"] != "{}" || added["recordedtime"] == nil {
						t.Errorf("the profile adds %v to the %s", added, side)
					}
					if ours.Subject() != theirs.Subject() || ours.Source() != theirs.Source() || !ours.Time().Equal(theirs.Time()) ||
						ours.DataContentType() != theirs.DataContentType() || !reflect.DeepEqual(ours.Data(), theirs.Data()) {
						t.Errorf("the %s is\n%v\nin one profile, and\n%v\nin the other", side, ours, theirs)
					}
				}
			},
		},
		{
			Name: "a filter in the profile kserve",
			Statements: statements(
				"The filter of a sink is compared with the event as it is in the profile `sidenote`, with Sidenote's type and `id`.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With(inProfile, `--sink.default.filter={"all":[{"exact":{"type":"`+ownType+`"}},{"suffix":{"id":"-request"}}]}`))
				r.Do(http.MethodPost, predictPath, prediction().script(), strings.NewReader(instances))
				awaitLine(t, r, `sidenote_sink_skipped_total{reason="filter",sink="default"} 1`)
				if e := r.Sink.Await(1)[0]; e.Type() != kserveRequest || sequenceOf(e) != 1 {
					t.Errorf("the filter lets %v pass", e)
				}
			},
		},
		{
			Name: "long headers in the profile kserve",
			Statements: statements(
				"If the headers would exceed 7 KiB, `annotations` is left out, and if they still do, `metadata`, too.",
				"`replaced` names them then.",
				"The values are also attributes of their own.",
			),
			Alone: func(t *testing.T, start Start) {
				long := strings.Repeat("x", 1000)
				// A header carries each character in 6 bytes.
				encoded := strings.Repeat("é", 500)
				for want, values := range map[string][]string{
					"": {"x"}, "annotations": {encoded}, "annotations,metadata": {encoded, encoded},
				} {
					line := []string{inProfile, "--mode=request", "--metadata-header=tenant=X-Tenant"}
					for i, value := range values {
						line = append(line, fmt.Sprint("--metadata=a", i, "=", value))
					}
					r := start(t, agenttest.With(line...))
					header := prediction().script()
					header.Set("X-Tenant", long)
					r.Do(http.MethodPost, predictPath, header, strings.NewReader(instances))
					e := r.Sink.Await(1)[0]
					if got := e.Attribute("replaced"); got != want {
						t.Errorf("replaced is %q, want %q", got, want)
					}
					for _, name := range []string{"annotations", "metadata"} {
						if _, there := e.Extensions()[name]; there == strings.Contains(want, name) {
							t.Errorf("%s is there: %v, and replaced is %q", name, there, want)
						}
					}
					if e.Attribute("tenant") != long || e.Attribute("a0") != url.PathEscape(values[0]) {
						t.Errorf("values are lost: %v", e)
					}
				}
			},
		},
	}
}
