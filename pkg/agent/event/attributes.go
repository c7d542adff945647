/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"mime"
	"regexp"
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

	// CloudEvents takes names of at most 20 characters.
	inferenceHeaderAttribute = "inferenceheaderlen"
)

var (
	clientRequestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)
	// A version 00 traceparent; of a later version what 00 defines of it
	// (W3C Trace Context, 3.2).
	traceParentPattern = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]+)?$`)
	codingPattern      = regexp.MustCompile(`^[a-z0-9._+,-]{1,64}$`)
	// At most 9 digits, which an Integer of CloudEvents holds.
	decimalBytesPattern = regexp.MustCompile(`^[0-9]{1,9}$`)
)

// replacements collects the attributes that don't say what the client or the
// model did, because that can't go into an event.
type replacements []string

func (r *replacements) add(attribute string) { *r = append(*r, attribute) }

func (r *replacements) String() string { return strings.Join(*r, ",") }

// contentType gives a content type that every receiver can parse.
func (r *replacements) contentType(contentType string) string {
	if contentType == "" {
		return ""
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

// subject gives a path as it was on the wire, up to maxSubjectBytes. Bytes that
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

// traceContext gives what is valid of the client's trace context. A tracestate
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

func validTraceParent(value string) bool {
	if len(value) > maxTraceParentBytes || !traceParentPattern.MatchString(value) {
		return false
	}
	version, traceID, parentID := value[:2], value[3:35], value[36:52]
	if version == "ff" || (version == "00" && len(value) != 55) {
		return false
	}
	return strings.Trim(traceID, "0") != "" && strings.Trim(parentID, "0") != ""
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
	if id == "" || clientRequestIDPattern.MatchString(id) {
		return id
	}
	r.add("clientrequestid")
	return ""
}

func (r *replacements) coding(coding string) string {
	if coding == "" || codingPattern.MatchString(coding) {
		return coding
	}
	r.add("contentencoding")
	return "unknown"
}

// inferenceHeaderLength gives the length of the JSON in front of the binary
// tensors of a body of at most most bytes, and whether there is one. A longer
// one than the body is none.
func (r *replacements) inferenceHeaderLength(text string, most int64) (length int32, given bool) {
	if text == "" {
		return 0, false
	}
	if decimalBytesPattern.MatchString(text) {
		if parsed, err := strconv.ParseInt(text, 10, 32); err == nil && parsed <= most {
			return int32(parsed), true
		}
	}
	r.add(inferenceHeaderAttribute)
	return 0, false
}

// printable says whether a value is printable ASCII, spaces included.
func printable(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}
