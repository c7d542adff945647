/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"fmt"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// ContentMode says how an event goes into an HTTP message (CloudEvents HTTP
// protocol binding, section 3).
type ContentMode string

// The content modes. Auto is binary, but structured where a header can't
// carry an attribute unchanged.
const (
	ContentModeAuto       ContentMode = "auto"
	ContentModeBinary     ContentMode = "binary"
	ContentModeStructured ContentMode = "structured"
)

// maxHeaderBytes leaves room under the 8 KiB that receivers commonly take.
const maxHeaderBytes = 7 << 10

// ParseContentMode reads a ContentMode.
func ParseContentMode(text string) (ContentMode, error) {
	switch mode := ContentMode(text); mode {
	case ContentModeAuto, ContentModeBinary, ContentModeStructured:
		return mode, nil
	default:
		return "", fmt.Errorf("%q is no content mode: write auto, binary or structured", text)
	}
}

func (m ContentMode) structured(e *Event) bool {
	switch {
	case m == ContentModeStructured:
		return true
	case strings.HasPrefix(mediaTypeOf(e.attributes.DataContentType()), "application/cloudevents"):
		// In binary mode it would be read as an event in structured mode.
		return true
	case e.headerSize > maxHeaderBytes:
		return true
	case m == ContentModeBinary:
		return false
	default:
		return !headersCarry(e.attributes.Context)
	}
}

// headersCarry says whether an HTTP header carries every attribute unchanged.
// The binding would have the others percent-encoded, but neither the SDK nor a
// Broker decodes that, so no Trigger would match the value.
func headersCarry(context cloudevents.EventContext) bool {
	if !headerSafe(context.GetSubject()) {
		return false
	}
	for _, value := range context.GetExtensions() {
		if text, ok := value.(string); ok && !headerSafe(text) {
			return false
		}
	}
	return true
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
	var encoded strings.Builder
	for i := range len(value) {
		if unsafeInHeader(value[i]) {
			fmt.Fprintf(&encoded, "%%%02X", value[i])
		} else {
			encoded.WriteByte(value[i])
		}
	}
	return encoded.String()
}

// headerSize is what the attributes take as headers: name, value, and four
// bytes between and after.
func headerSize(context *cloudevents.EventContextV1) int {
	const perHeader = len("Ce-") + len(": \r\n")
	size := len("specversion") + len(cloudevents.CloudEventsVersionV1) + perHeader
	add := func(name, value string) { size += perHeader + len(name) + len(percentEncode(value)) }
	add("id", context.ID)
	add("type", context.Type)
	add("source", context.Source.String())
	add("time", context.Time.String())
	add("subject", context.GetSubject())
	add("datacontenttype", context.GetDataContentType())
	add(sequenceAttribute, formatSequence(0))
	for name, value := range context.Extensions {
		text, err := types.Format(value)
		if err == nil {
			add(name, text)
		}
	}
	return size
}
