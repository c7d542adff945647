/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const maxBytes = 1000

var received = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type option func(*Observation)

// observation returns a complete JSON response, and what options make of it.
func observation(options ...option) *Observation {
	o := &Observation{
		Exchange:   &Exchange{CorrelationID: "c", Path: "/v1/models/m:predict", Received: received},
		Side:       Response,
		Coding:     Coding{ContentType: "application/json"},
		Body:       whole(`{"a":1}`),
		Complete:   true,
		Status:     200,
		GRPCStatus: NoStatus,
		At:         received.Add(1500 * time.Microsecond),
	}
	for _, option := range options {
		option(o)
	}
	return o
}

func whole(text string) Body { return Body{Data: []byte(text), Size: int64(len(text))} }

func ofRequest(o *Observation) { o.Side, o.Status = Request, NoStatus }

func ofTunnel(o *Observation) {
	o.Side, o.Status, o.Coding, o.Body, o.Flow = Tunnel, 101, Coding{}, Body{}, Flow{FromClient: 1 << 40, FromModel: 2}
}

func ofLoop(o *Observation) { o.Side, o.Coding, o.Loop = Looped, Coding{}, LoopHeader }

func brokenOff(o *Observation) { o.Complete = false }

func status(code int) option { return func(o *Observation) { o.Status = code } }

func grpcStatus(code int) option { return func(o *Observation) { o.GRPCStatus = code } }

func contentType(text string) option { return func(o *Observation) { o.Coding.ContentType = text } }

func contentEncoding(text string) option {
	return func(o *Observation) { o.Coding.ContentEncoding = text }
}

func inferenceHeader(length string) option {
	return func(o *Observation) { o.Coding.InferenceHeaderLength = length }
}

func body(text string) option { return func(o *Observation) { o.Body = whole(text) } }

func ofSize(size int64) option {
	return func(o *Observation) { o.Body = Body{Size: size, SHA256: "f00d"} }
}

func path(text string) option { return func(o *Observation) { o.Exchange.Path = text } }

func frame(flag byte, message string) string {
	header := []byte{flag, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(header[1:], uint32(len(message)))
	return string(header) + message
}

func gzipped(text string) string {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return compressed.String()
}

func brotlied(text string) string {
	return string(compressed(text, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }))
}

func zstded(text string) string { return string(compressed(text, newZstd)) }

// TestRealInputsAreDecoded, which compress far.
func TestRealInputsAreDecoded(t *testing.T) {
	vector := `{"instances":[[` + strings.Repeat("0.0,", 30_000) + `1.5]]}`
	mask := `{"attention_mask":[` + strings.Repeat("1,", 300_000) + `1]}`
	for name, text := range map[string]string{"a sparse vector": vector, "a mask": mask} {
		for coding, wire := range map[string]string{"gzip": gzipped(text), "br": brotlied(text), "zstd": zstded(text)} {
			decoded, err := decode(coding, []byte(wire), 700<<10)
			t.Logf("%s in %s: %d to 1", name, coding, len(text)/len(wire))
			if err != nil || string(decoded) != text {
				t.Errorf("%s in %s: %d bytes, %v", name, coding, len(decoded), err)
			}
		}
	}
}

func grpcOf(options ...option) []option {
	return append([]option{contentType("application/grpc"), grpcStatus(0)}, options...)
}

