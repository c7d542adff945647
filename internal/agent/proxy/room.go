/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// headShare is how many bytes of a request's head count as one exchange more.
	// An exchange takes some 96 KiB, and a head is there about three times: as it
	// was read, as it is passed on, and as garbage.
	headShare = 32 << 10

	// retryAfter, in seconds, is when a client may come again that found no room.
	retryAfter = "1"
	// refusalTime bounds the wait for the rest of a refused request, without
	// which the connection would be reset and the response lost with it. While
	// more than maxRefusals wait, the wait is shortRefusalTime.
	refusalTime      = 5 * time.Second
	shortRefusalTime = 250 * time.Millisecond
	maxRefusedBytes  = 256 << 10
	maxRefusals      = 512
)

// room bounds the exchanges in flight. It is safe for concurrent use.
type room struct {
	// limit is the number of ordinary exchanges; 0 is no bound.
	limit int64
	taken atomic.Int64
}

// enter takes a part of the room, and reports whether there was one. Whoever is
// alone always finds room.
func (r *room) enter(part int64) bool {
	for {
		taken := r.taken.Load()
		if r.limit > 0 && taken > 0 && part > r.limit-taken {
			return false
		}
		if r.taken.CompareAndSwap(taken, taken+part) {
			return true
		}
	}
}

func (r *room) leave(part int64) { r.taken.Add(-part) }

// partOf is what an exchange takes of the room: more with a long head.
func partOf(r *http.Request) int64 {
	head := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			head += len(name) + len(value)
		}
	}
	return 1 + int64(head/headShare)
}

// refuse responds to a request for which there is no room.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request) {
	h.onRefused()
	w.Header().Set("Retry-After", retryAfter)
	const message = "the agent in front of the model has too many requests in flight"
	if r.ProtoMajor != 1 {
		http.Error(w, message, http.StatusServiceUnavailable)
		return
	}
	// A connection is memory, too.
	w.Header().Set("Connection", "close")
	control := http.NewResponseController(w)
	// The response doesn't wait for the request's body.
	_ = control.EnableFullDuplex()
	wait := refusalTime
	if h.refusals.Add(1) > maxRefusals {
		wait = shortRefusalTime
	}
	defer h.refusals.Add(-1)
	_ = control.SetReadDeadline(time.Now().Add(wait))
	// With it the response is whole before the wait.
	w.Header().Set("Content-Length", strconv.Itoa(len(message)))
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, message)
	_ = control.Flush()
	if r.Header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxRefusedBytes))
	}
	_ = control.SetReadDeadline(time.Now())
}
