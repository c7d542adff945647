/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

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
	Kind Kind

	attributes cloudevents.Event
	data       []byte
	mode       ContentMode
	structured bool
	headerSize int
}

// Data is the event's data.
func (e *Event) Data() []byte { return e.data }

// ID is the event's id.
func (e *Event) ID() string { return e.attributes.ID() }

// TraceContext gives the attributes traceparent and tracestate, empty where they
// are absent.
func (e *Event) TraceContext() (traceParent, traceState string) {
	extensions := e.attributes.Extensions()
	traceParent, _ = extensions["traceparent"].(string)
	traceState, _ = extensions["tracestate"].(string)
	return traceParent, traceState
}

// Builder makes events of observations.
type Builder struct {
	Identity    Identity
	ContentMode ContentMode
	// MaxPayloadBytes bounds an event's data.
	MaxPayloadBytes int64
}

// Build makes the event of an observation that Classify gave a kind. The
// event's kind is another one only where the body turned out not to be
// decodable. An error means that the event can't be expressed in CloudEvents,
// which no input should bring about.
func (b *Builder) Build(o *Observation, kind Kind, attributes []metadata.Attribute) (*Event, error) {
	var replaced replacements
	content := b.content(o, kind)
	context, err := b.context(o.Exchange.CorrelationID+"-"+o.Side.String(), content.kind, o.At)
	if err != nil {
		return nil, err
	}
	if subject := replaced.subject(o.Exchange.Path); subject != "" {
		context.Subject = &subject
	}
	if contentType := replaced.contentType(content.contentType); contentType != "" {
		context.DataContentType = &contentType
	}

	text := func(name, value string) { setText(context, name, value) }
	// The owner's metadata first: nothing of it can replace what is ours.
	for _, attribute := range attributes {
		text(attribute.Name, attribute.Value)
	}
	text("correlationid", o.Exchange.CorrelationID)
	text("clientrequestid", replaced.clientRequestID(o.Exchange.ClientRequestID))
	text("contentencoding", replaced.coding(content.coding))
	if length, given := replaced.inferenceHeaderLength(o.Coding.InferenceHeaderLength, content.size); given {
		context.Extensions[inferenceHeaderAttribute] = length
	}
	b.Identity.set(context)
	traceParent, traceState := replaced.traceContext(o.Exchange.TraceParent, o.Exchange.TraceState)
	text("traceparent", traceParent)
	text("tracestate", traceState)
	if o.Side != Request {
		if o.Status != NoStatus {
			context.Extensions["statuscode"] = int32(o.Status)
		}
		if o.GRPCStatus != NoStatus {
			context.Extensions["grpcstatus"] = int32(o.GRPCStatus)
		}
		context.Extensions["durationms"] = milliseconds(o.At.Sub(o.Exchange.Received))
	}
	if o.Side == Tunnel {
		text("bytesfromclient", strconv.FormatInt(o.Flow.FromClient, 10))
		text("bytesfrommodel", strconv.FormatInt(o.Flow.FromModel, 10))
	}
	if o.Side == Looped {
		text("loopreason", string(o.Loop))
	}
	if o.Side == Looped || !o.Body.Whole() {
		// A String: CloudEvents' Integer has 32 bits, a body may be larger.
		text("bodysize", strconv.FormatInt(o.Body.Size, 10))
		text("bodysha256", o.Body.hash())
	}
	text("replaced", replaced.String())
	return b.finish(content.kind, context, content.data)
}

// context gives the attributes that every event has, but for the Identity's.
func (b *Builder) context(id string, kind Kind, at time.Time) (*cloudevents.EventContextV1, error) {
	source := types.ParseURIRef(b.Identity.Source)
	if source == nil {
		return nil, fmt.Errorf("the source %q is no URI reference", b.Identity.Source)
	}
	return &cloudevents.EventContextV1{
		ID:         id,
		Source:     *source,
		Type:       TypePrefix + string(kind),
		Time:       &types.Timestamp{Time: at.UTC()},
		Extensions: make(map[string]any, 24),
	}, nil
}

func (i *Identity) set(context *cloudevents.EventContextV1) {
	setText(context, "inferenceservicename", i.InferenceService)
	setText(context, "namespace", i.Namespace)
	setText(context, "component", i.Component)
	setText(context, "revision", i.Revision)
	setText(context, "agentinstance", i.AgentInstance)
}

func setText(context *cloudevents.EventContextV1, name, value string) {
	if value != "" {
		context.Extensions[name] = value
	}
}

func (b *Builder) finish(kind Kind, context *cloudevents.EventContextV1, data []byte) (*Event, error) {
	built := &Event{
		Kind: kind, data: data, mode: b.ContentMode,
		attributes: cloudevents.Event{Context: context},
		headerSize: headerSize(context),
	}
	if err := built.attributes.Validate(); err != nil {
		return nil, fmt.Errorf("building an event: %w", err)
	}
	built.structured = b.ContentMode.structured(built)
	return built, nil
}

// content is an event's data, and what is said of it.
type content struct {
	kind        Kind
	data        []byte
	contentType string
	// coding is the content coding that was removed, or of a failure, a
	// stream or an encoded kind: the one that is still there.
	coding string
	// size is the most bytes that the body can have without its coding.
	size int64
}

func (b *Builder) content(o *Observation, kind Kind) content {
	grpc := isGRPC(o.Coding.ContentType)
	coding := contentCodingOf(o.Coding.ContentEncoding)
	messageCoding := ""
	if grpc {
		messageCoding = contentCodingOf(o.Coding.GRPCEncoding)
	}
	raw := content{
		kind: kind, data: o.Body.Data, contentType: o.Coding.ContentType,
		coding: firstOf(coding, messageCoding), size: math.MaxInt64,
	}
	if raw.coding == "" && o.Complete {
		raw.size = o.Body.Size
	}

	switch {
	case kind == o.Side.oversize(), kind == KindLoop:
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
	return content{kind: kind, data: decoded, contentType: contentType, coding: raw.coding, size: int64(len(decoded))}
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// milliseconds fits a duration into a CloudEvents Integer, which has 32 bits.
func milliseconds(d time.Duration) int32 {
	return int32(min(max(d.Milliseconds(), 0), 1<<31-1))
}
