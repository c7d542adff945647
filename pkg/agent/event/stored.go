/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// The stored form of an event, which isn't one of CloudEvents': none of those
// has the agent's choice of a content mode, and reading JSON would make an
// Integer another type. Integers are little-endian, a string is its length in
// four bytes and its bytes:
//
//	version     1 byte
//	structured  1 byte, 0 or 1
//	strings     kind, content mode, id, source
//	time        seconds since 1970 in 8 bytes, nanoseconds in 4
//	optional    subject, datacontenttype: 1 byte, 0 or 1, then the string
//	count       of the extension attributes, 2 bytes
//	each        the name, 1 byte for the type, then a string or 4 bytes
//	data        up to the end
const storedVersion = 1

// The types of extension attributes that the agent gives.
const (
	storedString  = 's'
	storedInteger = 'i'
)

var errStored = errors.New("the bytes are no stored event")

// Stored gives the event in two parts, to be written one after the other and
// read by ReadStored. The second is its data, not copied. The first is appended
// to head.
func (e *Event) Stored(head []byte) (attributes, data []byte, err error) {
	context, ok := e.attributes.Context.(*cloudevents.EventContextV1)
	if !ok || context.Time == nil || context.DataSchema != nil {
		return nil, nil, errors.New("storing an event: it isn't one that a Builder made")
	}
	b := append(head, storedVersion)
	b = appendFlag(b, e.structured)
	for _, text := range []string{string(e.Kind), string(e.mode), context.ID, context.Source.String()} {
		b = appendString(b, text)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(context.Time.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(context.Time.Nanosecond()))
	for _, text := range []*string{context.Subject, context.DataContentType} {
		b = appendFlag(b, text != nil)
		if text != nil {
			b = appendString(b, *text)
		}
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(context.Extensions)))
	for _, name := range slices.Sorted(maps.Keys(context.Extensions)) {
		b = appendString(b, name)
		switch value := context.Extensions[name].(type) {
		case string:
			b = appendString(append(b, storedString), value)
		case int32:
			b = binary.LittleEndian.AppendUint32(append(b, storedInteger), uint32(value))
		default:
			return nil, nil, fmt.Errorf("storing an event: attribute %q is of type %T", name, value)
		}
	}
	return b, e.data, nil
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

// ReadStored gives the event of what Stored gave. Its data are bytes of stored,
// which must not change any more. What it takes beside is bounded by stored's
// length.
func ReadStored(stored []byte) (*Event, error) {
	r := storedReader{rest: stored}
	if r.byte() != storedVersion {
		return nil, errStored
	}
	e := &Event{structured: r.flag()}
	var err error
	if e.Kind, err = parseKind(r.string()); err != nil {
		return nil, errStored
	}
	if e.mode, err = ParseContentMode(r.string()); err != nil {
		return nil, errStored
	}
	context := &cloudevents.EventContextV1{Type: TypePrefix + string(e.Kind), ID: r.string()}
	source := types.ParseURIRef(r.string())
	if source == nil {
		return nil, errStored
	}
	context.Source = *source
	context.Time = &types.Timestamp{Time: r.time()}
	context.Subject = r.optionalString()
	context.DataContentType = r.optionalString()
	context.Extensions = r.extensions()
	if r.failed {
		return nil, errStored
	}
	e.data = r.rest
	e.attributes = cloudevents.Event{Context: context}
	if err := e.attributes.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errStored, err)
	}
	e.headerSize = headerSize(context)
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

func (r *storedReader) optionalString() *string {
	if !r.flag() {
		return nil
	}
	text := r.string()
	return &text
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
	return time.Unix(int64(seconds), int64(nanoseconds)).UTC()
}

// currentName gives an attribute that an earlier agent stored its present name:
// the old one is longer than CloudEvents allows, and some SDKs refuse the event.
func currentName(name string) string {
	if name == "inferenceheaderlength" {
		return inferenceHeaderAttribute
	}
	return name
}

func (r *storedReader) extensions() map[string]any {
	count := 0
	if b := r.take(2); b != nil {
		count = int(binary.LittleEndian.Uint16(b))
	}
	extensions := make(map[string]any)
	for range count {
		name := currentName(r.string())
		switch r.byte() {
		case storedString:
			extensions[name] = r.string()
		case storedInteger:
			extensions[name] = int32(r.uint32())
		default:
			r.failed = true
		}
		if r.failed {
			return nil
		}
	}
	if len(extensions) != count {
		r.failed = true
	}
	return extensions
}
