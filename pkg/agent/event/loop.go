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
)

// Loop says whether a request carries an event of an agent, in binary mode:
// then a model sits behind a Trigger that matches its own events, and logging
// it would feed it for ever.
func Loop(header http.Header) bool {
	return ownType(header.Get("Ce-Type"))
}

// MayLoop says whether a request carries an event in structured mode, so that
// only its body tells.
func MayLoop(contentType string) bool {
	return strings.HasPrefix(mediaTypeOf(contentType), "application/cloudevents")
}

// LoopInBody says whether the body of a request for which MayLoop holds
// carries an event of an agent, as far as it was kept. A body that can't be
// read counts as a loop: a missing event is the lesser harm.
func LoopInBody(body Body) bool {
	decoder := json.NewDecoder(bytes.NewReader(body.Data))
	depth, inBatch, key := 0, false, ""
	for expectKey := true; ; {
		token, err := decoder.Token()
		if err != nil {
			return !body.Whole() || len(body.Data) > 0 && depth > 0
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
				if ownType(value) || !inBatch {
					return ownType(value)
				}
			}
			expectKey = true
		}
	}
}

func ownType(eventType string) bool { return strings.HasPrefix(eventType, TypePrefix) }