func TestClassify(t *testing.T) {
	for _, test := range []struct {
		name string
		of   *Observation
		want agentconfig.Kind
	}{
		{"a complete request", observation(ofRequest), agentconfig.KindRequest},
		{"a request that broke off", observation(ofRequest, brokenOff), agentconfig.KindRequestFailure},
		{"a request over the cap", observation(ofRequest, ofSize(maxBytes+1)), agentconfig.KindRequestOversize},
		{"a request that the budget had no room for", observation(ofRequest, ofSize(10)), agentconfig.KindRequestOversize},
		{"a request in an unknown coding", observation(ofRequest, contentEncoding("compress")), agentconfig.KindRequestEncoded},
		{"a request in three codings", observation(ofRequest, contentEncoding("gzip, br, zstd")), agentconfig.KindRequestEncoded},
		{"an empty request in an unknown coding", observation(ofRequest, contentEncoding("compress"), body("")), agentconfig.KindRequest},
		{"a request of several messages", observation(ofRequest, contentType("application/grpc"), body(frame(0, "a")+frame(0, "b"))), agentconfig.KindRequest},
		{"a tunnel", observation(ofTunnel), agentconfig.KindTunnel},
		{"a loop", observation(ofLoop), agentconfig.KindLoop},
		{"a good response", observation(), agentconfig.KindResponse},
		{"an empty response", observation(status(204), body("")), agentconfig.KindResponse},
		{"a redirect", observation(status(307)), agentconfig.KindResponseFailure},
		{"a refusal", observation(status(404)), agentconfig.KindResponseFailure},
		{"a failure over the cap", observation(status(500), ofSize(maxBytes+1)), agentconfig.KindResponseFailure},
		{"a response that broke off", observation(brokenOff), agentconfig.KindResponseFailure},
		{"a response over the cap", observation(ofSize(maxBytes + 1)), agentconfig.KindResponseOversize},
		{"a response of exactly the cap", observation(body(strings.Repeat("x", maxBytes))), agentconfig.KindResponse},
		{"a gzip response", observation(contentEncoding("gzip")), agentconfig.KindResponse},
		{"server-sent events", observation(contentType("Text/Event-Stream; charset=utf-8")), agentconfig.KindStream},
		{"server-sent events that failed", observation(contentType("text/event-stream"), status(500)), agentconfig.KindResponseFailure},
		{"one gRPC message", observation(grpcOf(body(frame(0, "m")))...), agentconfig.KindResponse},
		{"one empty gRPC message", observation(grpcOf(body(frame(0, "")))...), agentconfig.KindResponse},
		{"no gRPC message", observation(grpcOf(body(""))...), agentconfig.KindStream},
		{"two gRPC messages", observation(grpcOf(body(frame(0, "m") + frame(0, "n")))...), agentconfig.KindStream},
		{"a gRPC error", observation(contentType("application/grpc+proto"), grpcStatus(5), body("")), agentconfig.KindResponseFailure},
		{"gRPC without a status", observation(contentType("application/grpc"), body(frame(0, "m"))), agentconfig.KindResponseFailure},
		{"gRPC-Web is no gRPC", observation(contentType("application/grpc-web")), agentconfig.KindResponse},
		{"gRPC in an unknown coding", observation(append(grpcOf(body(frame(1, "m"))), func(o *Observation) { o.Coding.GRPCEncoding = "snappy" })...), agentconfig.KindResponseEncoded},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Classify(test.of, maxBytes); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func build(t *testing.T, mode agentconfig.ContentMode, o *Observation, attributes ...metadata.Attribute) *Event {
	t.Helper()
	builder := Builder{
		Identity:        Identity{Source: "m-predictor-default", AgentInstance: "i"},
		ContentMode:     mode,
		MaxPayloadBytes: maxBytes,
	}
	built, err := builder.Build(o, Classify(o, maxBytes), attributes)
	if err != nil {
		t.Fatal("Build:", err)
	}
	return built
}

// receive sends an event over HTTP and reads it as the SDK does.
func receive(t *testing.T, built *Event) (*cloudevents.Event, binding.Encoding) {
	t.Helper()
	message := built.Message(7)
	content, err := io.ReadAll(message.Body())
	if err != nil {
		t.Fatal("reading the body:", err)
	}
	if int64(len(content)) != message.Length {
		t.Errorf("the body has %d bytes, its announced length is %d", len(content), message.Length)
	}
	request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(content))
	request.Header = message.Header
	incoming := cehttp.NewMessageFromHttpRequest(request)
	event, err := binding.ToEvent(t.Context(), incoming)
	if err != nil {
		t.Fatalf("the SDK can't read it: %v\n%v\n%s", err, message.Header, content)
	}
	if err := event.Validate(); err != nil {
		t.Errorf("the SDK finds it invalid: %v", err)
	}
	return event, incoming.ReadEncoding()
}

// TestEveryValueArrivesUnchanged in whatever mode auto chooses.
func TestEveryValueArrivesUnchanged(t *testing.T) {
	for _, test := range []struct {
		name, value string
		structured  bool
	}{
		{"plain", "ai-platform", false},
		{"punctuation", "a,b;c=d/e?f#g'h", false},
		{"space", "two words", true},
		{"quote", `a"b`, true},
		{"percent", "50%", true},
		{"already encoded", "50%25", true},
		{"Unicode", "東京", true},
		{"backslash", `a\b`, false},
		{"markup", "<b>&</b>", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, data := range []string{"", `{"a":[1, 2]}`, "not JSON", "\x00\xff binary"} {
				event, encoding := receive(t, build(t, agentconfig.ContentModeAuto, observation(body(data)), metadata.Attribute{Name: "team", Value: test.value}))
				if got := event.Extensions()["team"]; got != test.value {
					t.Errorf("got %q, want %q", got, test.value)
				}
				if structured := encoding == binding.EncodingStructured; structured != test.structured {
					t.Errorf("structured: %v", structured)
				}
				if got := string(event.Data()); got != data {
					t.Errorf("data %q, want %q", got, data)
				}
				if event.Extensions()["agentsequence"] != "000000000007" {
					t.Errorf("extensions: %v", event.Extensions())
				}
			}
		})
	}
}

