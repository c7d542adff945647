/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

// how says how the values of a member in the frames become one of the merged body.
type how uint8

const (
	// same: every frame has the same value, or an empty one. This is the rule of a
	// member that nobody knows: it can't be known how to merge several.
	same how = iota
	// once: at most one frame has a value that isn't empty. This is the rule of an
	// unknown member beside pieces of content.
	once
	// first is the first value that isn't empty, and last the last one that isn't null.
	first
	last
	// joined: strings, one after the other.
	joined
	// listed: the elements of arrays, one after the other.
	listed
	// merged: objects, by a shape of their own.
	merged
	// indexed: arrays of objects that are merged if they have the same index.
	indexed
	// dropped: a member of frames only.
	dropped
	// refused: a member that no frame of a response has.
	refused
)

// rule says how a member is merged.
type rule struct {
	how how
	// shape is that of the objects.
	shape *shape
	// as is the member's name in the merged body, if it is another one.
	as string
}

// shape says how objects are merged.
type shape struct {
	members map[string]rule
	// others is the rule of the members that aren't named.
	others rule
	// always is a member that a merged body has, null where no frame has it.
	always string
}

func (s *shape) rule(name []byte) rule {
	if named, found := s.members[string(name)]; found {
		return named
	}
	return s.others
}

// chunkShape is that of the frames of OpenAI's completions, of both kinds. vLLM and
// others add members, such as reasoning_content.
var chunkShape = &shape{members: map[string]rule{
	// Some servers write the time of each frame.
	"created": {how: first},
	"usage":   {how: last},
	"choices": {how: indexed, shape: choiceShape},
	"object":  {how: dropped},
	// It pads frames, so that their lengths reveal nothing.
	"obfuscation": {how: dropped},
	"error":       {how: refused},
}}

var choiceShape = &shape{members: map[string]rule{
	"text":     {how: joined},
	"delta":    {how: merged, shape: deltaShape, as: "message"},
	"logprobs": {how: merged, shape: logprobsShape},
}}

var deltaShape = &shape{others: rule{how: once}, always: "content", members: map[string]rule{
	"role":              {how: same},
	"content":           {how: joined},
	"refusal":           {how: joined},
	"reasoning":         {how: joined},
	"reasoning_content": {how: joined},
	"tool_calls":        {how: indexed, shape: toolCallShape},
	"function_call":     {how: merged, shape: functionShape},
}}

var toolCallShape = &shape{others: rule{how: once}, members: map[string]rule{
	// A message has its tool calls in order, and without an index.
	"index":    {how: dropped},
	"id":       {how: same},
	"type":     {how: same},
	"function": {how: merged, shape: functionShape},
}}

var functionShape = &shape{others: rule{how: once}, members: map[string]rule{
	"name":      {how: same},
	"arguments": {how: joined},
}}

// logprobsShape has arrays only, such as content, or tokens and token_logprobs.
var logprobsShape = &shape{others: rule{how: listed}}

// messageShape is that of Anthropic's messages. message_delta has the last values.
var messageShape = &shape{others: rule{how: last}, members: map[string]rule{
	"usage": {how: merged, shape: &shape{others: rule{how: last}}},
	// It comes in events of its own.
	"content": {how: same},
	"error":   {how: refused},
}}

// blockShape is that of a content block of Anthropic's messages, as it starts and
// with what is added to it.
var blockShape = &shape{members: map[string]rule{
	"text":      {how: joined},
	"thinking":  {how: joined},
	"signature": {how: joined},
	"citations": {how: listed},
}}
