/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"encoding/json"
	"net/http"
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
)

// maxLoopEventBytes is more than an event of the kind loop takes in structured
// mode.
const maxLoopEventBytes = 64 << 10

// LoopInHeader reads the head of a request for an event in binary mode. It ends
// the loop where that event is of the kind loop.
func LoopInHeader(header http.Header) (sign Loop, ends bool) {
	eventType := header.Get("Ce-Type")
	if !ownType(eventType) {
		return NoLoop, false
	}
	return LoopHeader, endsLoop(eventType)
}

// MayLoop reports whether a request carries an event in structured mode, so that
// only its body tells.
func MayLoop(contentType string) bool {
	return strings.HasPrefix(mediaTypeOf(contentType), "application/cloudevents")
}

// LoopInBody reads the body of a request for which MayLoop holds, as far as it
// was kept. It ends the loop where the only events of agents in it are of the
// kind loop, and where it can't be read but may be such an event by its size.
func LoopInBody(body Body) (sign Loop, ends bool) {
	decoder := json.NewDecoder(bytes.NewReader(body.Data))
	depth, inBatch, key := 0, false, ""
	for expectKey := true; ; {
		token, err := decoder.Token()
		if err != nil {
			if sign == NoLoop && !body.Whole() {
				return LoopUnreadable, body.Size <= maxLoopEventBytes
			}
			// What is whole and no JSON is no event.
			return sign, ends
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
		case top && expectKey:
			key, _ = token.(string)
			expectKey = false
			continue
		case top:
			if value, ok := token.(string); ok && key == "type" {
				if ownType(value) {
					ends = endsLoop(value) && (ends || sign == NoLoop)
					sign = LoopBody
				}
				if !inBatch || sign != NoLoop && !ends {
					return sign, ends
				}
			}
			expectKey = true
		}
	}
}

func ownType(eventType string) bool { return strings.HasPrefix(eventType, TypePrefix) }

func endsLoop(eventType string) bool { return eventType == TypePrefix+string(agentconfig.KindLoop) }