// TestNoByteOfAClientCostsAnEvent: odd input is replaced, and named.
func TestNoByteOfAClientCostsAnEvent(t *testing.T) {
	trace := func(parents []string, states ...string) option {
		return func(o *Observation) { o.Exchange.TraceParent, o.Exchange.TraceState = parents, states }
	}
	valid := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	members := strings.Repeat("vendor=value,", 50)
	for _, test := range []struct {
		name     string
		of       option
		replaced string
		check    func(*cloudevents.Event) bool
	}{
		{"an unparsable media type", contentType("not/a/type"), "datacontenttype", func(e *cloudevents.Event) bool { return e.DataContentType() == octetStream }},
		{"a media type of control bytes", contentType("text/\x01"), "datacontenttype", func(e *cloudevents.Event) bool { return e.DataContentType() == octetStream }},
		{"a media type of high bytes", contentType("text/plain; a=\"\xff\""), "datacontenttype", func(e *cloudevents.Event) bool { return e.DataContentType() == "text/plain" }},
		{"odd parameters", contentType("application/json; charset"), "datacontenttype", func(e *cloudevents.Event) bool { return e.DataContentType() == "application/json" }},
		{"a long media type", contentType("text/plain; a=" + strings.Repeat("x", 10_000)), "datacontenttype", func(e *cloudevents.Event) bool { return e.DataContentType() == "text/plain" }},
		{"no media type", contentType(""), "", func(e *cloudevents.Event) bool { return e.DataContentType() == "" }},
		{"a long path", path("/" + strings.Repeat("x", 5000)), "subject", func(e *cloudevents.Event) bool { return len(e.Subject()) == 1024 }},
		{"a parameter that is given twice", contentType("application/json; charset=utf-8; charset=UTF-8"), "datacontenttype", func(e *cloudevents.Event) bool { return e.DataContentType() == "application/json" }},
		{"a path that net/http would escape", path("/v2/models/org|model/infer"), "", func(e *cloudevents.Event) bool { return e.Subject() == "/v2/models/org|model/infer" }},
		{"a path in UTF-8", path("/v1/models/modèle:predict"), "", func(e *cloudevents.Event) bool {
			return e.Subject() == "/v1/models/modèle:predict" || e.Subject() == "/v1/models/mod%C3%A8le:predict"
		}},
		{"a path that is no UTF-8", path("/a\xe8|b"), "subject", func(e *cloudevents.Event) bool { return e.Subject() == "/a%E8|b" }},
		{"a path with a control character of Unicode", path("/a\u0085b"), "subject", func(e *cloudevents.Event) bool { return e.Subject() == "/a%C2%85b" }},
		{"a path that is cut within a character", path("/" + strings.Repeat("è", 600)), "subject", func(e *cloudevents.Event) bool {
			return strings.HasPrefix(e.Subject(), "/è") && len(e.Subject()) == 1023 || strings.HasPrefix(e.Subject(), "/%C3%A8")
		}},
		{"an odd path", path("/a%20b"), "", func(e *cloudevents.Event) bool { return e.Subject() == "/a%20b" }},
		{"no path", path(""), "", func(e *cloudevents.Event) bool { return e.Subject() == "" }},
		{"a valid trace", trace([]string{valid}, "a=1 , b=2", "c=3"), "", func(e *cloudevents.Event) bool {
			return e.Extensions()["traceparent"] == valid && e.Extensions()["tracestate"] == "a=1,b=2,c=3"
		}},
		{"an invalid trace", trace([]string{"00-xyz"}, "a=1"), "traceparent", func(e *cloudevents.Event) bool {
			return e.Extensions()["traceparent"] == nil && e.Extensions()["tracestate"] == nil
		}},
		{"two traces", trace([]string{valid, valid}), "traceparent", func(e *cloudevents.Event) bool { return e.Extensions()["traceparent"] == nil }},
		{"a trace of zeros", trace([]string{"00-00000000000000000000000000000000-b7ad6b7169203331-01"}), "traceparent", func(e *cloudevents.Event) bool { return e.Extensions()["traceparent"] == nil }},
		{"a trace of a later version", trace([]string{"01" + valid[2:] + "-more"}), "", func(e *cloudevents.Event) bool { return e.Extensions()["traceparent"] != nil }},
		{"a long trace state", trace([]string{valid}, members), "tracestate", func(e *cloudevents.Event) bool {
			state := e.Extensions()["tracestate"].(string)
			return len(state) <= 512 && strings.HasSuffix(state, "=value")
		}},
		{"an odd request id", func(o *Observation) { o.Exchange.ClientRequestID = "a b\x00" }, "clientrequestid", func(e *cloudevents.Event) bool { return e.Extensions()["clientrequestid"] == nil }},
		{"a good request id", func(o *Observation) { o.Exchange.ClientRequestID = "A-1.b:c_d" }, "", func(e *cloudevents.Event) bool { return e.Extensions()["clientrequestid"] == "A-1.b:c_d" }},
		{"an odd coding", contentEncoding("\x00 \xff"), "contentencoding", func(e *cloudevents.Event) bool { return e.Extensions()["contentencoding"] == "unknown" }},
		{"a tensor length", inferenceHeader("05"), "", func(e *cloudevents.Event) bool { return fmt.Sprint(e.Extensions()["inferenceheaderlen"]) == "5" }},
		{"a tensor length over the body's", inferenceHeader("1000"), "inferenceheaderlen", func(e *cloudevents.Event) bool { return e.Extensions()["inferenceheaderlen"] == nil }},
		{"a tensor length over an Integer", inferenceHeader("4294967296"), "inferenceheaderlen", func(e *cloudevents.Event) bool { return e.Extensions()["inferenceheaderlen"] == nil }},
		{"two tensor lengths", inferenceHeader("1,2"), "inferenceheaderlen", func(e *cloudevents.Event) bool { return e.Extensions()["inferenceheaderlen"] == nil }},
		{"an odd tensor length", func(o *Observation) { o.Coding.InferenceHeaderLength = "many" }, "inferenceheaderlen", func(e *cloudevents.Event) bool { return e.Extensions()["inferenceheaderlen"] == nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeAuto, agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
				event, _ := receive(t, build(t, mode, observation(test.of)))
				replaced, _ := event.Extensions()["replaced"].(string)
				// In binary mode nobody decodes what the binding has encoded.
				if mode == agentconfig.ContentModeBinary && strings.Contains(event.Subject(), "%25") {
					continue
				}
				if replaced != test.replaced || !test.check(event) {
					t.Errorf("%s: replaced %q, %v", mode, replaced, event)
				}
			}
		})
	}
}

