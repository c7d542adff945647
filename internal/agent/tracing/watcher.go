/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package tracing

import (
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
)

// Watch returns a watcher that ends the spans with the exchange, and passes each
// call on to next, which may be nil.
func (e *Exchange) Watch(next proxy.Watcher) proxy.Watcher {
	if e == nil {
		return next
	}
	if next == nil {
		next = nobody{}
	}
	return &watcher{Watcher: next, exchange: e}
}

type watcher struct {
	proxy.Watcher
	exchange *Exchange
	status   int
	// responded says that the status is the model's, done that its whole response
	// was there.
	responded, done bool
}

func (r *watcher) ResponseHead(status int, header http.Header, contentLength int64) {
	r.Watcher.ResponseHead(status, header, contentLength)
	r.status, r.responded = status, true
}

func (r *watcher) ResponseDone() {
	r.Watcher.ResponseDone()
	r.done = true
}

func (r *watcher) TunnelOpened() {
	r.Watcher.TunnelOpened()
	r.status, r.responded, r.done = http.StatusSwitchingProtocols, true, true
}

func (r *watcher) NoResponse(status int) {
	r.Watcher.NoResponse(status)
	r.status, r.done = status, true
}

func (r *watcher) End(trailer http.Header) {
	r.Watcher.End(trailer)
	failure := ""
	switch {
	case r.done && !r.responded:
		failure = string(proxy.ErrorUnreachable)
	case !r.done && r.exchange.request.Err() != nil:
		failure = string(proxy.ErrorCanceled)
	case !r.done:
		failure = string(proxy.ErrorBroken)
	}
	clientStatus := r.status
	if !r.responded {
		clientStatus = 0
	}
	end(r.exchange.client, clientStatus, http.StatusBadRequest, failure)
	end(r.exchange.server, r.status, http.StatusInternalServerError, failure)
}

// end ends a span with the response's status, or 0 for none. The span is an error
// where there is a failure, and where the status is worst or above: the lowest
// status that is an error for the kind of span (semantic conventions for HTTP
// spans, Status).
func end(span trace.Span, status, worst int, failure string) {
	attributes := make([]attribute.KeyValue, 0, 2)
	if status != 0 {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(status))
		if failure == "" && status >= worst {
			failure = strconv.Itoa(status)
		}
	}
	if failure != "" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(failure))
		span.SetStatus(codes.Error, "")
	}
	span.SetAttributes(attributes...)
	span.End()
}

// nobody is the watcher of an exchange without events.
type nobody struct{}

func (nobody) RequestBytes([]byte)                  {}
func (nobody) RequestDone()                         {}
func (nobody) ResponseHead(int, http.Header, int64) {}
func (nobody) ResponseBytes([]byte)                 {}
func (nobody) ResponseMayBeWhole() bool             { return false }
func (nobody) ResponseDone()                        {}
func (nobody) TunnelOpened()                        {}
func (nobody) TunnelBytes(int, int)                 {}
func (nobody) NoResponse(int)                       {}
func (nobody) End(http.Header)                      {}
