/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// Loop says by what a request was taken for one that carries an event of an
// agent: then the model may sit behind a Trigger that matches its own events,
// and events of the exchange would feed it without end. Any client can make its
// request look like that, so the exchange still gives an event, of the kind
// loop and without a body. Only a request that carries an event of that kind
// gives none: this is what ends a loop. The set is closed.
type Loop string

// The signs of a loop.
const (
	NoLoop Loop = ""
	// LoopHeader: the header Ce-Type names an event of an agent.
	LoopHeader Loop = "header"
	// LoopBody: the body is such an event in structured mode, or a batch with
	// one.
	LoopBody Loop = "body"
	// LoopUnreadable: the body is an event in structured mode, and its type is
	// not in the part of it that was kept.
	LoopUnreadable Loop = "unreadable"
	// LoopService: the request carries an event of the profile kserve that names the
	// InferenceService of this agent.
	LoopService Loop = "service"
	// LoopHops: the request carries an event of the profile kserve that is the
	// result of maxHops exchanges that carried such events.
	LoopHops Loop = "hops"
)

// A model may subscribe to the events of KServe's types of another one, as a drift
// detector does, and its exchanges are logged. Two such models may feed each other,
// which maxHops ends.
const maxHops = 2

// Carried is what is known of the events that a request carries.
type Carried struct {
	// Sign is NoLoop if the exchange is no part of a loop.
	Sign Loop
	// Ends says that the exchange gives no event at all.
	Ends bool
	// Hops is Exchange.Hops.
	Hops uint8
}

// with returns what is known of two events together.
func (c Carried) with(other Carried) Carried {
	c.Sign = cmp.Or(c.Sign, other.Sign)
	c.Hops = max(c.Hops, other.Hops)
	return c
}

// kserveEvent is what an event of KServe's types tells of its origin.
type kserveEvent struct{ eventType, service, namespace, source, hops string }

func (e *kserveEvent) isKServe() bool { return strings.HasPrefix(e.eventType, kserveTypePrefix) }

// set takes a member of the event's JSON.
func (e *kserveEvent) set(name string, value json.Token) {
	text, _ := value.(string)
	switch name {
	case "type":
		e.eventType = text
	case "inferenceservicename":
		e.service = text
	case "namespace":
		e.namespace = text
	case "source":
		e.source = text
	case hopsAttribute:
		// A number, unless a binary hop made it text.
		e.hops = fmt.Sprint(value)
	}
}

// carried judges an event for an agent.
func (e *kserveEvent) carried(of Identity) Carried {
	if !e.isKServe() {
		return Carried{}
	}
	hops, err := strconv.ParseUint(e.hops, 10, 8)
	if err != nil {
		hops = 0
	}
	sameService := e.service == of.InferenceService && e.namespace == of.Namespace
	if of.InferenceService == "" {
		sameService = sameService && e.source == of.Source
	}
	switch {
	case sameService:
		return Carried{Sign: LoopService}
	case hops >= maxHops:
		return Carried{Sign: LoopHops}
	default:
		return Carried{Hops: uint8(hops) + 1}
	}
}

// maxLoopEventBytes is more than an event of the kind loop takes in structured
// mode.
const maxLoopEventBytes = 64 << 10

// InHeader reads the head of a request for an event in binary mode. The loop ends
// where that event is of the kind loop. Identity is that of the agent.
func InHeader(header http.Header, identity Identity) Carried {
	eventType := header.Get("Ce-Type")
	if ownType(eventType) {
		return Carried{Sign: LoopHeader, Ends: endsLoop(eventType)}
	}
	event := kserveEvent{eventType: eventType}
	if !event.isKServe() {
		return Carried{}
	}
	event.service, event.namespace = header.Get("Ce-Inferenceservicename"), header.Get("Ce-Namespace")
	event.source, event.hops = header.Get("Ce-Source"), header.Get("Ce-Agenthops")
	return event.carried(identity)
}

// MayLoop reports whether a request carries an event in structured mode, so that
// only its body tells.
func MayLoop(contentType string) bool {
	return strings.HasPrefix(mediaTypeOf(contentType), "application/cloudevents")
}

// InBody reads the body of a request for which MayLoop holds, as far as it was
// kept. The loop ends where the only events of agents in it are of the kind loop,
// and where it can't be read but may be such an event by its size. Identity is that
// of the agent.
func InBody(body Body, identity Identity) Carried {
	sign, ends, kserve := loopInBody(body, identity)
	if sign == NoLoop {
		return kserve
	}
	return Carried{Sign: sign, Ends: ends}
}

// loopInBody returns the sign of an event of the agents' own types, and what the
// events of KServe's types are.
func loopInBody(body Body, identity Identity) (sign Loop, ends bool, kserve Carried) {
	decoder := json.NewDecoder(bytes.NewReader(body.Data))
	depth, inBatch, key := 0, false, ""
	var event kserveEvent
	for expectKey := true; ; {
		token, err := decoder.Token()
		if err != nil {
			if sign == NoLoop && !body.Whole() && (inBatch || !event.isKServe()) {
				return LoopUnreadable, body.Size <= maxLoopEventBytes, kserve
			}
			// What is whole and no JSON is no event. One of KServe's types that is cut
			// off is judged by its beginning.
			return sign, ends, kserve.with(event.carried(identity))
		}
		delimiter, isDelimiter := token.(json.Delim)
		top := depth == 1 || inBatch && depth == 2
		switch {
		case isDelimiter && (delimiter == '{' || delimiter == '['):
			if depth == 0 {
				inBatch = delimiter == '['
			}
			depth++
			expectKey = true
		case isDelimiter:
			depth--
			expectKey = true
			if depth == 0 || inBatch && depth == 1 {
				kserve = kserve.with(event.carried(identity))
				event = kserveEvent{}
			}
		case top && expectKey:
			key, _ = token.(string)
			expectKey = false
			continue
		case top:
			event.set(key, token)
			if value, ok := token.(string); ok && key == "type" {
				if ownType(value) {
					ends = endsLoop(value) && (ends || sign == NoLoop)
					sign = LoopBody
				}
				// The other attributes of KServe's event may follow.
				if !inBatch && !event.isKServe() || sign != NoLoop && !ends {
					return sign, ends, kserve
				}
			}
			expectKey = true
		}
	}
}

func ownType(eventType string) bool { return strings.HasPrefix(eventType, TypePrefix) }

func endsLoop(eventType string) bool { return eventType == TypePrefix+string(agentconfig.KindLoop) }
