/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStreamsAreMerged: testdata has streams as servers send them, and the bodies
// that the same servers give without streaming.
func TestStreamsAreMerged(t *testing.T) {
	streams, err := filepath.Glob("testdata/*.sse")
	if err != nil || len(streams) == 0 {
		t.Fatal("no streams:", err)
	}
	for _, path := range streams {
		name := strings.TrimSuffix(filepath.Base(path), ".sse")
		t.Run(name, func(t *testing.T) {
			stream := read(t, path)
			api := apiOf(t, name)
			for ending, stream := range map[string][]byte{"LF": stream, "CRLF": bytes.ReplaceAll(stream, []byte("\n"), []byte("\r\n"))} {
				merged, ok := api.Merge(stream)
				if !ok {
					t.Fatalf("%s: not merged", ending)
				}
				want := read(t, strings.TrimSuffix(path, ".sse")+".json")
				if !reflect.DeepEqual(decoded(t, merged), decoded(t, want)) {
					t.Errorf("%s: merged:\n%s\nwant:\n%s", ending, merged, want)
				}
				if got, want := api.OfStream(stream), api.OfResponse(want); got != want {
					t.Errorf("%s: the stream says %+v, the body %+v", ending, got, want)
				}
			}
		})
	}
}

// TestOtherStreamsStayFrames, because their frames would lose something.
func TestOtherStreamsStayFrames(t *testing.T) {
	const (
		chunk = `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}`
		done  = "[DONE]"
		start = `{"type":"message_start","message":{"type":"message","content":[],"usage":{"input_tokens":1}}}`
		block = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
		tool  = `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`
		stop  = `{"type":"message_stop"}`
	)
	for _, good := range []struct {
		api  API
		data []string
	}{
		{Chat, []string{chunk, chunk, done}},
		{Messages, []string{start, block, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, stop}},
		{Messages, []string{start, tool, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}`, stop}},
		{Responses, []string{`{"type":"response.created"}`, `{"type":"response.completed","response":{"status":"completed"}}`}},
	} {
		if _, ok := good.api.Merge(streamOf(good.data...)); !ok {
			t.Errorf("not merged: %v", good.data)
		}
	}
	for name, test := range map[string]struct {
		api    API
		stream []byte
	}{
		"no stream":                    {Chat, nil},
		"another API":                  {None, streamOf(chunk, done)},
		"no [DONE]":                    {Chat, streamOf(chunk)},
		"two [DONE]":                   {Chat, streamOf(chunk, done, done)},
		"a frame after [DONE]":         {Chat, streamOf(chunk, done, chunk)},
		"no frame":                     {Chat, streamOf(done)},
		"no choice":                    {Chat, streamOf(`{"object":"chat.completion.chunk","choices":[]}`, done)},
		"a frame that is no JSON":      {Chat, streamOf(chunk, "oops", done)},
		"half a frame":                 {Chat, streamOf(chunk, chunk[:40], done)},
		"a frame that is no object":    {Chat, streamOf(chunk, "[1]", done)},
		"a frame of another object":    {Chat, streamOf(chunk, `{"object":"chat.completion","choices":[]}`, done)},
		"a frame without object":       {Chat, streamOf(chunk, `{"choices":[]}`, done)},
		"a text completion's frame":    {Completions, streamOf(chunk, done)},
		"an error frame":               {Chat, streamOf(chunk, `{"object":"chat.completion.chunk","error":{"message":"overloaded"}}`, done)},
		"another model":                {Chat, streamOf(chunk, strings.Replace(chunk, `"m"`, `"n"`, 1), done)},
		"content that is a list":       {Chat, streamOf(chunk, strings.Replace(chunk, `"a"`, `["a"]`, 1), done)},
		"an unknown piece twice":       {Chat, streamOf(strings.Replace(chunk, "content", "poem", 1), strings.Replace(chunk, "content", "poem", 1), done)},
		"an unknown member that moves": {Chat, streamOf(strings.Replace(chunk, `"delta"`, `"speed":1,"delta"`, 1), strings.Replace(chunk, `"delta"`, `"speed":2,"delta"`, 1), done)},
		"a member twice":               {Chat, streamOf(strings.Replace(chunk, `"content":"a"`, `"content":"a","content":"b"`, 1), done)},
		"a name with an escape":        {Chat, streamOf(strings.Replace(chunk, `"content"`, `"cont\u0065nt"`, 1), done)},
		"no index":                     {Chat, streamOf(strings.Replace(chunk, `"index":0,`, ``, 1), done)},
		"a large index":                {Chat, streamOf(strings.Replace(chunk, `"index":0`, `"index":1000`, 1), done)},
		"a negative index":             {Chat, streamOf(strings.Replace(chunk, `"index":0`, `"index":-1`, 1), done)},
		"two finish reasons": {Chat, streamOf(strings.Replace(chunk, `"delta"`, `"finish_reason":"stop","delta"`, 1),
			strings.Replace(chunk, `"delta"`, `"finish_reason":"length","delta"`, 1), done)},
		"no UTF-8":                         {Chat, streamOf(strings.Replace(chunk, `"a"`, "\"\xff\"", 1), done)},
		"data of two lines":                {Chat, []byte("data: " + chunk + "\ndata: " + chunk + "\n\ndata: [DONE]\n\n")},
		"an unknown field":                 {Chat, []byte("dato: x\ndata: " + chunk + "\n\ndata: [DONE]\n\n")},
		"a longer body than its frames":    {Chat, []byte(`data:{"object":"","choices":[{"index":0,"delta":{}},{"index":1,"delta":{}},{"index":2,"delta":{}}]}` + "\n\ndata:[DONE]\n\n")},
		"a message without an end":         {Messages, streamOf(start, block)},
		"a message without a start":        {Messages, streamOf(block, stop)},
		"two starts":                       {Messages, streamOf(start, start, stop)},
		"a message with content":           {Messages, streamOf(strings.Replace(start, "[]", `[{"type":"text","text":"a"}]`, 1), stop)},
		"an unknown event":                 {Messages, streamOf(start, `{"type":"poem"}`, stop)},
		"an event with an unknown member":  {Messages, streamOf(start, `{"type":"ping","poem":"a"}`, stop)},
		"an error event":                   {Messages, streamOf(start, `{"type":"error","error":{"type":"overloaded_error"}}`, stop)},
		"[DONE] in a message":              {Messages, streamOf(start, done, stop)},
		"an event after the message's end": {Messages, streamOf(start, stop, block)},
		"a block that isn't next":          {Messages, streamOf(start, tool, tool, stop)},
		"a delta of no block":              {Messages, streamOf(start, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, stop)},
		"a delta of a stopped block":       {Messages, streamOf(start, block, `{"type":"content_block_stop","index":0}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, stop)},
		"an unknown delta":                 {Messages, streamOf(start, block, `{"type":"content_block_delta","index":0,"delta":{"type":"poem_delta","text":"a"}}`, stop)},
		"a delta with an unknown member":   {Messages, streamOf(start, block, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a","poem":"b"}}`, stop)},
		"half an input":                    {Messages, streamOf(start, tool, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}`, stop)},
		"half a character in an input":     {Messages, streamOf(start, tool, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"\ud83d\""}}`, stop)},
		"a response without an end":        {Responses, streamOf(`{"type":"response.created"}`)},
		"a response that is none":          {Responses, streamOf(`{"type":"response.completed","response":1}`)},
		"a response with an error":         {Responses, streamOf(`{"type":"error","message":"m"}`, `{"type":"response.completed","response":{}}`)},
		"an event after the response":      {Responses, streamOf(`{"type":"response.completed","response":{}}`, `{"type":"response.output_text.delta"}`)},
	} {
		if merged, ok := test.api.Merge(test.stream); ok || merged != nil {
			t.Errorf("%s is merged: %s", name, merged)
		}
	}
}

