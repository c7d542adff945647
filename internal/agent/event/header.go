/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"net/http"
	"strconv"
	"time"
)

// AppendHeader appends the header of the event as the sequence-th one of the
// agent to a sink, as lines of HTTP/1.1: each "Name: value\r\n". The content type
// is among them, where the event has one, and the content length isn't. No value
// has a control character.
func (e *Event) AppendHeader(b []byte, sequence uint64) []byte {
	if e.structured {
		return append(b, "Content-Type: "+structuredType+"\r\n"...)
	}
	b = append(b, "Ce-Specversion: "+specVersion+"\r\n"...)
	b = appendLine(b, "id", e.id)
	b = appendLine(b, "source", e.source)
	b = append(b, "Ce-Type: "...)
	b = append(b, e.typePrefix()...)
	b = append(b, e.Kind...)
	b = append(b, "\r\nCe-Time: "...)
	b = e.at.AppendFormat(b, time.RFC3339Nano)
	b = append(b, "\r\n"...)
	if e.subject != "" {
		b = appendLine(b, "subject", e.subject)
	}
	b = append(b, e.shared.header...)
	for i := range e.own {
		b = appendExtensionLine(b, &e.own[i])
	}
	b = append(b, "Ce-Agentsequence: "...)
	b = appendSequence(b, sequence)
	b = append(b, "\r\n"...)
	if e.contentType != "" {
		b = append(b, "Content-Type: "...)
		b = append(b, e.contentType...)
		b = append(b, "\r\n"...)
	}
	return b
}

// appendExtensionLine appends the line of an extension. A header doesn't carry an
// empty one.
func appendExtensionLine(b []byte, e *extension) []byte {
	switch {
	case e.integer:
		b = appendLineName(b, e.name)
		b = strconv.AppendInt(b, int64(e.number), 10)
		return append(b, "\r\n"...)
	case e.text == "":
		return b
	case e.verbatim:
		b = appendLineName(b, e.name)
		b = append(b, e.text...)
		return append(b, "\r\n"...)
	default:
		return appendLine(b, e.name, e.text)
	}
}

// inHeader returns the String as the value of a header.
func (e *extension) inHeader() string {
	if e.verbatim {
		return e.text
	}
	return percentEncode(e.text)
}

func appendLine(b []byte, name, value string) []byte {
	b = appendLineName(b, name)
	b = appendPercentEncoded(b, value)
	return append(b, "\r\n"...)
}

// appendLineName appends the name of an attribute's line as net/http writes it.
func appendLineName(b []byte, name string) []byte {
	b = append(b, "Ce-"...)
	first := len(b)
	b = append(b, name...)
	if c := b[first]; 'a' <= c && c <= 'z' {
		b[first] = c - 'a' + 'A'
	}
	return append(b, ": "...)
}

// headerKey returns the name of an attribute's field in an http.Header.
func headerKey(name string) string {
	line := appendLineName(make([]byte, 0, 32), name)
	return string(line[:len(line)-len(": ")])
}

// httpHeader returns the header of binary mode as net/http takes it. Other events
// share some of its values.
func (e *Event) httpHeader(sequence uint64) http.Header {
	header := make(http.Header, 8+len(e.shared.fields)+len(e.own))
	for _, field := range e.shared.fields {
		header[field.key] = field.values
	}
	values := make([]string, 0, 8+len(e.own))
	set := func(key, value string) {
		if value != "" {
			values = append(values, value)
			header[key] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	set("Ce-Specversion", specVersion)
	set("Ce-Id", percentEncode(e.id))
	set("Ce-Source", percentEncode(e.source))
	set("Ce-Type", e.Type())
	set("Ce-Time", e.at.Format(time.RFC3339Nano))
	set("Ce-Subject", percentEncode(e.subject))
	set("Ce-Agentsequence", string(appendSequence(nil, sequence)))
	set("Content-Type", e.contentType)
	for i := range e.own {
		own := &e.own[i]
		if own.integer {
			set(headerKey(own.name), strconv.Itoa(int(own.number)))
		} else {
			set(headerKey(own.name), own.inHeader())
		}
	}
	return header
}

// appendSequence pads a count, so that the order of the text is that of the
// numbers.
func appendSequence(b []byte, sequence uint64) []byte {
	const zeros = "000000000000"
	var room [20]byte
	digits := strconv.AppendUint(room[:0], sequence, 10)
	if missing := len(zeros) - len(digits); missing > 0 {
		b = append(b, zeros[:missing]...)
	}
	return append(b, digits...)
}
