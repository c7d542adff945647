/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"compress/gzip"
	"io"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TestABodyShowsItsEnd, and one that was cut off doesn't, however it is cut into
// pieces on its way.
func TestABodyShowsItsEnd(t *testing.T) {
	const sse, openAI = "text/event-stream; charset=utf-8", "data: {\"choices\":[]}\n\n"
	const anthropic = "event: content_block_stop\ndata: {}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	for _, test := range []struct {
		name, contentType, body string
		ended, mayBeWhole       bool
	}{
		{"[DONE]", sse, openAI + "data: [DONE]\n\n", true, false},
		{"[DONE] with CRLF", sse, "data: {}\r\n\r\ndata: [DONE]\r\n\r\n", true, false},
		{"[DONE] without a space", sse, openAI + "data:[DONE]\n\n", true, false},
		{"[DONE] without an end of its line", sse, openAI + "data: [DONE]", true, false},
		{"[DONE] before its blank line", sse, openAI + "data: [DONE]\n", true, false},
		{"[DONE] and a comment", sse, openAI + "data: [DONE]\n\n: ping\n\n", true, false},
		{"[DONE] with a name", sse, "event: done\ndata: [DONE]\n\n", true, false},
		{"half of [DONE]", sse, openAI + "data: [DON", false, false},
		{"[DONE] within an event", sse, "data: {\"text\":\"data: [DONE]\"}\n\n", false, true},
		{"[DONE] and another event", sse, "data: [DONE]\n\n" + openAI, false, true},
		{"[DONE] and the start of another event", sse, "data: [DONE]\n\ndata: {", false, false},
		{"message_stop", sse, anthropic, true, false},
		{"message_stop before its blank line", sse, anthropic[:len(anthropic)-1], false, false},
		{"message_stop without its data", sse, "event: message_stop\n", false, false},
		{"response.completed", sse, "event: response.completed\ndata: {\"response\":{\"text\":\"a long one\"}}\n\n", true, false},
		{"events without an end of their own", sse, openAI + openAI, false, true},
		{"half an event", sse, openAI + "data: {\"choi", false, false},
		{"an event without its blank line", sse, openAI + "data: {}\n", false, false},
		{"nothing", sse, "", false, true},
		{"an object", "application/json", `{"a":[1,2]}`, true, true},
		{"an object of another JSON type", "application/vnd.model+json", ` {"a":1} `, true, true},
		{"an array", "text/json", "\n[1]\n", true, true},
		{"half an object", "application/json", `{"a":[1,2]`, false, false},
		{"a number that may go on", "application/json", "12", false, false},
		{"two documents", "application/json", `{"a":1}{"a":2}`, false, false},
		{"no JSON", "text/plain", `{"a":1}`, false, true},
		{"lines of JSON", "application/x-ndjson", "{\"a\":1}\n", false, true},
		{"nothing of JSON", "application/json", "", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			coding := Coding{ContentType: test.contentType}
			for size := 1; size <= max(1, len(test.body)); size++ {
				stream := NewServerSent(coding)
				for at := 0; at < len(test.body); at += size {
					stream.Write([]byte(test.body[at:min(at+size, len(test.body))]))
				}
				if got := Ended(coding, whole(test.body), stream, maxBytes); got != test.ended {
					t.Fatalf("in pieces of %d bytes: ended: %v", size, got)
				}
				if got := MayBeWhole(coding, whole(test.body), stream); got != test.mayBeWhole {
					t.Fatalf("in pieces of %d bytes: may be whole: %v", size, got)
				}
			}
			// In gzip, of which the last block may not have come.
			coding.ContentEncoding = "gzip"
			wire := compressed(test.body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
			for _, body := range []string{string(wire), string(wire[:len(wire)-8])} {
				if got := Ended(coding, whole(body), NewServerSent(coding), maxBytes); got != test.ended {
					t.Errorf("of %d bytes of gzip %d: ended: %v", len(wire), len(body), got)
				}
			}
		})
	}
}

// TestMissingFiguresAreNotJudged: a body over the cap shows no document, while a
// stream was read as it flowed.
func TestMissingFiguresAreNotJudged(t *testing.T) {
	coding := Coding{ContentType: "application/json"}
	if Ended(coding, Body{Data: []byte("{}"), Size: 5}, NewServerSent(coding), maxBytes) {
		t.Error("half of a body is a document")
	}
	coding.ContentType = eventStream
	stream := NewServerSent(coding)
	stream.Write([]byte("data: [DONE]\n\n"))
	if !Ended(coding, Body{Size: 1 << 40}, stream, maxBytes) {
		t.Error("a long stream has no end")
	}
}

// TestACutCodingIsRead where the content shows its end, and not elsewhere.
func TestACutCodingIsRead(t *testing.T) {
	const text = "data: {}\n\ndata: [DONE]\n\n"
	wire := compressed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	cut := body(string(wire[:len(wire)-8]))
	o := observation(contentType(eventStream), contentEncoding("gzip"), cut, func(o *Observation) { o.ByContent = true })
	if e := build(t, agentconfig.ContentModeAuto, o); e.Kind != agentconfig.KindStream || string(e.Data()) != text {
		t.Errorf("a %s with %q", e.Kind, e.Data())
	}
	o.ByContent = false
	if e := build(t, agentconfig.ContentModeAuto, o); e.Kind != agentconfig.KindResponseEncoded {
		t.Errorf("a %s", e.Kind)
	}
}