// TestASubjectIsThePathOnTheWire, whatever form the request's target has.
func TestASubjectIsThePathOnTheWire(t *testing.T) {
	for target, want := range map[string]string{
		"/v2/models/org|model/infer?a=b": "/v2/models/org|model/infer",
		"/v1/models/modèle:predict":      "/v1/models/modèle:predict",
		"/a%2Fb/../c":                    "/a%2Fb/../c",
		"//host/path":                    "//host/path",
		"*":                              "*",
		"http://h/v1/mod|el?q=/x":        "/v1/mod|el",
		"http://h":                       "",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RequestURI = target
		if got := NewExchange(r, "c", received).Path; got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
}

func TestStructuredModeIsForced(t *testing.T) {
	large := make([]metadata.Attribute, 0, 10)
	for i := range 10 {
		large = append(large, metadata.Attribute{Name: "a" + string(rune('a'+i)), Value: strings.Repeat("x", 800)})
	}
	for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeAuto, agentconfig.ContentModeBinary} {
		if _, encoding := receive(t, build(t, mode, observation(contentType("application/cloudevents+json")))); encoding != binding.EncodingStructured {
			t.Errorf("%s: an event as the body goes out as %s", mode, encoding)
		}
		if _, encoding := receive(t, build(t, mode, observation(), large...)); encoding != binding.EncodingStructured {
			t.Errorf("%s: large headers go out as %s", mode, encoding)
		}
	}
}

