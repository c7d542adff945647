/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// The stored form of an event, which isn't one of CloudEvents': none of those
// has the agent's choice of a content mode, and reading JSON would make an
// Integer another type. Integers are little-endian, a string is its length in
// four bytes and its bytes:
//
//	version     1 byte: 1, or 2 for an event of another profile than sidenote
//	structured  1 byte, 0 or 1
//	strings     kind, content mode; in version 2 the profile; id, source
//	time        seconds since 1970 in 8 bytes, nanoseconds in 4
//	optional    subject, datacontenttype: 1 byte, 0 or 1, then the string
//	count       of the extension attributes, 2 bytes
//	each        the name, 1 byte for the type, then a string or 4 bytes
//	data        up to the end
//
// An event of the profile sidenote has version 1, so that an earlier agent can
// read it.
const (
	storedVersion          = 1
	storedVersionOfProfile = 2
)

// The types of extension attributes that the agent gives.
const (
	storedString  = 's'
	storedInteger = 'i'
	// storedVerbatim is in version 2 only.
	storedVerbatim = 'v'

	// leastStoredExtension is an extension with an empty name and value.
	leastStoredExtension = 4 + 1 + 4
)

var errStored = errors.New("the bytes are not a stored event")

// Stored returns the event in two parts, to be written one after the other and
// read by ReadStored. The second is its data, not copied. The first is appended
// to head.
func (e *Event) Stored(head []byte) (attributes, data []byte) {
	version := byte(storedVersion)
	if e.kserve {
		version = storedVersionOfProfile
	}
	b := append(head, version)
	b = appendFlag(b, e.structured)
	b = appendString(b, string(e.Kind))
	b = appendString(b, string(e.mode))
	if e.kserve {
		b = appendString(b, string(agentconfig.ProfileKServe))
	}
	b = appendString(b, e.id)
	b = appendString(b, e.source)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(e.at.Nanosecond()))
	b = appendOptionalString(b, e.subject)
	b = appendOptionalString(b, e.contentType)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.shared.extensions)+len(e.own)))
	for extension := range e.extensions() {
		b = appendString(b, extension.name)
		switch {
		case extension.integer:
			b = binary.LittleEndian.AppendUint32(append(b, storedInteger), uint32(extension.number))
		case extension.verbatim:
			b = appendString(append(b, storedVerbatim), extension.text)
		default:
			b = appendString(append(b, storedString), extension.text)
		}
	}
	return b, e.data
}

func appendFlag(b []byte, set bool) []byte {
	if set {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendString(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
}

func appendOptionalString(b []byte, text string) []byte {
	if text == "" {
		return appendFlag(b, false)
	}
	return appendString(appendFlag(b, true), text)
}

// ReadStored returns the event of what Stored gave. Its data are bytes of stored,
// which must not change any more. What it takes beside is bounded by stored's
// length.
func ReadStored(stored []byte) (*Event, error) {
	r := storedReader{rest: stored}
	version := r.byte()
	if version != storedVersion && version != storedVersionOfProfile {
		return nil, errStored
	}
	e := &Event{shared: noneShared, kserve: version == storedVersionOfProfile, structured: r.flag()}
	var err error
	if e.Kind, err = agentconfig.ParseKind(r.string()); err != nil {
		return nil, errStored
	}
	if e.mode, err = agentconfig.ParseContentMode(r.string()); err != nil {
		return nil, errStored
	}
	if e.kserve && (r.string() != string(agentconfig.ProfileKServe) || e.structured || !agentconfig.ProfileKServe.Reshapes(e.Kind)) {
		return nil, errStored
	}
	e.id = r.string()
	if e.source, err = NormalizeSource(r.string()); err != nil {
		return nil, errStored
	}
	e.at = r.time()
	e.subject = r.optionalString()
	e.contentType = r.optionalString()
	e.own = r.extensions(e.kserve)
	if r.failed {
		return nil, errStored
	}
	e.data = r.rest
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errStored, err)
	}
	e.measure()
	return e, nil
}

// storedReader takes values off the front of bytes. Once it has failed it gives
// zeros.
type storedReader struct {
	rest   []byte
	failed bool
}

func (r *storedReader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *storedReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *storedReader) flag() bool {
	b := r.byte()
	r.failed = r.failed || b > 1
	return b == 1
}

func (r *storedReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *storedReader) string() string { return string(r.take(uint64(r.uint32()))) }

// optionalString returns an empty string for an absent one. It refuses one that is
// present and empty.
func (r *storedReader) optionalString() string {
	if !r.flag() {
		return ""
	}
	text := r.string()
	r.failed = r.failed || text == ""
	return text
}

func (r *storedReader) time() time.Time {
	var seconds uint64
	if b := r.take(8); b != nil {
		seconds = binary.LittleEndian.Uint64(b)
	}
	nanoseconds := r.uint32()
	if nanoseconds >= uint32(time.Second) {
		r.failed = true
		return time.Time{}
	}
	at := time.Unix(int64(seconds), int64(nanoseconds)).UTC()
	// RFC 3339 has years of four digits.
	if at.Year() < 0 || at.Year() > 9999 {
		r.failed = true
	}
	return at
}

// currentName returns an attribute that an earlier agent stored its present name:
// the old one is longer than CloudEvents allows, and some SDKs refuse the event.
func currentName(name string) string {
	if name == "inferenceheaderlength" {
		return inferenceHeaderAttribute
	}
	return name
}

// extensions reads extension attributes. Only an event of a profile may have
// verbatim ones.
func (r *storedReader) extensions(mayBeVerbatim bool) extensions {
	count := 0
	if b := r.take(2); b != nil {
		count = int(binary.LittleEndian.Uint16(b))
	}
	// Each extension takes leastStoredExtension bytes or more of the rest.
	read := make(extensions, 0, min(count, len(r.rest)/leastStoredExtension))
	for range count {
		next := extension{name: currentName(r.string())}
		switch r.byte() {
		case storedString:
			next.text = r.string()
		case storedInteger:
			next.integer, next.number = true, int32(r.uint32())
		case storedVerbatim:
			next.verbatim, next.text = true, r.string()
			r.failed = r.failed || !mayBeVerbatim || !isASCIIJSON(next.text)
		default:
			r.failed = true
		}
		if r.failed || !validExtensionName(next.name) {
			r.failed = true
			return nil
		}
		read = append(read, next)
	}
	byName := func(a, b extension) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(read, byName)
	if len(slices.CompactFunc(read, func(a, b extension) bool { return a.name == b.name })) != count {
		r.failed = true
	}
	return read
}
