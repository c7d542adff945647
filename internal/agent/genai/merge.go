/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Merge merges the frames of a complete stream into the body that the API gives
// without streaming. It reports false if anything in the stream is unexpected, because
// a merged body might lose something then. The body is valid JSON in UTF-8, and no
// longer than the stream. Merge takes up to MergingBytes.
func (a API) Merge(stream []byte) (body []byte, ok bool) {
	if len(stream) == 0 || !utf8.Valid(stream) {
		return nil, false
	}
	var m merger
	switch a {
	case Chat, Completions:
		m = newCompletion(a == Chat)
	case Responses:
		m = new(finalResponse)
	case Messages:
		m = newMessage()
	default:
		return nil, false
	}
	events := frames{rest: stream}
	for data, there := events.next(); there; data, there = events.next() {
		if isDone(data) {
			if !m.done() {
				return nil, false
			}
			continue
		}
		if !json.Valid(data) || !m.take(bytes.Trim(data, " \t\r\n")) {
			return nil, false
		}
	}
	if events.odd || !m.complete() {
		return nil, false
	}
	body = m.appendTo(make([]byte, 0, len(stream)))
	if len(body) > len(stream) || !json.Valid(body) {
		return nil, false
	}
	// The room of the frames is not held.
	return bytes.Clone(body), true
}

// MergingBytes is what Merge may take beside a stream of that length.
func MergingBytes(stream int64) int64 {
	const least = 8 << 10
	// Texts take up to twice their length, and the body is there twice.
	return least + 5*stream + min(maxFields*fieldBytes, fieldBytes*stream/leastFieldBytes)
}

// leastFieldBytes is the shortest member of an object, with its comma.
const leastFieldBytes = int64(len(`"":1,`))

// merger takes the frames of a stream.
type merger interface {
	// take takes the data of a frame, which are valid JSON. It reports false if they
	// can't be merged.
	take(data []byte) bool
	// done takes the data [DONE], and reports whether they belong there.
	done() bool
	// complete reports whether the stream came to its end.
	complete() bool
	appendTo(b []byte) []byte
}
