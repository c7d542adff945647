/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Identity is what every event of an agent says of where it comes from.
type Identity struct {
	// Source is the events' source, a URI reference.
	Source string
	// InferenceService, Namespace, Component and Revision are left out where
	// they are empty.
	InferenceService, Namespace, Component, Revision string
	// AgentInstance is a random name for one start of an agent.
	AgentInstance string
}

// Event is a CloudEvent but for its agentsequence, which is another one for
// each sink. It doesn't change once it is built.
type Event struct {
	Kind agentconfig.Kind

	id, source string
	// subject and contentType are empty where they are absent.
	subject, contentType string
	at                   time.Time
	// shared has the extensions that other events have, too, and own has the
	// others. No name is in both.
	shared *shared
	own    extensions
	data   []byte

	mode       agentconfig.ContentMode
	structured bool
	headerSize int

	// kserve says that the event is in the profile kserve. The other fields are for
	// As: the id that the client gave its request, and how long after at the event was
	// recorded.
	kserve        bool
	hops          uint8
	clientEventID string
	recordedAfter time.Duration
}

// Type is the event's type.
func (e *Event) Type() string { return e.typePrefix() + string(e.Kind) }

func (e *Event) typePrefix() string {
	if e.kserve {
		return kserveTypePrefix
	}
	return TypePrefix
}

// Data is the event's data.
func (e *Event) Data() []byte { return e.data }

// ID is the event's id.
func (e *Event) ID() string { return e.id }

// TraceContext returns the attributes traceparent and tracestate, empty where they
// are absent.
func (e *Event) TraceContext() (traceParent, traceState string) {
	return e.own.text("traceparent"), e.own.text("tracestate")
}

// Builder makes events of observations. It is safe for concurrent use, and must
// not be copied once it is used.
type Builder struct {
	Identity    Identity
	ContentMode agentconfig.ContentMode
	// MaxPayloadBytes bounds an event's data.
	MaxPayloadBytes int64
	// Streams says which data the stream of a language model has.
	Streams agentconfig.Streams
	// MetadataHeaders are the headers of a request whose values become attributes.
	MetadataHeaders []agentconfig.HeaderSource

	lastShared atomic.Pointer[shared]
}

// usualExtensions is how many extensions of its own an event seldom exceeds.
const usualExtensions = 6

// Build makes the event of an observation that Classify gave a kind. The
// event's kind is another one only where the body turned out not to be
// decodable. An error means that the event can't be expressed in CloudEvents,
// which no input should bring about.
func (b *Builder) Build(o *Observation, kind agentconfig.Kind, attributes []metadata.Attribute) (*Event, error) {
	shared, err := b.sharedBy(attributes)
	if err != nil {
		return nil, err
	}
	var replaced replacements
	content := b.content(o, kind)
	subject := replaced.subject(o.Exchange.Path)
	contentType := replaced.contentType(content.contentType)

	own := make(extensions, 0, usualExtensions+content.generation.extensions()+len(o.Exchange.headers.values))
	own.setText("correlationid", o.Exchange.CorrelationID)
	own.setText("clientrequestid", replaced.clientRequestID(o.Exchange.ClientRequestID))
	own.setText("contentencoding", replaced.coding(content.coding))
	if length, given := replaced.inferenceHeaderLength(o.Coding.InferenceHeaderLength, content.size); given {
		own.setInteger(inferenceHeaderAttribute, length)
	}
	if o.Side != Request {
		own.setInteger("durationms", milliseconds(o.At.Sub(o.Exchange.Received)))
		if o.GRPCStatus != NoStatus {
			own.setInteger("grpcstatus", int32(o.GRPCStatus))
		}
		if o.Status != NoStatus {
			own.setInteger("statuscode", int32(o.Status))
		}
	}
	if rate := o.Exchange.SampledRate; rate > 0 {
		own.setInteger("sampledrate", rate)
	}
	traceParent, traceState := replaced.traceContext(o.Exchange.TraceParent, o.Exchange.TraceState)
	own.setText("traceparent", traceParent)
	own.setText("tracestate", traceState)
	if o.Side == Tunnel {
		own.setText("bytesfromclient", strconv.FormatInt(o.Flow.FromClient, 10))
		own.setText("bytesfrommodel", strconv.FormatInt(o.Flow.FromModel, 10))
	}
	content.generation.addTo(&own, &replaced)
	if o.Side == Looped {
		own.setText("loopreason", string(o.Loop))
	}
	if o.Side == Looped || !o.Body.Whole() {
		// A String: CloudEvents' Integer has 32 bits, a body may be larger.
		own.setText("bodysize", strconv.FormatInt(o.Body.Size, 10))
		own.setText("bodysha256", o.Body.hash())
	}
	o.Exchange.headers.set(&own, attributes, &replaced)
	own.setText("replaced", replaced.String())
	return finish(&Event{
		Kind: content.kind, id: o.Exchange.CorrelationID + "-" + o.Side.String(), source: shared.source,
		subject: subject, contentType: contentType, at: o.At.UTC(),
		shared: shared, own: own, data: content.data, mode: b.ContentMode,
		hops: o.Exchange.Hops, clientEventID: o.Exchange.ClientEventID, recordedAfter: o.recordedAfter(),
	})
}

// finish checks an event and chooses its content mode.
func finish(e *Event) (*Event, error) {
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("building an event: %w", err)
	}
	headersCarry := e.measure()
	e.structured = e.isStructured(headersCarry)
	return e, nil
}

// content is an event's data, and what is said of it.
type content struct {
	kind        agentconfig.Kind
	data        []byte
	contentType string
	// coding is the content coding that was removed, or of a failure, a
	// stream or an encoded kind: the one that is still there.
	coding string
	// size is the most bytes that the body can have without its coding.
	size int64
	// generation is what the body says of the call of a language model.
	generation generation
}

func (b *Builder) content(o *Observation, kind agentconfig.Kind) content {
	grpc := isGRPC(o.Coding.ContentType)
	coding := contentCodingOf(o.Coding.ContentEncoding)
	messageCoding := ""
	if grpc {
		messageCoding = contentCodingOf(o.Coding.GRPCEncoding)
	}
	raw := content{
		kind: kind, data: o.Body.Data, contentType: o.Coding.ContentType,
		coding: cmp.Or(coding, messageCoding), size: math.MaxInt64,
	}
	if raw.coding == "" && o.Complete {
		raw.size = o.Body.Size
	}

	switch {
	case kind == o.Side.oversize(), kind == agentconfig.KindLoop:
		raw.data = nil
		return raw
	case kind == o.Side.encoded(), len(raw.data) == 0, !o.Body.Whole(), !o.Complete:
		return raw
	}

	decoded, err := decode(coding, raw.data, b.MaxPayloadBytes)
	if o.ByContent && errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	contentType := raw.contentType
	if err == nil && grpc && isUnary(decoded) {
		decoded, err = unframe(decoded, messageCoding, b.MaxPayloadBytes)
		contentType = messageContentType(contentType)
	}
	if err != nil {
		if kind != o.Side.failure() {
			raw.kind = o.Side.encoded()
		}
		return raw
	}
	made := content{kind: kind, data: decoded, contentType: contentType, coding: raw.coding, size: int64(len(decoded))}
	b.readGeneration(o, &made)
	return made
}

// milliseconds fits a duration into a CloudEvents Integer, which has 32 bits.
func milliseconds(d time.Duration) int32 {
	return int32(min(max(d.Milliseconds(), 0), 1<<31-1))
}
