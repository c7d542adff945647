/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"strconv"
	"strings"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// maxHeaderBytes leaves room under the 8 KiB that receivers commonly take.
const maxHeaderBytes = 7 << 10

// isStructured reports whether an event goes out in structured mode. headersCarry says
// whether a header carries its attributes unchanged: the binding would have the
// others percent-encoded, but neither the SDK nor a Broker decodes that, so no
// Trigger would match the value.
func (e *Event) isStructured(headersCarry bool) bool {
	switch {
	case e.kserve:
		return false
	case e.mode == agentconfig.ContentModeStructured:
		return true
	case strings.HasPrefix(mediaTypeOf(e.contentType), "application/cloudevents"):
		// In binary mode it would be read as an event in structured mode.
		return true
	case e.headerSize > maxHeaderBytes:
		return true
	case e.mode == agentconfig.ContentModeBinary:
		return false
	default:
		return !headersCarry
	}
}

func headerSafe(value string) bool {
	for i := range len(value) {
		if unsafeInHeader(value[i]) {
			return false
		}
	}
	return true
}

// unsafeInHeader is the set that CloudEvents HTTP protocol binding 3.1.3.2 has
// percent-encoded.
func unsafeInHeader(c byte) bool {
	return c <= ' ' || c > '~' || c == '"' || c == '%'
}

func percentEncode(value string) string {
	if headerSafe(value) {
		return value
	}
	return string(appendPercentEncoded(nil, value))
}

func appendPercentEncoded(b []byte, value string) []byte {
	const digits = "0123456789ABCDEF"
	start := 0
	for i := range len(value) {
		if c := value[i]; unsafeInHeader(c) {
			b = append(b, value[start:i]...)
			b = append(b, '%', digits[c>>4], digits[c&0xf])
			start = i + 1
		}
	}
	return append(b, value[start:]...)
}

// encodedLength is how long a value is that is percent-encoded.
func encodedLength(value string) int {
	length := len(value)
	for i := range len(value) {
		if unsafeInHeader(value[i]) {
			length += len("%00") - 1
		}
	}
	return length
}

// measure takes the size of the attributes as headers: name, value, and four bytes
// between and after. It reports whether those carry the subject and every extension
// unchanged.
func (e *Event) measure() (headersCarry bool) {
	var room [64]byte
	subject := encodedLength(e.subject)
	size := e.shared.headerSize +
		lineSize("specversion", len(specVersion)) +
		lineSize("id", encodedLength(e.id)) +
		lineSize("type", len(e.typePrefix())+len(e.Kind)) +
		lineSize("source", encodedLength(e.source)) +
		lineSize("time", len(e.at.AppendFormat(room[:0], time.RFC3339Nano))) +
		lineSize("subject", subject) +
		lineSize("datacontenttype", encodedLength(e.contentType)) +
		lineSize(sequenceAttribute, len(appendSequence(room[:0], 0)))
	headersCarry = e.shared.headerSafe && subject == len(e.subject)
	for i := range e.own {
		own := &e.own[i]
		if own.integer {
			size += lineSize(own.name, len(strconv.AppendInt(room[:0], int64(own.number), 10)))
			continue
		}
		if own.verbatim {
			size += lineSize(own.name, len(own.text))
			continue
		}
		value := encodedLength(own.text)
		size += lineSize(own.name, value)
		headersCarry = headersCarry && value == len(own.text)
	}
	e.headerSize = size
	return headersCarry
}

func lineSize(name string, valueLength int) int {
	return len("Ce-") + len(name) + len(": \r\n") + valueLength
}
