/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"unicode/utf8"
)

const (
	// MaxTextBytes is how long a text of Facts should be. Of a longer one there is a
	// part that is longer, too.
	MaxTextBytes = 128

	// NoCount says that a body has no such count.
	NoCount = -1

	// maxChoices bounds the choices of which the finish reasons are read. OpenAI's
	// API gives at most 128.
	maxChoices = 128
)

// Facts is what a body says of a call of a model. Texts are as the body has them:
// nobody has validated them, and an empty one is none.
type Facts struct {
	// Model is the one asked for in the body of a request, and the one that responded
	// in that of a response.
	Model string
	// FinishReasons are those of the choices, in their order, with commas between.
	FinishReasons string
	// InputTokens include CachedTokens, and those that were written to a cache. A
	// count above math.MaxInt64 is math.MaxInt64.
	InputTokens, OutputTokens, CachedTokens int64
}

var noFacts = Facts{InputTokens: NoCount, OutputTokens: NoCount, CachedTokens: NoCount}

// Known reports whether there are any facts.
func (f *Facts) Known() bool { return *f != noFacts && *f != Facts{} }

// OfRequest reads the body of a request.
func (a API) OfRequest(body []byte) Facts {
	facts := noFacts
	if a != None {
		for name, value := range members(body) {
			if string(name) == "model" {
				facts.Model = textOf(value)
			}
		}
	}
	return facts
}

// OfResponse reads the body of a response.
func (a API) OfResponse(body []byte) Facts {
	var reading reading
	switch a {
	case Chat, Completions:
		reading.completion(body)
	case Responses:
		reading.response(body)
	case Messages:
		reading.message(body)
	}
	return reading.facts()
}

// OfStream reads the body of a response that is a stream.
func (a API) OfStream(stream []byte) Facts {
	var reading reading
	events := frames{rest: stream}
	for data, there := events.next(); there; data, there = events.next() {
		switch a {
		case Chat, Completions:
			reading.completion(data)
		case Responses:
			reading.responseEvent(data)
		case Messages:
			reading.messageEvent(data)
		}
	}
	return reading.facts()
}

// reading has the parts of a body that give the facts. Each is nil before it is
// found.
type reading struct {
	model                                        []byte
	input, output, cached, cacheRead, cacheWrite []byte
	// finishReasons are those of the choices by their index, nil where a choice has none,
	// and finished says that one has any.
	finishReasons [][]byte
	finished      bool
}

func (r *reading) facts() Facts {
	facts := Facts{
		Model: textOf(r.model), InputTokens: countOf(r.input), OutputTokens: countOf(r.output), CachedTokens: countOf(r.cached),
	}
	if r.cacheRead != nil {
		facts.CachedTokens = countOf(r.cacheRead)
	}
	if facts.InputTokens != NoCount {
		// Anthropic doesn't count them in.
		facts.InputTokens = sum(facts.InputTokens, countOf(r.cacheRead), countOf(r.cacheWrite))
	}
	facts.FinishReasons = r.joinedReasons()
	return facts
}

// joinedReasons gives "error" for a choice that has no finish reason, as
// OpenTelemetry's convention asks for. Without any finish reason it is empty.
func (r *reading) joinedReasons() string {
	if !r.finished {
		return ""
	}
	var joined strings.Builder
	for i, reason := range r.finishReasons {
		if i > 0 {
			joined.WriteByte(',')
		}
		if reason == nil {
			joined.WriteString("error")
		} else {
			joined.WriteString(textOf(reason))
		}
		if joined.Len() > MaxTextBytes {
			return joined.String()
		}
	}
	return joined.String()
}

// completion reads a body or a frame of OpenAI's completions.
func (r *reading) completion(body []byte) {
	for name, value := range members(body) {
		switch string(name) {
		case "model":
			r.setModel(value)
		case "choices":
			position := 0
			for choice := range elements(value) {
				r.choice(choice, position)
				position++
			}
		case "usage":
			r.usage(value)
		}
	}
}

func (r *reading) choice(choice []byte, position int) {
	var reason []byte
	for name, value := range members(choice) {
		switch string(name) {
		case "index":
			if index := countOf(value); index != NoCount {
				position = int(min(index, maxChoices))
			}
		case "finish_reason":
			reason = value
		}
	}
	r.finish(position, reason)
}

