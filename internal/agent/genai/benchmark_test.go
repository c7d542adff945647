/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"fmt"
	"strings"
	"testing"
)

// usualStream is a chat completion of 200 tokens with their usage.
func usualStream() []byte {
	const frame = `{"id":"chatcmpl-f2d6c2e0f3a94e6f9a3d1c6b7a8e9f00","object":"chat.completion.chunk","created":1753800000,"model":"meta-llama/Llama-3.1-8B-Instruct","choices":[%s]%s}`
	var frames []string
	for range 200 {
		frames = append(frames, fmt.Sprintf(frame, `{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}`, ""))
	}
	frames = append(frames, fmt.Sprintf(frame, `{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null}`, ""),
		fmt.Sprintf(frame, "", `,"usage":{"prompt_tokens":40,"total_tokens":241,"completion_tokens":201}`), "[DONE]")
	return streamOf(frames...)
}

// usualRequest is one of 8 KiB.
func usualRequest() []byte {
	return []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat("What is that? ", 580) + `"}],"model":"meta-llama/Llama-3.1-8B-Instruct","stream":true}`)
}

func BenchmarkOfStream(b *testing.B) {
	stream := usualStream()
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		Chat.OfStream(stream)
	}
}

func BenchmarkOfRequest(b *testing.B) {
	request := usualRequest()
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	for b.Loop() {
		Chat.OfRequest(request)
	}
}

func BenchmarkMerge(b *testing.B) {
	stream := usualStream()
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		Chat.Merge(stream)
	}
}
