//go:build !race

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

// With the race detector the runtime allocates more.

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestMergingTakesNoMoreThanIsReserved: all that merging allocates is within
// MergingBytes, so what it holds at any moment is, too.
func TestMergingTakesNoMoreThanIsReserved(t *testing.T) {
	const header = `{"object":"chat.completion.chunk","choices":[`
	repeated := func(n int, frame func(i int) string) []byte {
		var frames []string
		for i := range n {
			frames = append(frames, frame(i))
		}
		return streamOf(append(frames, "[DONE]")...)
	}
	content := func(i int, text string) string {
		return fmt.Sprintf(`%s{"index":%d,"delta":{"content":"%s"}}]}`, header, i, text)
	}
	block := `{"type":"message_start","message":{"type":"message","content":[]}}`
	tool := `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{}}}`
	inputs := []string{block, tool, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\""}}`}
	for range 1000 {
		inputs = append(inputs, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"`+strings.Repeat(`a\/`, 200)+`"}}`)
	}
	inputs = append(inputs, inputs[2], `{"type":"message_stop"}`)
	for name, test := range map[string]struct {
		api    API
		stream []byte
		merged bool
	}{
		"a short stream":   {Chat, repeated(2, func(int) string { return content(0, "a") }), true},
		"tokens":           {Chat, repeated(5000, func(int) string { return content(0, " token") }), true},
		"two large frames": {Chat, repeated(2, func(int) string { return content(0, strings.Repeat("a", 500_000)) }), true},
		"growing frames":   {Chat, repeated(2000, func(i int) string { return content(0, strings.Repeat("a", i)) }), true},
		"128 choices":      {Chat, repeated(1280, func(i int) string { return content(i%128, "a") }), true},
		"many members": {Chat, repeated(10, func(i int) string {
			var members strings.Builder
			for i := range 60 {
				fmt.Fprintf(&members, `"%d":1,`, i)
			}
			return header + fmt.Sprintf(`{"index":%d,%s"delta":{}}]}`, i, members.String())
		}), true},
		"many lists": {Chat, repeated(100, func(int) string {
			var lists strings.Builder
			for i := range 60 {
				fmt.Fprintf(&lists, `"%d":[1],`, i)
			}
			return header + `{"index":0,"logprobs":{` + lists.String() + `"tokens":[1]}}]}`
		}), true},
		"nested": {Chat, repeated(2, func(int) string {
			return header + `{"index":0,"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}]}`
		}), true},
		"inputs":  {Messages, streamOf(inputs...), true},
		"garbage": {Chat, repeated(1000, func(int) string { return strings.Repeat("[", 100) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, ok := test.api.Merge(test.stream)
			runtime.ReadMemStats(&after)
			if ok != test.merged {
				t.Errorf("merged: %v", ok)
			}
			taken, reserved := int64(after.TotalAlloc-before.TotalAlloc), MergingBytes(int64(len(test.stream)))
			t.Logf("a stream of %d bytes takes %d of %d", len(test.stream), taken, reserved)
			if taken > reserved {
				t.Errorf("a stream of %d bytes takes %d bytes, %d are reserved", len(test.stream), taken, reserved)
			}
		})
	}
}
