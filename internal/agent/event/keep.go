/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"strings"
	"unsafe"
)

// A string of a request or response is often a part of the whole head, and
// keeps all of it in memory. An observation outlives its exchange, so each of
// its strings is a copy, and no longer than an attribute needs.

const (
	maxClientRequestIDBytes = 128
	maxCodingBytes          = 256
	maxDecimalBytes         = 9
)

// overlongCoding stands for a coding that is too long to be one. It is neither
// a coding that can be decoded nor one that an event names.
const overlongCoding = "(overlong)"

// keep returns a copy of a value that may have most bytes. Of a longer one the
// copy has one byte more, so that it still counts as too long.
func keep(value string, most int) string {
	return strings.Clone(value[:min(len(value), most+1)])
}

func keepCoding(coding string) string {
	if len(coding) > maxCodingBytes {
		return overlongCoding
	}
	return strings.Clone(coding)
}

// keepParents keeps two values at most: more than one is as bad as many.
func keepParents(parents []string) []string {
	var kept []string
	for _, parent := range parents[:min(len(parents), 2)] {
		kept = append(kept, keep(parent, maxTraceParentBytes))
	}
	return kept
}

// keepStates keeps the list members that can go into an event, and the first
// that can't.
func keepStates(states []string) []string {
	var kept []string
	total := 0
	for _, state := range states {
		for member := range strings.SplitSeq(state, ",") {
			member = strings.Trim(member, " \t")
			if member == "" {
				continue
			}
			kept = append(kept, keep(member, maxTraceStateBytes))
			if total += len(member) + 1; total > maxTraceStateBytes+1 {
				return kept
			}
		}
	}
	return kept
}

// kept returns an exchange that holds nothing of the request's head.
func (e *Exchange) kept() *Exchange {
	e.ClientRequestID = keep(e.ClientRequestID, maxClientRequestIDBytes)
	e.ClientEventID = strings.Clone(e.ClientEventID)
	e.Path = keep(e.Path, maxSubjectBytes)
	e.TraceParent = keepParents(e.TraceParent)
	e.TraceState = keepStates(e.TraceState)
	return e
}

// KeepTraceContext has the events of an exchange come from elsewhere than the
// client says. It holds nothing of the request's head.
func (e *Exchange) KeepTraceContext(origin TraceContext) {
	e.TraceParent, e.TraceState = keepParents([]string{origin.Parent}), keepStates(origin.State)
}

// kept returns a coding that holds nothing of the head it was read from.
func (c Coding) kept() Coding {
	return Coding{
		ContentType:           keep(c.ContentType, maxContentTypeBytes),
		ContentEncoding:       keepCoding(c.ContentEncoding),
		GRPCEncoding:          keepCoding(c.GRPCEncoding),
		InferenceHeaderLength: keep(c.InferenceHeaderLength, maxDecimalBytes),
	}
}

// AttributeBytes is the length of the values of all attributes that the event
// doesn't share with other events, and what it takes to hold more of them than
// usual.
func (e *Event) AttributeBytes() int64 {
	length := len(e.id) + len(e.subject) + len(e.contentType) + len(e.clientEventID)
	length += max(0, cap(e.own)-usualExtensions) * int(unsafe.Sizeof(extension{}))
	for i := range e.own {
		length += len(e.own[i].text)
	}
	return int64(length)
}
