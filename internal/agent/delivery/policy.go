/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package delivery brings events to sinks. Its core decides, with the clock
// and the randomness given to it: what goes out next, what a response means,
// and how long a failing sink is left alone. Sink is the thin shell around it,
// and a Sender the one that does the I/O.
package delivery

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Result is what came of one attempt to send an event.
type Result struct {
	// Status is the sink's HTTP status, or 0 where it gave none.
	Status int
	// RetryAfter is how long the sink asked to be left alone, or 0.
	RetryAfter time.Duration
	// Body is the beginning of the response, where it didn't take
	// the event: at most event.MaxErrorBytes.
	Body []byte
	// Refused is the class of the sink's address where no sink may have that.
	Refused AddressClass
	// NoAddress says that the sink has no address now.
	NoAddress bool
	// Unsendable says that the event has no wire form.
	Unsendable bool
}

// NoResponse is the Result of an attempt to which no sink responded.
var NoResponse = Result{}

// Verdict is what a Result means for the event.
type Verdict uint8

// The verdicts.
const (
	// Delivered: the sink has the event.
	Delivered Verdict = iota
	// Retry: it may take the event later.
	Retry
	// Rejected: it never will.
	Rejected
)

// Judge applies the retry rules of the Knative data-plane contract
// (knative/specs, specs/eventing/data-plane.md, "Event Delivery"), which has
// 404, 408, 409, 429, 5xx and the absence of a response tried again, and leaves
// what it doesn't list to the sender.
func Judge(result Result) Verdict {
	status := result.Status
	switch {
	case result.Unsendable, result.NoAddress, result.Refused != AddressNone:
		return Rejected
	case status >= 200 && status <= 299:
		return Delivered
	case status == 0, status >= 500, status < 100:
		return Retry
	case status == http.StatusNotFound, status == http.StatusRequestTimeout,
		status == http.StatusConflict, status == http.StatusTooManyRequests:
		return Retry
	default:
		return Rejected
	}
}

// ParseRetryAfter reads a Retry-After header, which counts only on 429 and
// 503 (RFC 9110, 10.2.3), and at most for so long.
func ParseRetryAfter(status int, value string, now time.Time, most time.Duration) time.Duration {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0
	}
	value = strings.TrimSpace(value)
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(most/time.Second)+1)) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), most)
}

// Backoff is the wait after so many failed attempts in a row, with full
// jitter: between nothing and the doubled base. random is in [0, 1).
func Backoff(failures int, random float64) time.Duration {
	const (
		base = 200 * time.Millisecond
		most = 20 * time.Second
	)
	ceiling := most
	if failures < 8 {
		ceiling = min(most, base<<max(failures-1, 0))
	}
	return time.Duration(random * float64(ceiling))
}
