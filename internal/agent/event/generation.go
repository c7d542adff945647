/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"math"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/genai"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// The attributes of a call of a language model. Their names have a prefix of their
// own, because an owner may have an annotation such as model.
const (
	operationAttribute     = "genaioperation"
	requestModelAttribute  = "genairequestmodel"
	responseModelAttribute = "genairesponsemodel"
	inputTokensAttribute   = "genaiinputtokens"
	outputTokensAttribute  = "genaioutputtokens"
	cachedTokensAttribute  = "genaicachedtokens"
	finishReasonsAttribute = "genaifinishreasons"
	firstChunkAttribute    = "genaifirstchunkms"
)

// generation is what a body says of a call of a language model. The zero value says
// nothing.
type generation struct {
	operation string
	side      Side
	facts     genai.Facts
	// firstChunk is the time to the first chunk of a stream, and streamed says that
	// there is one.
	firstChunk time.Duration
	streamed   bool
}

// extensions is how many attributes a generation has at most.
func (g *generation) extensions() int {
	switch {
	case g.operation == "":
		return 0
	case g.side == Request:
		return 2
	default:
		return 7
	}
}

// addTo adds the attributes of a generation.
func (g *generation) addTo(own *extensions, replaced *replacements) {
	if g.operation == "" {
		return
	}
	own.setText(operationAttribute, g.operation)
	model := responseModelAttribute
	if g.side == Request {
		model = requestModelAttribute
	}
	own.setText(model, replaced.generated(model, g.facts.Model))
	own.setText(finishReasonsAttribute, replaced.generated(finishReasonsAttribute, g.facts.FinishReasons))
	for _, count := range []struct {
		name  string
		value int64
	}{
		{inputTokensAttribute, g.facts.InputTokens},
		{outputTokensAttribute, g.facts.OutputTokens},
		{cachedTokensAttribute, g.facts.CachedTokens},
	} {
		switch {
		case count.value == genai.NoCount:
		case count.value > math.MaxInt32:
			replaced.add(count.name)
		default:
			own.setInteger(count.name, int32(count.value))
		}
	}
	if g.streamed {
		own.setInteger(firstChunkAttribute, milliseconds(g.firstChunk))
	}
}

// generated returns a text of a body, empty if an attribute can't have it.
func (r *replacements) generated(attribute, text string) string {
	if len(text) <= genai.MaxTextBytes && metadata.ValidateValue(text) == nil {
		return text
	}
	r.add(attribute)
	return ""
}

// readGeneration reads the decoded body of a complete exchange with a language model,
// and merges its stream if that is asked for and possible.
func (b *Builder) readGeneration(o *Observation, c *content) {
	api := genai.Of(o.Exchange.Path)
	if api == genai.None {
		return
	}
	g := generation{operation: api.Operation(), side: o.Side}
	switch {
	case c.kind == agentconfig.KindRequest && isJSON(mediaTypeOf(c.contentType)):
		g.facts = api.OfRequest(c.data)
	case c.kind == agentconfig.KindResponse && isJSON(mediaTypeOf(c.contentType)):
		g.facts = api.OfResponse(c.data)
	case c.kind == agentconfig.KindStream && mediaTypeOf(c.contentType) == eventStream:
		g.facts = b.readStream(api, o, c)
		g.firstChunk, g.streamed = o.FirstByte.Sub(o.Exchange.Received), !o.FirstByte.IsZero()
	}
	if g.facts.Known() {
		c.generation = g
	}
}

func (b *Builder) readStream(api genai.API, o *Observation, c *content) genai.Facts {
	if o.MayMerge {
		if merged, ok := api.Merge(c.data); ok {
			c.data, c.contentType, c.size = merged, "application/json", int64(len(merged))
			return api.OfResponse(merged)
		}
	}
	return api.OfStream(c.data)
}

// MergingBytes is what it may take beside the body, and what its decoding takes, to
// merge the frames of a stream: 0 where they are not to be merged.
func (b *Builder) MergingBytes(o *Observation, kind agentconfig.Kind) int64 {
	if b.Streams != agentconfig.StreamMerged || kind != agentconfig.KindStream || genai.Of(o.Exchange.Path) == genai.None ||
		mediaTypeOf(o.Coding.ContentType) != eventStream {
		return 0
	}
	size := o.Body.Size
	if contentCodingOf(o.Coding.ContentEncoding) != "" {
		size = b.MaxPayloadBytes
	}
	return genai.MergingBytes(size)
}