func TestFixedBinaryPercentEncodes(t *testing.T) {
	message := build(t, agentconfig.ContentModeBinary, observation(), metadata.Attribute{Name: "team", Value: `é "50%"`}).Message(1)
	if got := message.Header.Get("Ce-Team"); got != "%C3%A9%20%2250%25%22" {
		t.Errorf("got %s", got)
	}
}

func TestContent(t *testing.T) {
	compressed := func(o *Observation) { o.Coding.GRPCEncoding = "gzip" }
	for _, test := range []struct {
		name string
		of   *Observation
		kind agentconfig.Kind
		want string
		// contentType and coding as the event names them.
		contentType, coding string
	}{
		{"as it came", observation(), agentconfig.KindResponse, `{"a":1}`, "application/json", ""},
		{"gzip", observation(contentEncoding("gzip"), body(gzipped("{}"))), agentconfig.KindResponse, "{}", "application/json", "gzip"},
		{"x-gzip", observation(contentEncoding("X-GZip"), body(gzipped("{}"))), agentconfig.KindResponse, "{}", "application/json", "gzip"},
		{"identity", observation(contentEncoding("identity")), agentconfig.KindResponse, `{"a":1}`, "application/json", ""},
		{"none", observation(contentEncoding("None")), agentconfig.KindResponse, `{"a":1}`, "application/json", ""},
		{"a charset", observation(contentEncoding("UTF-8")), agentconfig.KindResponse, `{"a":1}`, "application/json", ""},
		{"a charset without a hyphen", observation(contentEncoding("utf8")), agentconfig.KindResponse, `{"a":1}`, "application/json", ""},
		{"binary", observation(contentEncoding("binary")), agentconfig.KindResponse, `{"a":1}`, "application/json", ""},
		{"empty members", observation(contentEncoding(" , ,")), agentconfig.KindResponse, `{"a":1}`, "application/json", ""},
		{"none and gzip", observation(contentEncoding("identity, gzip"), body(gzipped("{}"))), agentconfig.KindResponse, "{}", "application/json", "gzip"},
		{"br", observation(contentEncoding("br"), body(brotlied("{}"))), agentconfig.KindResponse, "{}", "application/json", "br"},
		{"zstd", observation(contentEncoding("ZSTD"), body(zstded("{}"))), agentconfig.KindResponse, "{}", "application/json", "zstd"},
		{"gzip in br", observation(contentEncoding("gzip, br"), body(brotlied(gzipped("{}")))), agentconfig.KindResponse, "{}", "application/json", "gzip,br"},
		{"broken br", observation(contentEncoding("br")), agentconfig.KindResponseEncoded, `{"a":1}`, "application/json", "br"},
		{"broken zstd", observation(contentEncoding("zstd")), agentconfig.KindResponseEncoded, `{"a":1}`, "application/json", "zstd"},
		{"br over the cap", observation(contentEncoding("br"), body(brotlied(strings.Repeat("x", maxBytes+1)))), agentconfig.KindResponseEncoded, brotlied(strings.Repeat("x", maxBytes+1)), "application/json", "br"},
		{"zstd over the cap", observation(contentEncoding("zstd"), body(zstded(strings.Repeat("x", maxBytes+1)))), agentconfig.KindResponseEncoded, zstded(strings.Repeat("x", maxBytes+1)), "application/json", "zstd"},
		{"br with a large window", observation(contentEncoding("br"), body("\x0d"+brotlied("{}"))), agentconfig.KindResponseEncoded, "\x0d" + brotlied("{}"), "application/json", "br"},
		{"broken gzip", observation(contentEncoding("gzip")), agentconfig.KindResponseEncoded, `{"a":1}`, "application/json", "gzip"},
		{"gzip over the cap", observation(contentEncoding("gzip"), body(gzipped(strings.Repeat("x", maxBytes+1)))), agentconfig.KindResponseEncoded, gzipped(strings.Repeat("x", maxBytes+1)), "application/json", "gzip"},
		{"a gzip failure", observation(contentEncoding("gzip"), body(gzipped("no")), status(500)), agentconfig.KindResponseFailure, "no", "application/json", "gzip"},
		{"a gzip failure that broke off", observation(contentEncoding("gzip"), body("half"), brokenOff), agentconfig.KindResponseFailure, "half", "application/json", "gzip"},
		{"a gRPC message", observation(grpcOf(body(frame(0, "m")))...), agentconfig.KindResponse, "m", "application/protobuf", ""},
		{"a gRPC message of JSON", observation(contentType("application/grpc+json"), grpcStatus(0), body(frame(0, "{}"))), agentconfig.KindResponse, "{}", "application/json", ""},
		{"a compressed gRPC message", observation(grpcOf(compressed, body(frame(1, gzipped("m"))))...), agentconfig.KindResponse, "m", "application/protobuf", "gzip"},
		{"a broken gRPC message", observation(grpcOf(compressed, body(frame(1, "m")))...), agentconfig.KindResponseEncoded, frame(1, "m"), "application/grpc", "gzip"},
		{"a gRPC stream", observation(grpcOf(body(frame(0, "m") + frame(0, "n")))...), agentconfig.KindStream, frame(0, "m") + frame(0, "n"), "application/grpc", ""},
		{"over the cap", observation(ofSize(maxBytes + 1)), agentconfig.KindResponseOversize, "", "application/json", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			built := build(t, agentconfig.ContentModeAuto, test.of)
			event, _ := receive(t, built)
			coding, _ := event.Extensions()["contentencoding"].(string)
			if built.Kind != test.kind || string(event.Data()) != test.want || event.DataContentType() != test.contentType || coding != test.coding {
				t.Errorf("got %s %q %s coding %q", built.Kind, event.Data(), event.DataContentType(), coding)
			}
			if event.Type() != TypePrefix+string(test.kind) {
				t.Errorf("type %s", event.Type())
			}
		})
	}
}

