/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package panics decides whether a panic ends the work on one event or the
// agent. It never passes on the value of a panic, because the value may quote
// what a client or the model sent.
package panics

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Place is where a panic began: a function, its file and line.
type Place string

// Catch calls work, and returns the place where it panicked: empty where it did
// not.
func Catch(work func()) (place Place) {
	defer func() {
		if recover() != nil {
			place = origin()
		}
	}()
	work()
	return ""
}

// Handler handles panics. Its zero value is ready to use.
type Handler struct {
	// OnEvent is called for a panic that cost one event.
	OnEvent func(Place)
	// OnAgent is called for a panic after which the agent can't go on. It must end
	// the process.
	OnAgent func(Place)
}

// Event does the work on one event, and reports whether it returned. After a
// panic the caller counts the event as invalid.
func (h Handler) Event(work func()) bool {
	place := Catch(work)
	if place != "" && h.OnEvent != nil {
		h.OnEvent(place)
	}
	return place == ""
}

// Agent does a goroutine's work outside of single events. After a panic the
// agent can't go on: work may be half done, and locks may be held.
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

// origin must be called by the deferred function that recovered.
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
