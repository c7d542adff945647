/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/websocket"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

const (
	// nearOnly: the hops between a client and the agent have their own idea of how an exchange
	// that breaks off ends.
	nearOnly = "ingress and queue-proxy end an exchange that breaks off in their own way"
)

// rowSteps makes a step of each row of the table "What goes out when".
func rowSteps(contract string) ([]Step, error) {
	scenes := scenes()
	var steps []Step
	for _, row := range promises(contract) {
		name := row.protocol + ": " + row.outcome
		scene, found := scenes[name]
		if !found {
			return nil, fmt.Errorf("the table's row %q has no scene, or stands there twice", name)
		}
		delete(scenes, name)
		step := Step{Name: name, Statements: []string{row.protocol + " | " + row.outcome}, Logger: scene.logger, Beside: scene.beside}
		protocols := []string{scene.exchange.protocol}
		if row.protocol == "HTTP" {
			protocols = []string{"HTTP/1.1", "HTTP/2"}
		}
		step.Run = func(s *Stage) {
			for _, protocol := range protocols {
				if !s.Speaks(protocol) {
					continue
				}
				x := scene.exchange
				x.protocol = protocol
				row.check(s, x, scene.play)
			}
		}
		steps = append(steps, step)
	}
	for name := range scenes {
		return nil, fmt.Errorf("the table has no row %q", name)
	}
	return steps, nil
}

// check plays an exchange and compares its events with the row.
func (p promise) check(s *Stage, x exchange, play func(*Stage, exchange, http.Header)) {
	var kinds []string
	sides := map[string]promisedEvent{"request": p.request, "response": p.response}
	for side, promised := range sides {
		if promised.kind != "" && s.Logger.selects(side, promised.kind) {
			kinds = append(kinds, promised.kind)
		}
	}
	x.replacement = play
	events := s.events(x, kinds...)
	for side, promised := range sides {
		if e, found := events[promised.kind]; found {
			sent := x.request
			if side == "response" {
				sent = x.response
			}
			sent.check(s, promised, e)
		}
	}
}

// check compares an event of a side with what the table promises, and with what the
// side sent.
func (b body) check(s *Stage, promised promisedEvent, got agenttest.Event) {
	data, known := map[string]string{
		"the body":       b.plain,
		"the message":    b.plain,
		"as it was":      b.wire,
		"as framed":      b.wire,
		"its start":      b.wire[:min(len(b.wire), payloadCap)],
		"what there was": b.part,
		"none":           "",
	}[promised.data]
	if !known || promised.data != "none" && data == "" {
		s.Fatalf("%q of a %s says nothing", promised.data, promised.kind)
	}
	contentType := promised.contentType
	switch contentType {
	case "its own":
		contentType = b.contentType
	case "none":
		contentType = ""
	}
	s.expect("data of the "+promised.kind, string(got.Data()), s.AsReceived(data))
	s.expect("datacontenttype of the "+promised.kind, got.DataContentType(), contentType)
	s.expect("replaced in the "+promised.kind, got.Attribute("replaced"), "")
	for name, value := range b.attributes {
		s.expect(name+" of the "+promised.kind, got.Attribute(name), value)
	}
}

// scene is how a row is played.
type scene struct {
	exchange
	logger Logger
	beside string
	// play replaces exchange.play.
	play func(*Stage, exchange, http.Header)
}

// The words of which scenes are made.

func jsonBody(text string) body {
	return body{contentType: "application/json", wire: text, plain: text}
}

// coded is a body in a coding. Its type isn't JSON: an eventshub ends at JSON that is
// none.
func coded(coding, plain, wire string) body {
	return body{
		contentType: "text/plain", coding: coding, wire: wire, plain: plain,
		attributes: map[string]string{"contentencoding": coding},
	}
}

// withCoding is a body with a Content-Encoding that means nothing.
func withCoding(coding string, of body) body {
	of.coding = coding
	return of
}

func compressed(text string, open func(io.Writer) io.WriteCloser) string {
	var buffer bytes.Buffer
	w := open(&buffer)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return buffer.String()
}