func TestAttributesOfAResponse(t *testing.T) {
	event, _ := receive(t, build(t, agentconfig.ContentModeStructured, observation(grpcStatus(3), status(418), ofSize(5))))
	for name, want := range map[string]any{
		"statuscode": int32(418), "grpcstatus": int32(3), "durationms": int32(1),
		"bodysize": "5", "bodysha256": "f00d", "correlationid": "c", "agentinstance": "i",
	} {
		if got := event.Extensions()[name]; got != want {
			t.Errorf("%s is %v (%T), want %v", name, got, got, want)
		}
	}
	if event.ID() != "c-response" || !event.Time().Equal(received.Add(1500*time.Microsecond)) {
		t.Errorf("id %s, time %s", event.ID(), event.Time())
	}
}

// TestOurAttributesAreReserved: no annotation can take their place.
func TestOurAttributesAreReserved(t *testing.T) {
	o := observation(grpcStatus(0), contentType("x"), ofSize(5), contentEncoding("gzip"), func(o *Observation) {
		o.Coding.InferenceHeaderLength = "1"
		o.Exchange.ClientRequestID = "x"
		o.Exchange.TraceParent = []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		o.Exchange.TraceState = []string{"a=1"}
	})
	builder := Builder{
		Identity:        Identity{Source: "s", InferenceService: "i", Namespace: "n", Component: "c", Revision: "r", AgentInstance: "a"},
		MaxPayloadBytes: maxBytes,
	}
	built, err := builder.Build(o, agentconfig.KindResponseFailure, nil)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := builder.Build(observation(ofTunnel), agentconfig.KindTunnel, nil)
	if err != nil {
		t.Fatal(err)
	}
	loop, err := builder.Build(observation(ofLoop), agentconfig.KindLoop, nil)
	if err != nil {
		t.Fatal(err)
	}
	names := append([]string{sequenceAttribute}, slices.Collect(maps.Keys(extensionsOf(tunnel)))...)
	names = append(names, slices.Collect(maps.Keys(extensionsOf(loop)))...)
	for name := range extensionsOf(built) {
		names = append(names, name)
	}
	if len(names) < 27 {
		t.Errorf("not every attribute is there: %v", names)
	}
	letter, err := built.DeadLetter(Failure{Destination: "d", Status: 500, Body: []byte("no")})
	if err != nil {
		t.Fatal(err)
	}
	for name := range extensionsOf(letter) {
		names = append(names, name)
	}
	// CloudEvents 1.0, Attribute Naming Convention. Some SDKs refuse others.
	allowed := regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	for _, name := range names {
		if !metadata.Reserved(name) {
			t.Errorf("%q is not reserved", name)
		}
		if !allowed.MatchString(name) {
			t.Errorf("%q is no attribute name that every SDK takes", name)
		}
	}
}