// TestManyMembersAreNotMerged, in one object or in all.
func TestManyMembersAreNotMerged(t *testing.T) {
	choice := func(index, members int) string {
		var choice strings.Builder
		fmt.Fprintf(&choice, `{"index":%d`, index)
		for n := range members {
			fmt.Fprintf(&choice, `,"member%d":1`, n)
		}
		return choice.String() + "}"
	}
	merged := func(choices ...string) bool {
		_, ok := Chat.Merge(streamOf(`{"object":"chat.completion.chunk","choices":[`+strings.Join(choices, ",")+`]}`, "[DONE]"))
		return ok
	}
	if !merged(choice(0, maxObjectFields-1)) || merged(choice(0, maxObjectFields)) {
		t.Error("the members of an object are not bounded")
	}
	var choices []string
	for n := range maxFields / maxObjectFields {
		choices = append(choices, choice(n, maxObjectFields-1))
	}
	if !merged(choices[1:]...) || merged(choices...) {
		t.Error("the members of all objects are not bounded")
	}
}

// TestMergingIsTheInverseOfSplitting: complete responses that are split into frames in
// some way are merged to the same responses.
func TestMergingIsTheInverseOfSplitting(t *testing.T) {
	for seed := range uint64(500) {
		split := splitter{rand.New(rand.NewPCG(seed, 1))}
		for _, api := range []API{Chat, Completions, Responses, Messages} {
			var body any
			var stream []byte
			switch api {
			case Chat, Completions:
				body, stream = split.completion(api == Chat)
			case Responses:
				body, stream = split.response()
			case Messages:
				body, stream = split.message()
			}
			want := encoded(body)
			merged, ok := api.Merge(stream)
			if !ok {
				t.Fatalf("seed %d: not merged:\n%s", seed, stream)
			}
			if !reflect.DeepEqual(decoded(t, merged), decoded(t, want)) {
				t.Fatalf("seed %d: merged:\n%s\nwant:\n%s\nof:\n%s", seed, merged, want, stream)
			}
			if got, want := api.OfStream(stream), api.OfResponse(want); got != want {
				t.Fatalf("seed %d: the stream says %+v, the body %+v", seed, got, want)
			}
		}
	}
}

