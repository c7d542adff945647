/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// prediction is an exchange that succeeds.
func prediction() exchange {
	return exchange{request: jsonBody(instances), response: jsonBody(predictions)}
}

// to is an exchange of the same with another path.
func (x exchange) to(path string) exchange {
	x.path = path
	return x
}

// having is an exchange with further headers of the client.
func (x exchange) having(header ...string) exchange {
	x.header = make(http.Header)
	for i := 0; i < len(header); i += 2 {
		x.header.Set(header[i], header[i+1])
	}
	return x
}

// typeSteps are the beginning of the contract and its section "Types".
func typeSteps() []Step {
	return []Step{
		{
			Name: "one prediction gives two events", Logger: Everything,
			Statements: statements(
				"The agent sends CloudEvents 1.0 over HTTP, in binary or structured mode, never in batches.",
				"One prediction gives two events.",
				"The response event has the id `…-response`, the same `correlationid`, and also `\"durationms\":9`, `\"statuscode\":200` and `\"data\":{\"predictions\":[0.8,0.2]}`.",
				"Each type begins with `io.kubeflow.serving.inference.`; this page leaves that prefix out.",
			),
			Run: func(s *Stage) {
				events := s.events(prediction(), "request", "response")
				request, response := events["request"], events["response"]
				correlation := request.Attribute("correlationid")
				s.expect("specversion", request.SpecVersion(), "1.0")
				s.expect("the request's type", request.Type(), "io.kubeflow.serving.inference.request")
				s.expect("the request's id", request.ID(), correlation+"-request")
				s.expect("the response's id", response.ID(), correlation+"-response")
				s.expect("the response's correlationid", response.Attribute("correlationid"), correlation)
				s.expect("statuscode", response.Attribute("statuscode"), "200")
				s.expect("the request's data", string(request.Data()), s.AsReceived(instances))
				s.expect("the response's data", string(response.Data()), predictions)
				if correlation == "" || response.Attribute("durationms") == "" {
					s.Errorf("correlationid or durationms is absent: %v", response)
				}
				for name, want := range s.Identity() {
					s.expect(name, attributeOf(request, name), want)
				}
			},
		},
		{
			Name: "metadata arrive unchanged", Logger: Everything,
			Statements: statements(
				"A header can't carry characters outside printable ASCII, a space, `\"` or `%`.",
				"An event with such a value is sent in structured mode, so that a Trigger matches the original value.",
			),
			Run: func(s *Stage) {
				for kind, e := range s.events(prediction(), "request", "response") {
					for name, want := range s.Logger.Annotations {
						s.expect(name+" of the "+kind, e.Attribute(name), want)
					}
				}
			},
		},
		{
			Name: "the default selects complete exchanges", Logger: ByDefault,
			Statements: statements(
				"`logger.events` (the agent's `--events`) selects the types.",
				"By default these are the types of complete exchanges: `request`, `response`, `stream`, the `oversize` and `encoded` types, and `loop`.",
			),
			Run: func(s *Stage) {
				s.events(prediction(), "request", "response")
				failure := prediction()
				failure.status = http.StatusInternalServerError
				s.events(failure, "request")
				s.events(exchange{request: jsonBody(instances), response: coded("compress", "", "\x1f\x9d")}, "request", "response.encoded")
				s.events(prediction().having("Ce-Type", "io.kubeflow.serving.inference.request"), "loop")
			},
		},
		{
			Name: "a body over the bound gives its size and hash", Logger: Everything,
			Statements: statements(
				"So even a prediction that is too large gives an event with its size and hash.",
			),
			Run: func(s *Stage) {
				x := prediction()
				x.request = oversized()
				e := s.events(x, "request.oversize", "response")["request.oversize"]
				sum := sha256.Sum256([]byte(x.request.wire))
				s.expect("bodysize", e.Attribute("bodysize"), "4097")
				s.expect("bodysha256", e.Attribute("bodysha256"), hex.EncodeToString(sum[:]))
			},
		},
		{
			Name: "mode request selects one side", Logger: Requests,
			Statements: statements(
				"`mode: request` or `mode: response` selects one side.",
				"`tunnel`, [`loop`](#loops) and [`ledger`](#ledger-events) are sent in every mode.",
				"Mode `request` sends the left half, mode `response` the right half, and `all` both.",
				"`tunnel` and `loop` are sent in every mode.",
			),
			Run: func(s *Stage) {
				s.events(prediction(), "request")
				s.events(prediction().having("Ce-Type", "io.kubeflow.serving.inference.request"), "loop")
				s.events(exchange{replacement: converse}, "tunnel")
			},
		},
		{
			Name: "mode response selects the other", Logger: Responses,
			Statements: statements(
				"`mode: request` or `mode: response` selects one side.",
				"Mode `request` sends the left half, mode `response` the right half, and `all` both.",
				"`tunnel` and `loop` are sent in every mode.",
			),
			Run: func(s *Stage) {
				s.events(prediction(), "response")
				s.events(prediction().having("Ce-Type", "io.kubeflow.serving.inference.request"), "loop")
				s.events(exchange{replacement: converse}, "tunnel")
			},
		},
		{
			Name: "codings are removed, two at most", Logger: Everything,
			Statements: statements(
				"Bodies in gzip, deflate, br and zstd arrive decoded.",
				"The agent removes at most two codings of a body, within these bounds:",
				"The decoded body has at most `maxPayloadBytes`.",
			),
			Run: func(s *Stage) {
				const plain = `{"instances":[[1,2]]}`
				for name, code := range map[string]func(string) string{"gzip": inGzip, "deflate": inDeflate, "br": inBrotli, "zstd": inZstd} {
					x := prediction()
					x.request = coded(name, plain, code(plain))
					s.expect(name, string(s.events(x, "request", "response")["request"].Data()), plain)
					x.request = coded(name, "", code(strings.Repeat("0", payloadCap+1)))
					s.events(x, "request.encoded", "response")
				}
				x := prediction()
				x.request = coded("gzip, br", plain, inBrotli(inGzip(plain)))
				s.expect("two codings", string(s.events(x, "request", "response")["request"].Data()), plain)
				x.request = coded("gzip, br, gzip", plain, inGzip(inBrotli(inGzip(plain))))
				s.expect("three codings", s.events(x, "request.encoded", "response")["request.encoded"].Attribute("contentencoding"), "gzip,br,gzip")
			},
		},
		{
			Name: "words that mean no coding", Logger: Everything,
			Statements: statements(
				"The Content-Encoding values `identity`, `none`, `utf-8`, `utf8` and `binary`, and an empty value, mean no coding.",
			),
			Run: func(s *Stage) {
				for _, word := range []string{"identity", "none", "utf-8", "utf8", "binary"} {
					x := prediction()
					x.request = withCoding(word, x.request)
					s.expect(word, string(s.events(x, "request", "response")["request"].Data()), s.AsReceived(instances))
				}
			},
		},
		{
			Name: "gRPC in JSON", Logger: Calls,
			Statements: statements(
				"A gRPC body of one message arrives as that message, decompressed, as `application/protobuf` (`application/json` for `application/grpc+json`).",
				"On the wire a unary call looks like a stream of one message; both are a `request` and a `response`.",
			),
			Run: func(s *Stage) {
				in, out := messages(`{"in":1}`).whole(), messages(`{"out":1}`).whole()
				in.contentType, out.contentType = "application/grpc+json", "application/grpc+json"
				for kind, e := range s.events(asCall(exchange{request: in, response: out, trailer: "Grpc-Status=0"}), "request", "response") {
					s.expect("datacontenttype of the "+kind, e.DataContentType(), "application/json")
				}
			},
		},
		{
			Name: "a WebSocket gives one event", Logger: Everything,
			Statements: statements(
				"The agent passes a WebSocket through, and sends only the event `tunnel`.",
				"A request to upgrade to a WebSocket is never a probe.",
			),
			Run: func(s *Stage) {
				e := s.events(exchange{replacement: converse}, "tunnel")["tunnel"]
				if e.Attribute("bytesfromclient") == "" || e.Attribute("bytesfrommodel") == "" {
					s.Errorf("the event doesn't say how much flowed: %v", e)
				}
			},
		},
		{
			Name: "a WebSocket that the model refuses", Logger: Everything,
			Statements: statements(
				"If the model refuses the WebSocket, the exchange is handled like any other.",
			),
			Run: func(s *Stage) {
				s.events(scenes()["HTTP/1.1: WebSocket, refused by the model"].exchange, "request", "response.failure")
			},
		},
	}
}

// attributeOf is an extension or one of the attributes of the specification.
func attributeOf(e agenttest.Event, name string) string {
	if name == "source" {
		return e.Source()
	}
	return e.Attribute(name)
}