func TestLine(t *testing.T) {
	for _, test := range []struct{ data, want string }{
		{"{\n  \"a\": [1,\n 2]\n}", `"data":{"a":[1,2]}}` + "\n"},
		{"\xff\n", `"data_base64":"/wo="}` + "\n"},
		{"", `"agentsequence":"000000000001"}` + "\n"},
	} {
		line, err := build(t, agentconfig.ContentModeAuto, observation(body(test.data))).Line(1)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(line), test.want) || strings.Count(string(line), "\n") != 1 {
			t.Errorf("got %s", line)
		}
	}
}

func TestBase64ReaderIsAReader(t *testing.T) {
	for n := range 20 {
		data := bytes.Repeat([]byte{0xfb}, n)
		encoded := make([]byte, 0, 30)
		encoded = append(encoded, []byte(strings.Repeat("+/v7", 7)[:n/3*4])...)
		encoded = append(encoded, map[int]string{0: "", 1: "+w==", 2: "+/s="}[n%3]...)
		if err := iotest.TestReader(&base64Reader{data: data}, encoded); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// failingWriter takes as many bytes as its value.
type failingWriter int

func (w *failingWriter) Write(p []byte) (int, error) {
	n := min(len(p), int(*w))
	if *w -= failingWriter(n); n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// TestABodyIsWrittenAsItIsRead, up to where the writer fails.
func TestABodyIsWrittenAsItIsRead(t *testing.T) {
	for _, data := range []string{"", "{}", "\xff", strings.Repeat("\xff", 3<<10), strings.Repeat("\xff", 3<<10+1), strings.Repeat("\xff\x00", 10_000)} {
		for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
			e := *build(t, mode, observation())
			e.data = []byte(data)
			message := e.Message(1)
			want, err := io.ReadAll(message.Body())
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if n, err := message.WriteTo(&got); err != nil || n != message.Length || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s, %d bytes of data: %d bytes are written, %v, and %d are read", mode, len(data), n, err, len(want))
			}
			for most := range min(len(want), 10) {
				writer := failingWriter(most)
				if n, err := message.WriteTo(&writer); err == nil || n != int64(most) {
					t.Errorf("%s: %d bytes of %d are written, %v", mode, n, most, err)
				}
			}
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("application/json", "gzip", "/p", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1", "id", `{"a":1}`, true)
	f.Add("application/grpc", "", "", "", "", "", "\x00\x00\x00\x00\x01x", false)
	f.Add("application/cloudevents+json", "\xff", "/%zz", "x", "\x00", "\n", "\xff", true)
	f.Fuzz(func(t *testing.T, contentType, coding, path, traceParent, traceState, requestID, data string, complete bool) {
		exchange := &Exchange{
			CorrelationID: "c", ClientRequestID: requestID, Path: path,
			TraceParent: []string{traceParent}, TraceState: []string{traceState}, Received: received,
		}
		o := &Observation{
			Exchange: exchange, Side: Response, Complete: complete, Status: 200, GRPCStatus: 0, At: received,
			Coding: Coding{ContentType: contentType, ContentEncoding: coding, GRPCEncoding: coding}, Body: whole(data),
		}
		for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeAuto, agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
			receive(t, build(t, mode, o))
		}
		InBody(o.Body, Identity{InferenceService: "m"})
	})
}
