/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const (
	octetStream = "application/octet-stream"

	maxSubjectBytes     = 1 << 10
	maxTraceParentBytes = 256
	maxTraceStateBytes  = 512
	maxContentTypeBytes = 512
	// maxCodingAttributeBytes is of the attribute contentencoding.
	maxCodingAttributeBytes = 64

	// CloudEvents takes names of at most 20 characters.
	inferenceHeaderAttribute = "inferenceheaderlen"
)

// replacements collects the attributes that don't say what the client or the
// model did, because that can't go into an event.
type replacements []string

func (r *replacements) add(attribute string) { *r = append(*r, attribute) }

func (r *replacements) String() string { return strings.Join(*r, ",") }

// contentType returns a content type that every receiver can parse.
func (r *replacements) contentType(contentType string) string {
	if contentType == "" || len(contentType) <= maxContentTypeBytes && plainMediaType(contentType) {
		return contentType
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if mediaType == "" {
		// The parser gives up on some parameters, such as one that is given
		// twice. The media type in front of them may still be good.
		essence, _, _ := strings.Cut(contentType, ";")
		mediaType, _, _ = mime.ParseMediaType(essence)
	}
	switch {
	case err == nil && len(contentType) <= maxContentTypeBytes && printable(contentType):
		return contentType
	case mediaType != "" && len(mediaType) <= maxContentTypeBytes && printable(mediaType):
		// Only its parameters are wrong (mime.ErrInvalidMediaParameter) or long.
		r.add("datacontenttype")
		return mediaType
	default:
		r.add("datacontenttype")
		return octetStream
	}
}

// subject returns a path as it was on the wire, up to maxSubjectBytes. Bytes that
// a CloudEvents String can't hold are percent-encoded, and so are spaces where
// there is nothing else: the SDK takes such a subject for none.
func (r *replacements) subject(path string) string {
	blank := path != "" && strings.TrimSpace(path) == ""
	if len(path) <= maxSubjectBytes && metadata.ValidateValue(path) == nil && !blank {
		return path
	}
	r.add("subject")
	var subject strings.Builder
	for len(path) > 0 {
		_, size := utf8.DecodeRuneInString(path)
		next := path[:size]
		if blank || metadata.ValidateValue(next) != nil {
			next = percentEncode(next)
		}
		if subject.Len()+len(next) > maxSubjectBytes {
			break
		}
		subject.WriteString(next)
		path = path[size:]
	}
	return subject.String()
}

// traceContext returns what is valid of the client's trace context. A tracestate
// without a valid traceparent means nothing (W3C Trace Context, 3.3).
func (r *replacements) traceContext(parents, states []string) (traceParent, traceState string) {
	if len(parents) == 0 {
		return "", ""
	}
	if len(parents) > 1 || !validTraceParent(parents[0]) {
		r.add("traceparent")
		return "", ""
	}
	return parents[0], r.traceState(states)
}

// validTraceParent takes a traceparent of version 00, and of a later version what
// 00 defines of it, with more after another hyphen (W3C Trace Context, 3.2).
func validTraceParent(value string) bool {
	const length = len("00-00000000000000000000000000000000-0000000000000000-00")
	if len(value) < length || len(value) > maxTraceParentBytes {
		return false
	}
	version, traceID, parentID, flags, more := value[:2], value[3:35], value[36:52], value[53:55], value[length:]
	if value[2] != '-' || value[35] != '-' || value[52] != '-' ||
		!all(version, isHexadecimal) || !all(traceID, isHexadecimal) || !all(parentID, isHexadecimal) || !all(flags, isHexadecimal) {
		return false
	}
	if version == "ff" || strings.Trim(traceID, "0") == "" || strings.Trim(parentID, "0") == "" {
		return false
	}
	return more == "" || version != "00" && len(more) > 1 && more[0] == '-' && all(more, isGraphic)
}

// isHexadecimal takes the digits of a trace context, which are in lower case.
func isHexadecimal(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }

func isGraphic(c byte) bool { return ' ' < c && c <= '~' }

func all(text string, is func(c byte) bool) bool {
	for i := range len(text) {
		if !is(text[i]) {
			return false
		}
	}
	return true
}

// traceState joins the list members and drops whole ones from its end where
// they are too long together. White space around members means nothing.
func (r *replacements) traceState(states []string) string {
	var kept strings.Builder
	for _, state := range states {
		for member := range strings.SplitSeq(state, ",") {
			member = strings.Trim(member, " \t")
			if member == "" {
				continue
			}
			if kept.Len()+1+len(member) > maxTraceStateBytes || !printable(member) {
				r.add("tracestate")
				return kept.String()
			}
			if kept.Len() > 0 {
				kept.WriteByte(',')
			}
			kept.WriteString(member)
		}
	}
	return kept.String()
}

// clientRequestID is left out where it doesn't match: it is an identifier, and
// half of one identifies nothing.
func (r *replacements) clientRequestID(id string) string {
	if len(id) <= maxClientRequestIDBytes && all(id, inClientRequestID) {
		return id
	}
	r.add("clientrequestid")
	return ""
}

func inClientRequestID(c byte) bool { return isAlphanumeric(c) || strings.IndexByte("._:-", c) >= 0 }

func (r *replacements) coding(coding string) string {
	if len(coding) <= maxCodingAttributeBytes && all(coding, inCoding) {
		return coding
	}
	r.add("contentencoding")
	return "unknown"
}

// inCoding takes no upper case: a coding comes in lower case.
func inCoding(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || strings.IndexByte("._+,-", c) >= 0
}

// inferenceHeaderLength returns the length of the JSON in front of the binary
// tensors of a body of at most most bytes, and whether there is one. A longer
// one than the body is none.
func (r *replacements) inferenceHeaderLength(text string, most int64) (length int32, given bool) {
	if text == "" {
		return 0, false
	}
	// So many digits fit an Integer of CloudEvents.
	if len(text) <= maxDecimalBytes && all(text, isDigit) {
		if parsed, err := strconv.ParseInt(text, 10, 32); err == nil && parsed <= most {
			return int32(parsed), true
		}
	}
	r.add(inferenceHeaderAttribute)
	return 0, false
}

// printable reports whether a value is printable ASCII, spaces included.
func printable(value string) bool {
	return all(value, func(c byte) bool { return c == ' ' || isGraphic(c) })
}
