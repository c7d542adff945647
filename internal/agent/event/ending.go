/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"encoding/json"
	"strings"
)

// A client may leave when it has all of a response, before the model has ended
// it: clients of the OpenAI API close the connection at "data: [DONE]". So a
// body that breaks off is judged by its content.

const (
	eventStream = "text/event-stream"

	// maxMarkBytes is more than the longest line by which a stream ends.
	maxMarkBytes = 64
)

// lastEvents are the names of server-sent events after which none follows: of
// Anthropic's Messages API and of OpenAI's Responses API.
var lastEvents = map[string]bool{
	"message_stop":        true,
	"response.completed":  true,
	"response.incomplete": true,
	"response.failed":     true,
}

// doneData is the data of the last server-sent event of OpenAI's other APIs.
const doneData = "[DONE]"

// ServerSent reads server-sent events as they flow for the one that ends their
// stream. A nil ServerSent is that of a body of another type, or with a content
// coding.
type ServerSent struct {
	// line is the beginning of the current line, of lineBytes in all.
	line      []byte
	lineBytes int
	// open says that an event has begun and not ended.
	open bool
	// done says that it, or else the event before, has the data [DONE], and named
	// that it has the name of a last event.
	done, named bool
}

// NewServerSent returns the reader of a body with a coding.
func NewServerSent(coding Coding) *ServerSent {
	if mediaTypeOf(coding.ContentType) != eventStream || contentCodingOf(coding.ContentEncoding) != "" {
		return nil
	}
	return new(ServerSent)
}

// Write takes the next bytes of the body.
func (s *ServerSent) Write(p []byte) {
	for s != nil && len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.addToLine(p)
			return
		}
		s.addToLine(p[:end])
		s.endLine()
		p = p[end+1:]
	}
}

func (s *ServerSent) addToLine(p []byte) {
	s.lineBytes += len(p)
	s.line = append(s.line, p[:min(len(p), maxMarkBytes-len(s.line))]...)
}

func (s *ServerSent) endLine() {
	name, value, blank := s.field()
	switch {
	case blank:
		s.open = false
	case name == "":
		// A comment, by which servers keep a connection alive.
	default:
		if !s.open {
			s.open, s.done, s.named = true, false, false
		}
		s.done = s.done || isDone(name, value)
		s.named = s.named || name == "event" && lastEvents[value]
	}
	s.line, s.lineBytes = s.line[:0], 0
}

// field returns the name and the value of the current line. The value of a line
// that is too long for a mark is left out.
func (s *ServerSent) field() (name, value string, blank bool) {
	text := strings.TrimSuffix(string(s.line), "\r")
	name, value, _ = strings.Cut(text, ":")
	if s.lineBytes > maxMarkBytes {
		value = ""
	}
	return name, strings.TrimSpace(value), text == ""
}

func isDone(name, value string) bool { return name == "data" && value == doneData }

// Ended reports whether the last event is one after which none follows. A named
// one has to be complete. [DONE] is complete in itself.
func (s *ServerSent) Ended() bool {
	if s == nil {
		return false
	}
	if name, value, blank := s.field(); !blank && name != "" {
		return isDone(name, value)
	}
	return s.done || s.named && !s.open
}

// between reports whether the stream is between two events.
func (s *ServerSent) between() bool { return !s.open && s.lineBytes == 0 }

// Ended reports whether a body that broke off had come to its end by its content:
// the last of server-sent events, or a complete JSON document. stream is the
// body's. A body with a content coding is decoded, to at most maxBytes.
func Ended(coding Coding, body Body, stream *ServerSent, maxBytes int64) bool {
	if stream != nil {
		return stream.Ended()
	}
	data := body.Data
	if !body.Whole() || len(data) == 0 {
		return false
	}
	mediaType := mediaTypeOf(coding.ContentType)
	if mediaType != eventStream && !isJSON(mediaType) {
		return false
	}
	if contentCodingOf(coding.ContentEncoding) != "" {
		var err error
		if data, err = decodeCut(coding, data, maxBytes); err != nil {
			return false
		}
	}
	if isJSON(mediaType) {
		return isDocument(data)
	}
	stream = new(ServerSent)
	stream.Write(data)
	return stream.Ended()
}

// MayBeWhole reports whether a body of unknown length may be all there is, so that
// only its end is still to come. Otherwise it is evident that more was to come,
// or that it has ended.
func MayBeWhole(coding Coding, body Body, stream *ServerSent) bool {
	switch {
	case stream != nil:
		return stream.between() && !stream.Ended()
	case isJSON(mediaTypeOf(coding.ContentType)) && contentCodingOf(coding.ContentEncoding) == "" && body.Whole():
		// Another document may follow.
		return isDocument(body.Data)
	default:
		return body.Size > 0
	}
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}

// isDocument reports whether data is a JSON object or array. The beginning of
// another value may be one itself, as 1 is of 12.
func isDocument(data []byte) bool {
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed)
}