type jsonObject = map[string]any

// splitter makes responses, and the frames that a server would have sent for them.
type splitter struct{ *rand.Rand }

func (s splitter) text() string {
	var text strings.Builder
	for range s.IntN(30) {
		text.WriteString([]string{"a", " the", `"`, `\`, "\n", "東京", "\U0001F600", "data: [DONE]\n\n", "{", "}", "]", "\x00", "é"}[s.IntN(13)])
	}
	return text.String()
}

// pieces splits a text, at least into one.
func (s splitter) pieces(text string) []string {
	pieces := []string{""}
	for _, r := range text {
		if s.IntN(3) == 0 {
			pieces = append(pieces, "")
		}
		pieces[len(pieces)-1] += string(r)
	}
	return pieces
}

func (s splitter) completion(chat bool) (body any, stream []byte) {
	header := func(of string) jsonObject {
		return jsonObject{"id": "c-1", "object": of, "created": 1700000000, "model": "my-model", "system_fingerprint": nil}
	}
	whole, ofFrame := "text_completion", "text_completion"
	if chat {
		whole, ofFrame = "chat.completion", "chat.completion.chunk"
	}
	// Frames of several choices come in any order, those of one choice don't.
	queues := make([][]jsonObject, 1+s.IntN(3))
	var choices []any
	for index := range queues {
		var choice jsonObject
		if chat {
			choice, queues[index] = s.chatChoice(index)
		} else {
			choice, queues[index] = s.textChoice(index)
		}
		choices = append(choices, choice)
	}
	var frames []string
	for len(queues) > 0 {
		at := s.IntN(len(queues))
		frame := header(ofFrame)
		frame["choices"] = []any{queues[at][0]}
		if s.IntN(2) == 0 {
			frame["usage"] = nil
		}
		frames = append(frames, string(encoded(frame)))
		if queues[at] = queues[at][1:]; len(queues[at]) == 0 {
			queues = append(queues[:at], queues[at+1:]...)
		}
	}
	response := header(whole)
	response["choices"] = choices
	response["usage"] = jsonObject{"prompt_tokens": s.IntN(100), "completion_tokens": s.IntN(100), "prompt_tokens_details": jsonObject{"cached_tokens": s.IntN(9)}}
	last := header(ofFrame)
	last["choices"], last["usage"] = []any{}, response["usage"]
	return response, streamOf(append(frames, string(encoded(last)), "[DONE]")...)
}

func (s splitter) chatChoice(index int) (choice jsonObject, deltas []jsonObject) {
	delta := func(delta jsonObject) {
		deltas = append(deltas, jsonObject{"index": index, "delta": delta, "finish_reason": nil})
	}
	message := jsonObject{"role": "assistant", "content": nil}
	delta(jsonObject{"role": "assistant", "content": nil})
	for _, name := range []string{"reasoning_content", "refusal", "content"} {
		if s.IntN(2) == 0 {
			continue
		}
		text := s.text()
		message[name] = text
		for _, piece := range s.pieces(text) {
			delta(jsonObject{name: piece})
		}
	}
	if calls := s.IntN(3); calls > 0 {
		var toolCalls []any
		for call := range calls {
			arguments := s.text()
			toolCalls = append(toolCalls, jsonObject{"id": fmt.Sprint("call", call), "type": "function", "function": jsonObject{"name": "f", "arguments": arguments}})
			delta(jsonObject{"tool_calls": []any{jsonObject{"index": call, "id": fmt.Sprint("call", call), "type": "function", "function": jsonObject{"name": "f", "arguments": ""}}}})
			for _, piece := range s.pieces(arguments) {
				delta(jsonObject{"tool_calls": []any{jsonObject{"index": call, "function": jsonObject{"arguments": piece}}}})
			}
		}
		message["tool_calls"] = toolCalls
	}
	choice = jsonObject{"index": index, "message": message, "finish_reason": "stop"}
	if s.IntN(2) == 0 {
		var tokens []any
		for i := range deltas {
			token := jsonObject{"token": s.text(), "logprob": -0.5, "top_logprobs": []any{}}
			tokens = append(tokens, token)
			deltas[i]["logprobs"] = jsonObject{"content": []any{token}}
		}
		choice["logprobs"] = jsonObject{"content": tokens}
	}
	return choice, append(deltas, jsonObject{"index": index, "delta": jsonObject{}, "finish_reason": "stop"})
}

func (s splitter) textChoice(index int) (choice jsonObject, frames []jsonObject) {
	text := s.text()
	var tokens []any
	for _, piece := range s.pieces(text) {
		tokens = append(tokens, piece)
		frames = append(frames, jsonObject{"index": index, "text": piece, "finish_reason": nil, "logprobs": jsonObject{"tokens": []any{piece}, "top_logprobs": nil}})
	}
	frames = append(frames, jsonObject{"index": index, "text": "", "finish_reason": "length"})
	return jsonObject{"index": index, "text": text, "finish_reason": "length", "logprobs": jsonObject{"tokens": tokens, "top_logprobs": nil}}, frames
}

func (s splitter) response() (body any, stream []byte) {
	text := s.text()
	response := jsonObject{
		"id": "r", "object": "response", "model": "m", "status": "completed", "incomplete_details": nil,
		"output": []any{jsonObject{"type": "message", "content": []any{jsonObject{"type": "output_text", "text": text}}}},
		"usage":  jsonObject{"input_tokens": s.IntN(9), "input_tokens_details": jsonObject{"cached_tokens": 1}, "output_tokens": s.IntN(9)},
	}
	frames := []string{`{"type":"response.created","response":{"status":"in_progress"}}`}
	for _, piece := range s.pieces(text) {
		frames = append(frames, string(encoded(jsonObject{"type": "response.output_text.delta", "delta": piece})))
	}
	return response, streamOf(append(frames, string(encoded(jsonObject{"type": "response.completed", "response": response})))...)
}

func (s splitter) message() (body any, stream []byte) {
	message := jsonObject{
		"id": "msg", "type": "message", "role": "assistant", "model": "m", "stop_reason": nil, "stop_sequence": nil, "content": []any{},
		"usage": jsonObject{"input_tokens": s.IntN(9), "cache_read_input_tokens": s.IntN(9), "output_tokens": 1},
	}
	frames := []string{string(encoded(jsonObject{"type": "message_start", "message": message})), `{"type": "ping"}`}
	content := []any{}
	for index := range s.IntN(5) {
		block, start, deltas := s.block()
		content = append(content, block)
		frames = append(frames, string(encoded(jsonObject{"type": "content_block_start", "index": index, "content_block": start})))
		for _, delta := range deltas {
			frames = append(frames, string(encoded(jsonObject{"type": "content_block_delta", "index": index, "delta": delta})))
		}
		frames = append(frames, string(encoded(jsonObject{"type": "content_block_stop", "index": index})))
	}
	usage := jsonObject{"output_tokens": 10 + s.IntN(9)}
	frames = append(frames, string(encoded(jsonObject{"type": "message_delta", "delta": jsonObject{"stop_reason": "end_turn", "stop_sequence": nil}, "usage": usage})), `{"type":"message_stop"}`)
	message["content"], message["stop_reason"] = content, "end_turn"
	message["usage"].(jsonObject)["output_tokens"] = usage["output_tokens"]
	return message, streamOf(frames...)
}

func (s splitter) block() (block, start jsonObject, deltas []jsonObject) {
	text := s.text()
	split := func(kind, member string, text string) {
		for _, piece := range s.pieces(text) {
			deltas = append(deltas, jsonObject{"type": kind, member: piece})
		}
	}
	switch s.IntN(4) {
	case 0:
		split("text_delta", "text", text)
		cited := jsonObject{"type": "text", "text": text, "citations": []any{jsonObject{"cited_text": text}}}
		deltas = append(deltas, jsonObject{"type": "citations_delta", "citation": jsonObject{"cited_text": text}})
		return cited, jsonObject{"type": "text", "text": "", "citations": []any{}}, deltas
	case 1:
		split("thinking_delta", "thinking", text)
		deltas = append(deltas, jsonObject{"type": "signature_delta", "signature": "s"})
		return jsonObject{"type": "thinking", "thinking": text, "signature": "s"}, jsonObject{"type": "thinking", "thinking": "", "signature": ""}, deltas
	case 2:
		input := jsonObject{"text": text, "n": []any{1, "two", nil}}
		split("input_json_delta", "partial_json", string(encoded(input)))
		return jsonObject{"type": "tool_use", "id": "t", "name": "f", "input": input}, jsonObject{"type": "tool_use", "id": "t", "name": "f", "input": jsonObject{}}, deltas
	default:
		whole := jsonObject{"type": "redacted_thinking", "data": text}
		return whole, whole, nil
	}
}

// FuzzMerge: whatever a stream is, the merged body is bounded JSON.
func FuzzMerge(f *testing.F) {
	streams, _ := filepath.Glob("testdata/*.sse")
	for _, path := range streams {
		stream, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for api := range Messages + 1 {
			f.Add(byte(api), stream)
		}
		f.Add(byte(Chat), stream[:len(stream)/2])
	}
	for seed := range uint64(5) {
		split := splitter{rand.New(rand.NewPCG(seed, 2))}
		_, stream := split.completion(true)
		f.Add(byte(Chat), stream)
		_, stream = split.message()
		f.Add(byte(Messages), stream)
	}
	f.Fuzz(func(t *testing.T, choice byte, stream []byte) {
		api := API(choice) % (Messages + 1)
		before := bytes.Clone(stream)
		merged, ok := api.Merge(stream)
		if !bytes.Equal(stream, before) {
			t.Error("the stream has changed")
		}
		if ok && (len(merged) > len(stream) || !json.Valid(merged)) {
			t.Errorf("merged %d bytes to %d: %s", len(stream), len(merged), merged)
		}
		if !ok && merged != nil {
			t.Errorf("not merged, with a body: %s", merged)
		}
		for _, facts := range []Facts{api.OfRequest(stream), api.OfResponse(stream), api.OfStream(stream)} {
			const most = 6*MaxTextBytes + 6
			if len(facts.Model) > most || len(facts.FinishReasons) > MaxTextBytes+1+most {
				t.Errorf("long facts: %+v", facts)
			}
			if facts.InputTokens < NoCount || facts.OutputTokens < NoCount || facts.CachedTokens < NoCount {
				t.Errorf("negative counts: %+v", facts)
			}
		}
	})
}

func streamOf(data ...string) []byte {
	var stream bytes.Buffer
	for _, data := range data {
		fmt.Fprintf(&stream, "data: %s\n\n", data)
	}
	return stream.Bytes()
}

func encoded(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

func decoded(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// apiOf reads the API off the name of a file.
func apiOf(t *testing.T, name string) API {
	t.Helper()
	first, _, _ := strings.Cut(name, "-")
	api, known := map[string]API{"chat": Chat, "completion": Completions, "response": Responses, "message": Messages}[first]
	if !known {
		t.Fatalf("no API is called %q", first)
	}
	return api
}