func inGzip(text string) string {
	return compressed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func inDeflate(text string) string {
	return compressed(text, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func inBrotli(text string) string {
	return compressed(text, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
}

func inZstd(text string) string {
	return compressed(text, func(w io.Writer) io.WriteCloser {
		// Without options it gives no error.
		writer, _ := zstd.NewWriter(w)
		return writer
	})
}

// flushedGzip is what a server has sent that has not ended its response.
func flushedGzip(text string) string {
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	return buffer.String()
}

// oversized is a body that goes out as its size.
func oversized() body {
	b := jsonBody(strings.Repeat("x", payloadCap+1))
	b.contentType = "text/plain"
	b.attributes = map[string]string{"bodysize": strconv.Itoa(payloadCap + 1)}
	return b
}

// begun is a body of which only the beginning flows.
func begun(contentType, part string) body {
	return body{contentType: contentType, part: part, attributes: map[string]string{"statuscode": "200"}}
}

var noResponse = body{attributes: map[string]string{"statuscode": ""}}

// framed frames a gRPC message.
func framed(flag byte, message string) string {
	n := len(message)
	return string([]byte{flag, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + message
}

// messages is a gRPC side whose messages are framed one by one.
func messages(all ...string) body {
	b := body{contentType: "application/grpc"}
	for _, message := range all {
		b.plain = message
		b.wire += framed(0, message)
	}
	b.part = b.wire
	return b
}

func (b body) with(attributes map[string]string) body {
	b.attributes = maps.Clone(attributes)
	return b
}

// whole is a side that isn't broken off.
func (b body) whole() body {
	b.part = ""
	return b
}

// scenes are the rows of the table by protocol and outcome.
func scenes() map[string]scene {
	request, response := jsonBody(`{"instances":[[1,2]]}`), jsonBody(predictions)
	response.attributes = map[string]string{"statuscode": "200", "grpcstatus": ""}
	zeros := strings.Repeat("0", 1<<20)
	tensors := body{
		contentType: "application/octet-stream", wire: `{"inputs":[]}` + "\x00\x01\xff", plain: `{"inputs":[]}` + "\x00\x01\xff",
		header: http.Header{"Inference-Header-Content-Length": {"13"}}, attributes: map[string]string{"inferenceheaderlen": "13"},
	}
	stream := func(text string) body {
		return body{contentType: "text/event-stream", wire: text, plain: text, attributes: response.attributes}
	}
	inCoding := func(coding string, code func(string) string) exchange {
		return exchange{request: coded(coding, request.plain, code(request.plain)), response: coded(coding, response.plain, code(response.plain))}
	}
	all := make(map[string]scene)
	for name, x := range map[string]exchange{
		"success":                               {request: request, response: response},
		"success, both bodies empty":            {request: jsonBody(""), response: jsonBody("")},
		"success, no bodies":                    {status: http.StatusNoContent},
		"another status than 2xx":               {request: request, response: jsonBody(`{"error":"no"}`), status: http.StatusUnprocessableEntity},
		"gzip":                                  inCoding("gzip", inGzip),
		"deflate":                               inCoding("deflate", inDeflate),
		"br":                                    inCoding("br", inBrotli),
		"zstd":                                  inCoding("zstd", inZstd),
		"gzip, another status than 2xx":         {request: coded("gzip", request.plain, inGzip(request.plain)), response: coded("gzip", "no", inGzip("no")), status: http.StatusNotFound},
		"gzip that grows beyond its caps":       {request: coded("gzip", "", inGzip(zeros)), response: coded("gzip", "", inGzip(zeros))},
		"gzip that is none":                     {request: coded("gzip", "", "plain"), response: coded("gzip", "", "plain")},
		"zstd that is none":                     {request: coded("zstd", "", "\x28\xb5 opaque"), response: coded("br", "", "opaque")},
		"another coding":                        {request: coded("compress", "", "\x1f\x9d"), response: coded("lzma", "", "\x0b\x02")},
		"a coding that is none":                 {request: withCoding("utf-8", request), response: withCoding("none", response)},
		"V2 with binary tensors":                {request: tensors, response: tensors},
		"over the cap":                          {request: oversized(), response: oversized()},
		"over the cap, another status than 2xx": {request: oversized(), response: oversized(), status: http.StatusInternalServerError},
		"server-sent events":                    {request: request, response: stream("data: 0\n\ndata: 1\n\n")},
		"a health probe":                        {method: http.MethodGet, path: "/v2/health/ready"},
		"an event of these types": {
			header: http.Header{"Ce-Type": {"io.kubeflow.serving.inference.request"}},
			request: body{wire: request.wire, attributes: map[string]string{
				"loopreason": "header", "statuscode": "200", "bodysize": strconv.Itoa(len(request.wire)),
			}},
			response: response,
		},
		"an event of the type loop": {request: request, response: response, header: http.Header{"Ce-Type": {"io.kubeflow.serving.inference.loop"}}},
	} {
		all["HTTP: "+name] = scene{exchange: x, logger: Everything}
	}
	for name, x := range map[string]exchange{
		"server-sent events, aborted by the model":                   {request: request, response: begun("text/event-stream", "data: 0\n\n"), ends: modelBreaksOff},
		"server-sent events, the client leaves at their end":         {request: request, response: stream("data: {}\n\ndata: [DONE]\n\n"), ends: clientLeavesAtEnd},
		"server-sent events, the client leaves before their end":     {request: request, response: begun("text/event-stream", "data: 0\n\ndata: [DO"), ends: clientLeaves},
		"server-sent events in gzip, the client leaves at their end": {request: request, response: flushedStream(), ends: clientLeavesAtEnd},
		"JSON, the client leaves at its end":                         {request: request, response: response, ends: clientLeavesAtEnd},
		"the model aborts before its response":                       {request: request, response: noResponse, ends: modelBreaksOff},
		"the model aborts its response":                              {request: request, response: begun("application/json", `{"pred`), ends: modelBreaksOff},
		"the client aborts before the response":                      {request: request, response: noResponse, ends: clientLeaves},
		"the client aborts the response":                             {request: request, response: begun("application/json", `{"pred`), ends: clientLeaves},
		"the client aborts its request":                              {request: body{contentType: "application/json", part: `{"inst`}, response: noResponse, ends: clientBreaksOff},
		"the model aborts the request":                               {request: body{contentType: "application/json", part: `{"inst`}, response: noResponse, ends: modelBreaksRequestOff},
		"the model responds before the end of the request": {
			request: body{contentType: "application/json", part: `{"inst`}, response: jsonBody(`{"error":"too large"}`),
			status: http.StatusRequestEntityTooLarge, ends: modelRespondsEarly,
		},
	} {
		all["HTTP: "+name] = scene{exchange: x, logger: Everything, beside: nearOnly}
	}
	all["HTTP: the model isn't there"] = scene{
		exchange: exchange{request: request, response: body{attributes: map[string]string{"statuscode": "502"}}, status: http.StatusBadGateway, badGateway: true},
		logger:   Unreachable, beside: "a model that doesn't listen never becomes ready",
	}
	all["HTTP/1.1: WebSocket"] = scene{
		exchange: exchange{request: body{attributes: map[string]string{"statuscode": "101"}}}, logger: Everything, play: converse,
	}
	all["HTTP/1.1: WebSocket, refused by the model"] = scene{
		exchange: exchange{response: jsonBody(`{"error":"no"}`), status: http.StatusUpgradeRequired, method: http.MethodGet,
			header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
		logger: Everything,
	}
	addCalls(all)
	return all
}

// flushedStream is an event stream in gzip that has its last event, and no end.
func flushedStream() body {
	const text = "event: message_stop\ndata: {}\n\n"
	return body{
		contentType: "text/event-stream", coding: "gzip", wire: flushedGzip(text), plain: text,
		attributes: map[string]string{"contentencoding": "gzip"},
	}
}

// converse has the model give a message back through a WebSocket.
func converse(s *Stage, _ exchange, header http.Header) { converseFor(s, header, 0) }

// converseFor is the same, and closes the WebSocket after a pause.
func converseFor(s *Stage, header http.Header, pause time.Duration) {
	config, err := websocket.NewConfig("ws://"+s.host()+"/echo", s.URL())
	if err != nil {
		s.Fatalf("%v", err)
	}
	config.Header = header
	dialled, err := s.Dial(s.Ctx)
	if err != nil {
		s.Fatalf("%v", err)
	}
	defer dialled.Close()
	connection, err := websocket.NewClient(config, dialled)
	if err != nil {
		s.Fatalf("the client got %v", err)
	}
	const message = "hello"
	var echoed string
	if err := websocket.Message.Send(connection, message); err != nil {
		s.Fatalf("%v", err)
	}
	if err := websocket.Message.Receive(connection, &echoed); err != nil || echoed != message {
		s.Errorf("through the tunnel: %q, %v", echoed, err)
	}
	time.Sleep(pause)
	_ = connection.Close()
}

// addCalls adds the rows of gRPC.
func addCalls(all map[string]scene) {
	const in, out = "\x0a\x02in", "\x0a\x03out"
	ok := map[string]string{"statuscode": "200", "grpcstatus": "0"}
	failed := func(status string) map[string]string {
		return map[string]string{"statuscode": "200", "grpcstatus": status}
	}
	large := strings.Repeat("x", payloadCap+1)
	codedMessages := func(coding string, flag byte, count int, plain, wire string) body {
		b := body{contentType: "application/grpc", plain: plain, wire: strings.Repeat(framed(flag, wire), count), header: http.Header{"Grpc-Encoding": {coding}}}
		if coding == "gzip" {
			b.attributes = map[string]string{"contentencoding": "gzip"}
		}
		return b
	}
	for name, x := range map[string]exchange{
		"unary":                   {request: messages(in).whole(), response: messages(out).whole().with(ok), trailer: "Grpc-Status=0"},
		"unary, empty messages":   {request: messages("").whole(), response: messages("").whole(), trailer: "Grpc-Status=0"},
		"unary, messages in gzip": {request: codedMessages("gzip", 1, 1, in, inGzip(in)), response: codedMessages("gzip", 1, 1, out, inGzip(out)), trailer: "Grpc-Status=0"},
		"unary, messages in another coding": {
			request: codedMessages("other", 1, 1, "", "other:in"), response: codedMessages("other", 1, 1, "", "other:out"), trailer: "Grpc-Status=0",
		},
		"unary, over the cap":           {request: messages(large).whole(), response: messages(large).whole(), trailer: "Grpc-Status=0"},
		"unary, an error":               {request: messages(in).whole(), response: messages().with(failed("5")), trailer: "Grpc-Status=5"},
		"server streaming":              {request: messages(in).whole(), response: messages(out, out, out).whole().with(ok), trailer: "Grpc-Status=0"},
		"server streaming, no messages": {request: messages(in).whole(), response: messages().with(ok), trailer: "Grpc-Status=0"},
		"server streaming, an error after one message": {
			request: messages(in).whole(), response: messages(out).whole().with(failed("10")), trailer: "Grpc-Status=10",
		},
		"server streaming, an error after several": {
			request: messages(in).whole(), response: messages(out, out).whole().with(failed("10")), trailer: "Grpc-Status=10",
		},
		"client streaming":                   {request: messages(in, in).whole(), response: messages(out).whole().with(ok), trailer: "Grpc-Status=0"},
		"client streaming, messages in gzip": {request: codedMessages("gzip", 1, 2, "", inGzip(in)), response: messages(out).whole(), trailer: "Grpc-Status=0"},
		"bidirectional streaming":            {request: messages(in, in).whole(), response: messages(out, out).whole().with(ok), trailer: "Grpc-Status=0"},
		"a health check":                     {path: "/grpc.health.v1.Health/Check", request: messages("").whole(), response: messages("\x08\x01").whole(), trailer: "Grpc-Status=0"},
	} {
		all["gRPC: "+name] = scene{exchange: asCall(x), logger: Calls}
	}
	for name, x := range map[string]exchange{
		"unary, aborted by the client":                   {request: messages(in).whole(), response: noResponse, ends: clientLeaves},
		"unary, aborted by the model":                    {request: messages(in).whole(), response: noResponse, ends: modelBreaksOff},
		"server streaming, aborted by the model":         {request: messages(in).whole(), response: messages(out), ends: modelBreaksOff},
		"bidirectional streaming, aborted by the client": {request: messages(in), response: messages(out), ends: bothPause},
	} {
		all["gRPC: "+name] = scene{exchange: asCall(x), logger: Calls, beside: nearOnly}
	}
}

// asCall completes an exchange of gRPC.
func asCall(x exchange) exchange {
	x.protocol = "HTTP/2"
	x.header = http.Header{"Te": {"trailers"}}
	if x.path == "" {
		x.path = "/conformance.Model/Call"
	}
	return x
}
