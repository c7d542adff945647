/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	sequenceAttribute = "agentsequence"
	specVersion       = "1.0"
	structuredType    = "application/cloudevents+json; charset=utf-8"
)

// Message is an event as an HTTP message.
type Message struct {
	Header http.Header
	MessageBody
}

// MessageBody is the body of an event's HTTP message. Nothing of the event's data
// is copied, so a queue of messages takes no more memory than their data.
type MessageBody struct {
	// Length is the body's, in bytes.
	Length int64

	// The first count parts are in use.
	parts [3]part
	count int
}

// part is a piece of a message's body: written as it is, or in base64.
type part struct {
	data   []byte
	base64 bool
}

func (b *MessageBody) add(data []byte, inBase64 bool) {
	b.parts[b.count] = part{data: data, base64: inBase64}
	b.count++
	if inBase64 {
		b.Length += int64(base64.StdEncoding.EncodedLen(len(data)))
	} else {
		b.Length += int64(len(data))
	}
}

// Body reads the message's body from its start.
func (b *MessageBody) Body() io.Reader {
	readers := make([]io.Reader, 0, b.count)
	for _, p := range b.parts[:b.count] {
		if p.base64 {
			readers = append(readers, &base64Reader{data: p.data})
		} else {
			readers = append(readers, bytes.NewReader(p.data))
		}
	}
	if len(readers) == 1 {
		return readers[0]
	}
	return io.MultiReader(readers...)
}

// WriteTo writes the message's body from its start. Data that goes out as it is
// goes in one Write.
func (b *MessageBody) WriteTo(w io.Writer) (int64, error) {
	written := int64(0)
	for _, p := range b.parts[:b.count] {
		n, err := p.writeTo(w)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (p *part) writeTo(w io.Writer) (written int64, err error) {
	if !p.base64 {
		n, err := w.Write(p.data)
		return int64(n), err
	}
	// Whole groups of three bytes, so that only the last piece is padded.
	const pieceBytes = 3 << 10
	room := make([]byte, base64.StdEncoding.EncodedLen(min(pieceBytes, len(p.data))))
	for piece := range slices.Chunk(p.data, pieceBytes) {
		base64.StdEncoding.Encode(room, piece)
		n, err := w.Write(room[:base64.StdEncoding.EncodedLen(len(piece))])
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Message returns the event as the sequence-th one of the agent to a sink, in
// the content mode that was chosen when it was built. Other events share some of
// the values of its header, which must not be changed in place.
func (e *Event) Message(sequence uint64) *Message {
	message := &Message{MessageBody: e.Body(sequence)}
	if e.structured {
		message.Header = http.Header{"Content-Type": {structuredType}}
	} else {
		message.Header = e.httpHeader(sequence)
	}
	return message
}

// Body returns the body of the event's Message. It belongs to the lines of
// AppendHeader, too.
func (e *Event) Body(sequence uint64) MessageBody {
	if e.structured {
		return e.structuredBody(sequence)
	}
	var body MessageBody
	body.add(e.data, false)
	return body
}

func (e *Event) structuredBody(sequence uint64) MessageBody {
	attributes := e.attributesJSON(sequence)
	var body MessageBody
	switch {
	case len(e.data) == 0:
		body.add(append(attributes, '}'), false)
	case e.carriesJSON():
		body.add(append(attributes, `,"data":`...), false)
		body.add(e.data, false)
		body.add([]byte("}"), false)
	default:
		body.add(append(attributes, `,"data_base64":"`...), false)
		body.add(e.data, true)
		body.add([]byte(`"}`), false)
	}
	return body
}

// attributesJSON returns the JSON object of all attributes, still open.
func (e *Event) attributesJSON(sequence uint64) []byte {
	// Text that JSON escapes is rare. The slice grows for it.
	b := make([]byte, 0, e.headerSize+64)
	b = append(b, `{"specversion":"`+specVersion+`"`...)
	b = appendTextMember(b, "id", e.id)
	b = appendTextMember(b, "source", e.source)
	b = append(b, `,"type":"`...)
	b = append(b, e.typePrefix()...)
	b = append(b, e.Kind...)
	b = append(b, '"')
	if e.subject != "" {
		b = appendTextMember(b, "subject", e.subject)
	}
	if e.contentType != "" {
		b = appendTextMember(b, "datacontenttype", e.contentType)
	}
	b = append(b, `,"time":"`...)
	b = e.at.AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	for extension, member := range e.extensions() {
		if member != "" {
			b = append(b, member...)
		} else {
			b = appendMember(b, extension)
		}
	}
	b = append(b, `,"`+sequenceAttribute+`":"`...)
	b = appendSequence(b, sequence)
	return append(b, '"')
}

// carriesJSON reports whether a receiver reads the data as the JSON that it is:
// the SDK does so for these content types in lower case, or for none, and takes
// the data of any other for a string.
func (e *Event) carriesJSON() bool {
	mediaType, _, _ := strings.Cut(e.contentType, ";")
	switch mediaType {
	case "", "application/json", "text/json":
		return json.Valid(e.data) && utf8.Valid(e.data)
	default:
		return false
	}
}

// Line returns the event in structured mode on one line, with its newline.
func (e *Event) Line(sequence uint64) ([]byte, error) {
	body := e.structuredBody(sequence)
	line := bytes.NewBuffer(make([]byte, 0, body.Length+1))
	for i, p := range body.parts[:body.count] {
		switch {
		case p.base64:
			line.WriteString(base64.StdEncoding.EncodeToString(p.data))
		case i == 1:
			// JSON data may have newlines between its tokens.
			if err := json.Compact(line, p.data); err != nil {
				return nil, fmt.Errorf("compacting an event's data: %w", err)
			}
		default:
			line.Write(p.data)
		}
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

// base64Reader encodes data as it is read.
type base64Reader struct {
	data    []byte
	pending []byte
	encoded [4]byte
}

func (r *base64Reader) Read(p []byte) (int, error) {
	if len(r.pending) == 0 && len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	// Whole groups of three go straight into p.
	if groups := min((len(p)-n)/4, len(r.data)/3); groups > 0 {
		base64.StdEncoding.Encode(p[n:n+4*groups], r.data[:3*groups])
		r.data = r.data[3*groups:]
		n += 4 * groups
	}
	if n < len(p) && len(r.pending) == 0 && len(r.data) > 0 {
		group := r.data[:min(3, len(r.data))]
		base64.StdEncoding.Encode(r.encoded[:], group)
		r.data = r.data[len(group):]
		taken := copy(p[n:], r.encoded[:])
		r.pending = r.encoded[taken:]
		n += taken
	}
	return n, nil
}
