/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// usual returns the parts of a usual event: a JSON body of 1 KB, 8 attributes of
// metadata, a trace context.
func usual(mode agentconfig.ContentMode) (*Builder, *Observation, []metadata.Attribute) {
	builder := &Builder{
		Identity: Identity{
			Source: "my-model-predictor-default", InferenceService: "my-model", Namespace: "default",
			Component: "predictor", Revision: "my-model-predictor-default-00001",
			AgentInstance: "e5535dad-c04e-486d-a650-a1fad25cd045",
		},
		ContentMode:     mode,
		MaxPayloadBytes: 1 << 20,
	}
	attributes := make([]metadata.Attribute, 0, 8)
	for n := range 8 {
		attributes = append(attributes, metadata.Attribute{Name: fmt.Sprintf("attribute%d", n), Value: "some-value-of-an-owner"})
	}
	o := observation(body(`{"instances":[` + strings.Repeat("[1.5,2.25],", 90) + `[0]]}`))
	o.Exchange.CorrelationID = "1bd67a4e-ca61-4d9b-9c51-ab57f0a7311d"
	o.Exchange.TraceParent = []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	o.At = received.Add(1234567)
	return builder, o, attributes
}

func BenchmarkBuild(b *testing.B) {
	builder, o, attributes := usual(agentconfig.ContentModeAuto)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := builder.Build(o, agentconfig.KindResponse, attributes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBuildChat builds the event of a stream of 200 tokens, of another path and of
// chat completions, with its frames and merged.
func BenchmarkBuildChat(b *testing.B) {
	frames := `data: {"id":"chatcmpl-f2d6c2e0f3a94e6f9a3d1c6b7a8e9f00","object":"chat.completion.chunk","created":1753800000,"model":"meta-llama/Llama-3.1-8B-Instruct",` +
		`"choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	for name, options := range map[string][]option{
		"other path": {path("/stream")}, "frames": {ofChat}, "merged": {ofChat, mayMerge},
	} {
		b.Run(name, func(b *testing.B) {
			builder, o, attributes := usual(agentconfig.ContentModeAuto)
			for _, option := range append(options, contentType("text/event-stream"), body(strings.Repeat(frames, 200)+"data: [DONE]\n\n")) {
				option(o)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := builder.Build(o, agentconfig.KindStream, attributes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
		b.Run(string(mode), func(b *testing.B) {
			builder, o, attributes := usual(mode)
			built, err := builder.Build(o, agentconfig.KindResponse, attributes)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				_ = built.Message(7)
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	builder, o, attributes := usual(agentconfig.ContentModeBinary)
	built, err := builder.Build(o, agentconfig.KindResponse, attributes)
	if err != nil {
		b.Fatal(err)
	}
	room := make([]byte, 0, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		room = built.AppendHeader(room[:0], 7)
	}
}

func BenchmarkStored(b *testing.B) {
	builder, o, attributes := usual(agentconfig.ContentModeAuto)
	built, err := builder.Build(o, agentconfig.KindResponse, attributes)
	if err != nil {
		b.Fatal(err)
	}
	head := make([]byte, 0, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = built.Stored(head)
	}
}

// TestAnEventTakesFewAllocations: the attributes that events share are encoded
// once, and nothing takes a map. Each bound has room for one more.
func TestAnEventTakesFewAllocations(t *testing.T) {
	const sequence = 123456
	room := make([]byte, 0, 8<<10)
	var sink io.Writer = bytes.NewBuffer(make([]byte, 0, 1<<20))
	for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
		builder, o, attributes := usual(mode)
		built, err := builder.Build(o, agentconfig.KindResponse, attributes)
		if err != nil {
			t.Fatal(err)
		}
		for _, measured := range []struct {
			what string
			most map[agentconfig.ContentMode]float64
			do   func()
		}{
			// The event, its own extensions, its id.
			{"Build", map[agentconfig.ContentMode]float64{agentconfig.ContentModeBinary: 4, agentconfig.ContentModeStructured: 4}, func() { _, err = builder.Build(o, agentconfig.KindResponse, attributes) }},
			{"AppendHeader", map[agentconfig.ContentMode]float64{}, func() { _ = built.AppendHeader(room, sequence) }},
			// The JSON of the attributes, its end, and what JSON is validated with.
			{"Body", map[agentconfig.ContentMode]float64{agentconfig.ContentModeStructured: 3}, func() { body := built.Body(sequence); _, err = body.WriteTo(sink) }},
			{"Message", map[agentconfig.ContentMode]float64{agentconfig.ContentModeBinary: 18, agentconfig.ContentModeStructured: 8}, func() { _ = built.Message(sequence) }},
			{"Stored", map[agentconfig.ContentMode]float64{}, func() { _, _ = built.Stored(room) }},
		} {
			if got := testing.AllocsPerRun(100, measured.do); got > measured.most[mode] || err != nil {
				t.Errorf("%s, %s: %v allocations, %v are allowed, %v", measured.what, mode, got, measured.most[mode], err)
			}
		}
	}
}
