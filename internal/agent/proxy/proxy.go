/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package proxy passes exchanges through to the model, unchanged, and lets a
// Watcher watch the bodies as they flow. Nothing is read ahead, and nothing
// that a Watcher does reaches the client.
package proxy

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// Watcher watches one exchange. Its methods never block and don't keep what
// they are given. Those of the request may be called at the same time as those
// of the response; End is called last, though a read of the request's body
// that is in flight may still follow it.
type Watcher interface {
	// RequestBytes is called with the next bytes of the request's body.
	RequestBytes(p []byte)
	// RequestDone says that the request's body is complete.
	RequestDone()
	// ResponseHead is called with the head of the model's response, not of a 1xx.
	ResponseHead(status int, header http.Header, contentLength int64)
	// ResponseBytes is called with the next bytes of the response's body.
	ResponseBytes(p []byte)
	// ResponseMayBeWhole reports whether the bytes so far may be all of the response's
	// body, so that only its end is still to come.
	ResponseMayBeWhole() bool
	// ResponseDone says that the response's body is complete.
	ResponseDone()
	// TunnelOpened says that the exchange became a tunnel, instead of a
	// ResponseHead.
	TunnelOpened()
	// TunnelBytes counts what went through the tunnel. It may still follow End.
	TunnelBytes(fromClient, fromModel int)
	// NoResponse says that the agent had to respond with this status itself.
	NoResponse(status int)
	// End says that the exchange is over, with the response's trailer.
	End(trailer http.Header)
}

// Handler is the reverse proxy in front of the model.
type Handler struct {
	// Begin returns the watcher of an exchange, nil for one that nobody
	// watches, and the headers that the model gets beside the client's own.
	Begin func(r *http.Request) (Watcher, http.Header)
	// OnError is called with the reason why the model gave no response, by class.
	OnError func(class ErrorClass)
	// OnOverhead may be told what the agent itself added to an exchange that a
	// watcher watched and the model responded, as overhead says.
	OnOverhead func(added time.Duration)
	// onRefused is called for an exchange that got 503, because there was
	// no room for it.
	onRefused func()

	proxy    httputil.ReverseProxy
	target   *url.URL
	active   atomic.Int64
	begun    atomic.Uint64
	room     room
	refusals atomic.Int64
}

// New returns a Handler for a model at target, whose scheme and host are used.
func New(target *url.URL, begin func(*http.Request) (Watcher, http.Header), onError func(ErrorClass)) *Handler {
	return &Handler{
		Begin:   begin,
		OnError: onError,
		target:  target,
		proxy: httputil.ReverseProxy{
			Transport: newTransport(target),
			// At once: the model decides on its chunks, as without the agent.
			FlushInterval: -1,
			BufferPool:    copyBuffers,
			// Its lines quote what the model or the client sent.
			ErrorLog: log.New(io.Discard, "", 0),
		},
	}
}

// Active is the number of exchanges in flight, tunnels included.
func (h *Handler) Active() int64 { return h.active.Load() }

// Begun is the number of exchanges that ever began.
func (h *Handler) Begun() uint64 { return h.begun.Load() }

// Limit bounds the exchanges in flight. It is to be called before the first.
func (h *Handler) Limit(exchanges int64, onRefused func()) {
	h.room.limit, h.onRefused = exchanges, onRefused
}

// CloseIdleConnections closes those to the model that are not in use.
func (h *Handler) CloseIdleConnections() {
	h.proxy.Transport.(*mirror).CloseIdleConnections()
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.begun.Add(1)
	leaveHead(r)
	part := partOf(r)
	if !h.room.enter(part) {
		h.refuse(w, r)
		return
	}
	defer h.room.leave(part)
	h.active.Add(1)
	defer h.active.Add(-1)
	if r.ProtoMajor == 1 {
		// A model may respond while it still reads. Unsupported only by test
		// recorders.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}

	if r.Header.Get("Expect") != "" {
		w = continueOnce{w}
	}

	h.pass(w, r)
}

// continueOnce leaves a 100 (Continue) to the server, which sends it when the
// body is read because the model asked for it. ReverseProxy would pass the
// model's own on as well.
type continueOnce struct{ http.ResponseWriter }

func (w continueOnce) WriteHeader(status int) {
	if status != http.StatusContinue {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap is for http.ResponseController.
func (w continueOnce) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ErrorClass says why the model gave no response. The set is closed.
type ErrorClass string

// The classes.
const (
	// ErrorUnreachable: no connection to the model came about.
	ErrorUnreachable ErrorClass = "unreachable"
	// ErrorCanceled: the client went away first.
	ErrorCanceled ErrorClass = "canceled"
	// ErrorBroken: the model ended the exchange before its response.
	ErrorBroken ErrorClass = "broken"
)

// ErrorClasses lists every ErrorClass.
func ErrorClasses() []ErrorClass {
	return []ErrorClass{ErrorUnreachable, ErrorCanceled, ErrorBroken}
}

// classify never quotes the error: it may hold bytes that the model sent.
func classify(r *http.Request, err error) ErrorClass {
	var operation *net.OpError
	switch {
	case r.Context().Err() != nil:
		return ErrorCanceled
	case errors.As(err, &operation) && operation.Op == "dial":
		return ErrorUnreachable
	default:
		return ErrorBroken
	}
}

// NewServer returns the server of the agent's serving port: HTTP/1.1 and HTTP/2
// without TLS.
func NewServer(handler http.Handler, errorLog *log.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:     handler,
		Protocols:   protocols,
		ErrorLog:    errorLog,
		HTTP2:       http2Windows(),
		ConnContext: withHead,
		ConnState:   nextHead,
		// As queue-proxy's own.
		ReadHeaderTimeout: time.Minute,
		// "OPTIONS *" is for the model, too.
		DisableGeneralOptionsHandler: true,
		// No IdleTimeout: the caller closes first, or a request that it sends
		// on a connection that we just closed is lost.
	}
}
