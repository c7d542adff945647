/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package panics decides what a panic ends: the work on one event, or the
// agent. What a goroutine panicked with is never told, because it may quote what a
// client or the model sent.
package panics

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Place is where a panic began: a function, its file and line.
type Place string

// Catch does some work, and gives the place where it panicked: empty where it
// did not.
func Catch(work func()) (place Place) {
	defer func() {
		if recover() != nil {
			place = origin()
		}
	}()
	work()
	return ""
}

// Handler says what becomes of panics. Its zero value is ready to use.
type Handler struct {
	// OnEvent is told of a panic that cost one event.
	OnEvent func(Place)
	// OnAgent is told of a panic that the agent can't go on after. It is to end
	// the process.
	OnAgent func(Place)
}

// Event does the work on one event, and says whether it came to its end. Where
// it did not, the caller counts the event as invalid.
func (h Handler) Event(work func()) bool {
	place := Catch(work)
	if place != "" && h.OnEvent != nil {
		h.OnEvent(place)
	}
	return place == ""
}

// Agent does what a goroutine is there for, beside the work on single events.
// After a panic nobody knows what it left half done, under which locks.
func (h Handler) Agent(work func()) {
	place := Catch(work)
	switch {
	case place == "":
	case h.OnAgent != nil:
		h.OnAgent(place)
	default:
		panic("a panic at " + string(place))
	}
}

// origin is to be called by the deferred function that recovered.
func origin() Place {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for panicked := false; ; {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(frame.Function, "runtime."):
			return Place(fmt.Sprintf("%s (%s:%d)", frame.Function, path.Base(frame.File), frame.Line))
		}
		if !more {
			return "unknown"
		}
	}
}
