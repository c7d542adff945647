/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

const (
	chatRequest  = `{"messages":[{"role":"user","content":"Hi"}],"model":"llama","stream":true}`
	chatResponse = `{"object":"chat.completion","model":"llama-8b","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":2}}`
	chatStream   = `data: {"object":"chat.completion.chunk","model":"llama-8b","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}

data: {"object":"chat.completion.chunk","model":"llama-8b","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}

data: {"object":"chat.completion.chunk","model":"llama-8b","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":2}}

data: [DONE]

`
	mergedStream = `{"object":"chat.completion","model":"llama-8b","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":2}}`
)

func ofChat(o *Observation) { o.Exchange.Path = "/openai/v1/chat/completions" }

func mayMerge(o *Observation) { o.MayMerge = true }

func ofStream(o *Observation) {
	ofChat(o)
	o.Coding.ContentType, o.Body = "text/event-stream; charset=utf-8", whole(chatStream)
	o.FirstByte = o.Exchange.Received.Add(40 * time.Millisecond)
}

// TestGenAIAttributes: an event has those that its body has, and only a complete body
// of a success is read.
func TestGenAIAttributes(t *testing.T) {
	const (
		ofResponse = "genaifinishreasons=stop genaiinputtokens=12 genaioperation=chat genaioutputtokens=2 genairesponsemodel=llama-8b"
		ofEvents   = "genaifinishreasons=stop genaifirstchunkms=40 genaiinputtokens=12 genaioperation=chat genaioutputtokens=2 genairesponsemodel=llama-8b"
	)
	long := strings.Repeat("m", 129)
	for name, test := range map[string]struct {
		of   *Observation
		want string
	}{
		"a request":                    {observation(ofRequest, ofChat, body(chatRequest)), "genaioperation=chat genairequestmodel=llama"},
		"a response":                   {observation(ofChat, body(chatResponse)), ofResponse},
		"a response in gzip":           {observation(ofChat, body(gzipped(chatResponse)), contentEncoding("gzip")), ofResponse},
		"a stream":                     {observation(ofStream), ofEvents},
		"a stream in gzip":             {observation(ofStream, body(gzipped(chatStream)), contentEncoding("gzip")), ofEvents},
		"a stream that is merged":      {observation(ofStream, mayMerge), ofEvents},
		"a completion":                 {observation(path("/v1/completions"), body(`{"model":"m"}`)), "genaioperation=text_completion genairesponsemodel=m"},
		"a message":                    {observation(path("/v1/messages"), body(`{"model":"c","usage":{"input_tokens":1,"cache_read_input_tokens":2}}`)), "genaicachedtokens=2 genaiinputtokens=3 genaioperation=chat genairesponsemodel=c"},
		"an error with the status 200": {observation(ofChat, body(`{"error":{}}`)), ""},
		"another path":                 {observation(body(chatResponse)), ""},
		"another type":                 {observation(ofChat, body(chatResponse), contentType("text/plain")), ""},
		"a failure":                    {observation(ofChat, body(chatResponse), status(500)), ""},
		"a response that broke off":    {observation(ofChat, body(chatResponse), brokenOff), ""},
		"a stream that broke off":      {observation(ofStream, brokenOff), ""},
		"a response over the cap":      {observation(ofChat, ofSize(maxBytes+1)), ""},
		"gzip that is none":            {observation(ofChat, body(chatResponse), contentEncoding("gzip")), ""},
		"a long model":                 {observation(ofChat, body(`{"model":"`+long+`"}`)), "genaioperation=chat replaced=genairesponsemodel"},
		"a model of 128 bytes":         {observation(ofChat, body(`{"model":"`+long[1:]+`"}`)), "genaioperation=chat genairesponsemodel=" + long[1:]},
		"a model with a control byte":  {observation(ofRequest, ofChat, body(`{"model":"a\u0000"}`)), "genaioperation=chat replaced=genairequestmodel"},
		"a model that is no UTF-8":     {observation(ofChat, body("{\"model\":\"\xff\"}")), "genaioperation=chat replaced=genairesponsemodel"},
		"the largest count":            {observation(ofChat, body(`{"usage":{"prompt_tokens":2147483647}}`)), "genaiinputtokens=2147483647 genaioperation=chat"},
		"a count beyond 32 bits":       {observation(ofChat, body(`{"usage":{"prompt_tokens":2147483648}}`)), "genaioperation=chat replaced=genaiinputtokens"},
	} {
		event, _ := receive(t, build(t, agentconfig.ContentModeStructured, test.of))
		var got []string
		for _, name := range slices.Sorted(maps.Keys(event.Extensions())) {
			if strings.HasPrefix(name, "genai") || name == "replaced" {
				got = append(got, fmt.Sprintf("%s=%v", name, event.Extensions()[name]))
			}
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, test.want)
		}
	}
}

// TestStreamsAreMergedWhereTheyCanBe: otherwise the event has the frames.
func TestStreamsAreMergedWhereTheyCanBe(t *testing.T) {
	unknown := strings.Replace(chatStream, "chat.completion.chunk", "poem", 1)
	for name, test := range map[string]struct {
		of                *Observation
		data, contentType string
	}{
		"frames":                  {observation(ofStream), chatStream, "text/event-stream; charset=utf-8"},
		"merged":                  {observation(ofStream, mayMerge), mergedStream, "application/json"},
		"merged, in gzip":         {observation(ofStream, mayMerge, body(gzipped(chatStream)), contentEncoding("gzip")), mergedStream, "application/json"},
		"an unknown stream":       {observation(ofStream, mayMerge, body(unknown)), unknown, "text/event-stream; charset=utf-8"},
		"a stream that broke off": {observation(ofStream, mayMerge, brokenOff), chatStream, "text/event-stream; charset=utf-8"},
		"another path":            {observation(ofStream, mayMerge, path("/stream")), chatStream, "text/event-stream; charset=utf-8"},
	} {
		built := build(t, agentconfig.ContentModeAuto, test.of)
		if string(built.Data()) != test.data || built.contentType != test.contentType {
			t.Errorf("%s: %s %s", name, built.contentType, built.Data())
		}
		if want := Classify(test.of, maxBytes); built.Kind != want {
			t.Errorf("%s: the kind is %s, and not %s", name, built.Kind, want)
		}
	}
}

// TestMergingBytes: only the stream of a language model has any, if it is to be
// merged.
func TestMergingBytes(t *testing.T) {
	merging := &Builder{Streams: agentconfig.StreamMerged, MaxPayloadBytes: maxBytes}
	small, encoded := observation(ofStream), observation(ofStream, body(gzipped(chatStream)), contentEncoding("gzip"))
	ofSmall, ofEncoded := merging.MergingBytes(small, agentconfig.KindStream), merging.MergingBytes(encoded, agentconfig.KindStream)
	if ofSmall < int64(len(chatStream)) || ofEncoded <= ofSmall {
		t.Errorf("%d bytes, in gzip %d", ofSmall, ofEncoded)
	}
	for name, bytes := range map[string]int64{
		"frames":       (&Builder{Streams: agentconfig.StreamFrames}).MergingBytes(small, agentconfig.KindStream),
		"a failure":    merging.MergingBytes(small, agentconfig.KindResponseFailure),
		"another path": merging.MergingBytes(observation(ofStream, path("/m")), agentconfig.KindStream),
		"gRPC":         merging.MergingBytes(observation(ofStream, contentType("application/grpc")), agentconfig.KindStream),
	} {
		if bytes != 0 {
			t.Errorf("%s: %d bytes", name, bytes)
		}
	}
}