// finish takes the finish reason of a choice. A value that is no string is none.
func (r *reading) finish(position int, reason []byte) {
	if position >= maxChoices {
		return
	}
	for len(r.finishReasons) <= position {
		r.finishReasons = append(r.finishReasons, nil)
	}
	if isString(reason) {
		r.finishReasons[position] = reason
		r.finished = true
	}
}

// response reads the object of OpenAI's Responses API. It has a status instead of
// finish reasons, and a reason where it is incomplete.
func (r *reading) response(body []byte) {
	var status []byte
	for name, value := range members(body) {
		switch string(name) {
		case "model":
			r.setModel(value)
		case "usage":
			r.usage(value)
		case "status":
			status = value
		case "incomplete_details":
			for name, value := range members(value) {
				if string(name) == "reason" {
					r.finish(0, value)
				}
			}
		}
	}
	if !r.finished {
		r.finish(0, status)
	}
}

// responseEvent reads an event of the Responses API. The last one has the response.
func (r *reading) responseEvent(data []byte) {
	if response, last := lastResponse(data); last {
		r.response(response)
	}
}

// message reads a message of Anthropic's API.
func (r *reading) message(body []byte) {
	for name, value := range members(body) {
		switch string(name) {
		case "model":
			r.setModel(value)
		case "stop_reason":
			r.finish(0, value)
		case "usage":
			r.usage(value)
		}
	}
}

// messageEvent reads an event of Anthropic's API: message_start has the message, and
// message_delta what changes of it.
func (r *reading) messageEvent(data []byte) {
	for name, value := range members(data) {
		switch string(name) {
		case "message":
			r.message(value)
		case "delta":
			// Those of content have no such member.
			for name, value := range members(value) {
				if string(name) == "stop_reason" {
					r.finish(0, value)
				}
			}
		case "usage":
			r.usage(value)
		}
	}
}

// usage reads the counts of any of the APIs. A later count replaces an earlier one.
func (r *reading) usage(usage []byte) {
	for name, value := range members(usage) {
		switch string(name) {
		case "prompt_tokens", "input_tokens":
			set(&r.input, value)
		case "completion_tokens", "output_tokens":
			set(&r.output, value)
		case "cache_read_input_tokens":
			set(&r.cacheRead, value)
		case "cache_creation_input_tokens":
			set(&r.cacheWrite, value)
		case "prompt_tokens_details", "input_tokens_details":
			for name, value := range members(value) {
				if string(name) == "cached_tokens" {
					set(&r.cached, value)
				}
			}
		}
	}
}

func (r *reading) setModel(value []byte) {
	if len(r.model) <= len(`""`) {
		set(&r.model, value)
	}
}

func set(part *[]byte, value []byte) {
	if !isNull(value) {
		*part = value
	}
}

// textOf returns the text of a JSON string, at least MaxTextBytes+1 bytes of one that
// is longer than MaxTextBytes. It is empty for another value.
func textOf(value []byte) string {
	if !isString(value) {
		return ""
	}
	const longestEscape = len(`\u0000`)
	raw := inner(value)
	if len(raw) > longestEscape*MaxTextBytes {
		return string(raw[:MaxTextBytes+1])
	}
	if bytes.IndexByte(raw, '\\') < 0 || !utf8.Valid(raw) {
		return string(raw[:min(len(raw), MaxTextBytes+1)])
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return ""
	}
	return text
}

// countOf returns the count that a JSON number is, NoCount for another value.
func countOf(value []byte) int64 {
	if len(value) == 0 {
		return NoCount
	}
	count := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return NoCount
		}
		digit := int64(c - '0')
		if count > (math.MaxInt64-digit)/10 {
			count = math.MaxInt64
		} else {
			count = 10*count + digit
		}
	}
	return count
}

// sum adds counts, and ignores those that aren't there.
func sum(counts ...int64) int64 {
	total := int64(0)
	for _, count := range counts {
		if count > 0 {
			total += min(count, math.MaxInt64-total)
		}
	}
	return total
}
