/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// LeftOutReason says why the value of a request's header is in no attribute.
type LeftOutReason string

// The reasons. A header that the request lacks is not counted.
const (
	// LeftOutInvalid: CloudEvents forbids a character of it.
	LeftOutInvalid LeftOutReason = "invalid"
	// LeftOutLength: it is too long, by itself or with the other attributes.
	LeftOutLength LeftOutReason = "length"
	// LeftOutDenied: it looks like a credential.
	LeftOutDenied LeftOutReason = "denied"
)

var leftOutReasons = [...]LeftOutReason{LeftOutInvalid, LeftOutLength, LeftOutDenied}

// LeftOutReasons lists every LeftOutReason.
func LeftOutReasons() []LeftOutReason { return slices.Clone(leftOutReasons[:]) }

// Headers makes attributes of headers of requests. A nil Headers makes none. It is
// safe for concurrent use.
type Headers struct {
	// sources have the headers' canonical names.
	sources []agentconfig.HeaderSource
	denied  func() metadata.DeniedValues
	leftOut [len(leftOutReasons)]atomic.Uint64
}

// NewHeaders returns Headers of sources, nil where there are none. Denied returns
// the patterns in use.
func NewHeaders(sources []agentconfig.HeaderSource, denied func() metadata.DeniedValues) *Headers {
	if len(sources) == 0 {
		return nil
	}
	h := &Headers{denied: denied}
	for _, source := range sources {
		h.sources = append(h.sources, agentconfig.HeaderSource{Attribute: source.Attribute, Header: http.CanonicalHeaderKey(source.Header)})
	}
	return h
}

// LeftOut counts, by reason, attributes that events lack because of the value of a
// header.
func (h *Headers) LeftOut() map[LeftOutReason]uint64 {
	counts := make(map[LeftOutReason]uint64)
	if h == nil {
		return counts
	}
	for i, reason := range leftOutReasons {
		if count := h.leftOut[i].Load(); count > 0 {
			counts[reason] = count
		}
	}
	return counts
}

// headerValues are what an exchange keeps of the headers that give attributes. They
// hold nothing of the request's head.
type headerValues struct {
	of     *Headers
	values []headerValue
}

// headerValue is a value before it is checked.
type headerValue struct {
	attribute string
	// text is empty if overlong is set: beside the values before it, no event has
	// room for the value.
	text     string
	overlong bool
}

// KeepHeaders keeps the values of headers for the events of the exchange, in all
// no more than an event can have.
func (e *Exchange) KeepHeaders(h *Headers, r *http.Request) {
	if h == nil {
		return
	}
	e.headers.of = h
	left := metadata.MaxTotalBytes
	for _, source := range h.sources {
		lines := r.Header[source.Header]
		if source.Header == "Host" {
			// net/http moves it to Request.Host.
			lines = []string{r.Host}
		}
		most := min(metadata.MaxValueBytes, left)
		value := headerValue{attribute: source.Attribute, text: joined(lines, most)}
		switch {
		case value.text == "":
			continue
		case len(value.text) > most:
			value.text, value.overlong = "", true
		}
		left -= len(value.text)
		if e.headers.values == nil {
			e.headers.values = make([]headerValue, 0, len(h.sources))
		}
		e.headers.values = append(e.headers.values, value)
	}
}

// joined returns the lines of a header as one value (RFC 9110, 5.2). Of one with more
// than most bytes it returns one byte more.
func joined(lines []string, most int) string {
	switch len(lines) {
	case 0:
		return ""
	case 1:
		return keep(textproto.TrimString(lines[0]), most)
	}
	var value strings.Builder
	for i, line := range lines {
		if i > 0 {
			value.WriteString(", ")
		}
		value.WriteString(keep(textproto.TrimString(line), most))
		if value.Len() > most {
			break
		}
	}
	return keep(value.String(), most)
}

// HeaderBytes is what the exchange holds of headers for attributes.
func (e *Exchange) HeaderBytes() int64 {
	held := cap(e.headers.values) * int(unsafe.Sizeof(headerValue{}))
	for i := range e.headers.values {
		held += len(e.headers.values[i].text)
	}
	return int64(held)
}

// set adds the values that can go into an event beside the owner's attributes,
// which take precedence, and names the others in replaced.
func (v *headerValues) set(own *extensions, owners []metadata.Attribute, replaced *replacements) {
	if len(v.values) == 0 {
		return
	}
	denied := v.of.denied()
	count, left := len(owners), metadata.MaxTotalBytes
	for i := range owners {
		left -= len(owners[i].Name) + len(owners[i].Value)
	}
	for _, value := range v.values {
		if slices.ContainsFunc(owners, func(a metadata.Attribute) bool { return a.Name == value.attribute }) {
			continue
		}
		size := len(value.attribute) + len(value.text)
		reason := value.leftOut(denied)
		if reason == "" && (size > left || count == metadata.MaxAttributes) {
			reason = LeftOutLength
		}
		if reason != "" {
			replaced.add(value.attribute)
			v.of.leftOut[slices.Index(leftOutReasons[:], reason)].Add(1)
			continue
		}
		count++
		left -= size
		own.setText(value.attribute, value.text)
	}
}

// leftOut returns the reason why no event can have the value, or "".
func (v *headerValue) leftOut(denied metadata.DeniedValues) LeftOutReason {
	if v.overlong {
		return LeftOutLength
	}
	if metadata.ValidateValue(v.text) != nil {
		return LeftOutInvalid
	}
	if _, matches := denied.Match(v.text); matches {
		return LeftOutDenied
	}
	return ""
}
