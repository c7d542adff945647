/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const (
	kserveTypePrefix = agentconfig.KServeTypePrefix

	// The attributes of KServe's logger beside those that every event has.
	annotationsAttribute = "annotations"
	metadataAttribute    = "metadata"
	recordedAttribute    = "recordedtime"

	hopsAttribute = "agenthops"

	maxClientEventIDBytes = 128
)

// As returns the event in the form of a profile, with the same data.
//
// In the profile kserve, a request and a response are what KServe's logger sends,
// for subscribers that read its headers and take the body for JSON: its types, one
// id for both events of an exchange, its attributes, and always binary mode. An
// event of another kind is the same in each profile.
//
// An error means that the event can't be expressed in that form, which no input
// should bring about.
func (e *Event) As(profile agentconfig.Profile) (*Event, error) {
	if e.kserve || !profile.Reshapes(e.Kind) {
		return e, nil
	}
	converted := *e
	converted.kserve = true
	converted.clientEventID, converted.recordedAfter = "", 0
	var replaced replacements
	if before := e.own.text("replaced"); before != "" {
		replaced = strings.Split(before, ",")
	}
	converted.id = e.clientEventID
	if converted.id == "" {
		converted.id = e.own.text("correlationid")
	}
	converted.contentType = replaced.contentTypeOfBinary(e.contentType)

	converted.own = make(extensions, len(e.own), len(e.own)+4)
	copy(converted.own, e.own)
	converted.own.setText(recordedAttribute, e.at.Add(e.recordedAfter).Format(time.RFC3339Nano))
	if e.hops > 0 {
		converted.own.setInteger(hopsAttribute, int32(e.hops))
	}
	converted.own.set(extension{name: metadataAttribute, text: e.headersJSON(), verbatim: true})
	converted.shared = e.shared.withAnnotations()

	// KServe's logger has no bound. Receivers commonly take 8 KiB, and the metadata
	// are attributes of their own, too.
	if converted.measure(); converted.headerSize > maxHeaderBytes && converted.shared != e.shared {
		converted.shared = e.shared
		replaced.add(annotationsAttribute)
		converted.measure()
	}
	if converted.headerSize > maxHeaderBytes {
		converted.own = slices.DeleteFunc(converted.own, func(own extension) bool { return own.name == metadataAttribute })
		replaced.add(metadataAttribute)
	}
	converted.own.setText("replaced", replaced.String())
	return finish(&converted)
}

// contentTypeOfBinary returns a content type that doesn't make a receiver of binary
// mode read the data as an event.
func (r *replacements) contentTypeOfBinary(contentType string) string {
	mediaType := mediaTypeOf(contentType)
	if !strings.HasPrefix(mediaType, "application/cloudevents") {
		return contentType
	}
	r.add("datacontenttype")
	if isJSON(mediaType) {
		return "application/json"
	}
	return octetStream
}

// clientEventID returns the client's Ce-Id: empty if it is too long, or if a header
// doesn't carry it unchanged.
func clientEventID(id string) string {
	if len(id) > maxClientEventIDBytes || !headerSafe(id) {
		return ""
	}
	return id
}

// headersJSON returns KServe's attribute metadata: the request's headers that are
// attributes of the event.
func (e *Event) headersJSON() string {
	headers := make(map[string][]string)
	for _, source := range e.shared.headers {
		if value := e.own.text(source.Attribute); value != "" {
			headers[http.CanonicalHeaderKey(source.Header)] = []string{value}
		}
	}
	return asciiJSON(headers)
}

// withAnnotations returns the attributes with KServe's attribute annotations, which
// has the owner's metadata. Its keys are names of attributes: the agent doesn't know
// the keys of the annotations.
func (s *shared) withAnnotations() *shared {
	s.annotatedOnce.Do(func() {
		annotations := make(map[string]string)
		for _, attribute := range s.metadata {
			if attribute.Value != "" && !metadata.Reserved(attribute.Name) {
				annotations[attribute.Name] = attribute.Value
			}
		}
		s.annotated = s
		if len(annotations) == 0 {
			return
		}
		s.annotated = &shared{
			identity: s.identity, metadata: s.metadata, source: s.source, headers: s.headers, headerSafe: true,
			extensions: slices.Clone(s.extensions),
		}
		s.annotated.extensions.set(extension{name: annotationsAttribute, text: asciiJSON(annotations), verbatim: true})
		s.annotated.encode()
	})
	return s.annotated
}

// asciiJSON returns JSON in printable ASCII without a percent sign. A header carries
// it as it is, and a receiver that decodes percent-encoding reads the same as one
// that doesn't: KServe's logger doesn't encode, and its subscribers don't decode.
func asciiJSON[V map[string]string | map[string][]string](value V) string {
	// Such a map is always valid JSON.
	encoded, _ := json.Marshal(value)
	var text strings.Builder
	for len(encoded) > 0 {
		r, size := utf8.DecodeRune(encoded)
		encoded = encoded[size:]
		if inASCIIJSON(r) {
			text.WriteByte(byte(r))
			continue
		}
		const digits = "0123456789abcdef"
		for _, unit := range utf16.AppendRune(nil, r) {
			text.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				text.WriteByte(digits[unit>>shift&0xf])
			}
		}
	}
	return text.String()
}

func inASCIIJSON(r rune) bool { return ' ' <= r && r <= '~' && r != '%' }

// isASCIIJSON reports whether text is as asciiJSON writes it.
func isASCIIJSON(text string) bool {
	return all(text, func(c byte) bool { return inASCIIJSON(rune(c)) }) && strings.HasPrefix(text, "{") && json.Valid([]byte(text)) && strings.HasSuffix(text, "}")
}
