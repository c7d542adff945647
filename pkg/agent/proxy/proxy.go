/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package proxy passes exchanges through to the model, unchanged, and lets a
// Recorder watch the bodies as they flow. Nothing is read ahead, and nothing
// that a Recorder does reaches the client.
package proxy

import (
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/inference"
)

// Recorder watches one exchange. Its methods never block and don't keep what
// they are given. Those of the request may be called at the same time as those
// of the response; End is called last, though a read of the request's body
// that is under way may still follow it.
type Recorder interface {
	// RequestBytes gives the next bytes of the request's body.
	RequestBytes(p []byte)
	// RequestDone says that the request's body is complete.
	RequestDone()
	// ResponseHead gives the head of the model's answer, not of a 1xx.
	ResponseHead(status int, header http.Header, contentLength int64)
	// ResponseBytes gives the next bytes of the answer's body.
	ResponseBytes(p []byte)
	// ResponseMayBeWhole says whether the bytes so far may be all of the answer's
	// body, so that only its end is still to come.
	ResponseMayBeWhole() bool
	// ResponseDone says that the answer's body is complete.
	ResponseDone()
	// TunnelOpened says that the exchange became a tunnel, instead of a
	// ResponseHead.
	TunnelOpened()
	// TunnelBytes counts what went through the tunnel. It may still follow End.
	TunnelBytes(fromClient, fromModel int)
	// Unanswered says that the agent had to answer with this status itself.
	Unanswered(status int)
	// End says that the exchange is over, with the answer's trailer.
	End(trailer http.Header)
}

// Handler is the reverse proxy in front of the model.
type Handler struct {
	// Begin gives the recorder of an exchange, nil for one that nobody
	// watches, and the headers that the model gets beside the client's own.
	Begin func(r *http.Request) (Recorder, http.Header)
	// OnError is told why the model gave no answer, by class.
	OnError func(class ErrorClass)
	// OnOverhead may be told what the agent itself added to an exchange that a
	// recorder watched and the model answered, as overhead says.
	OnOverhead func(added time.Duration)
	// onRefused is told of an exchange that was answered with 503, because there was
	// no room for it.
	onRefused func()

	proxy    httputil.ReverseProxy
	target   *url.URL
	active   atomic.Int64
	begun    atomic.Uint64
	room     room
	refusals atomic.Int64
}

// New gives a Handler for a model at target, whose scheme and host are used.
func New(target *url.URL, begin func(*http.Request) (Recorder, http.Header), onError func(ErrorClass)) *Handler {
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

// Active is the number of exchanges that are under way, tunnels included.
func (h *Handler) Active() int64 { return h.active.Load() }

// Begun is the number of exchanges that ever began.
func (h *Handler) Begun() uint64 { return h.begun.Load() }

// Limit bounds the exchanges under way. It is to be called before the first.
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
		// A model may answer while it still reads. Unsupported only by test
		// recorders.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}

	if r.Header.Get("Expect") != "" {
		w = continueOnce{w}
	}

	added := overhead{mark: time.Now()}
	recorder, extra := h.Begin(r)
	var answer *http.Response
	if recorder != nil {
		// Also when ReverseProxy panics with ErrAbortHandler, which goes on.
		defer func() {
			var trailer http.Header
			if answer != nil {
				trailer = answer.Trailer
			}
			recorder.End(trailer)
			if answer != nil && h.OnOverhead != nil {
				added.stop()
				h.OnOverhead(added.total())
			}
		}()
	}

	if !inference.AsksForTunnel(r) {
		// ReverseProxy would pass any other protocol on, or refuse the request
		// because of it.
		r.Header.Del("Upgrade")
	}

	proxy := h.proxy
	proxy.Transport = meteredTransport{h.proxy.Transport, &added}
	patience := &linger{RoundTripper: proxy.Transport, recorder: recorder}
	if recorder != nil {
		proxy.Transport = patience
	}
	var rest unread
	proxy.Rewrite = func(p *httputil.ProxyRequest) {
		if p.In.ProtoMajor == 1 && p.Out.Body != nil {
			p.Out.Body = rest.watch(p.Out.Body)
		}
		h.rewrite(p, extra)
		if recorder != nil {
			watchRequest(p.Out, recorder, &added)
		}
		if p.In.ProtoMajor == 2 && p.Out.Body != nil {
			p.Out.Body = closingBody{p.Out.Body, p.In.Body}
		}
	}
	proxy.ModifyResponse = func(res *http.Response) error {
		if _, given := res.Header["Content-Type"]; !given {
			// Or the server would guess one.
			w.Header()["Content-Type"] = nil
		}
		if res.ContentLength == 0 {
			// Nothing to flush: an answer of a head alone, such as a gRPC
			// error's, must not become a head and an empty body.
			proxy.FlushInterval = 0
		}
		if res.StatusCode != http.StatusSwitchingProtocols {
			rest.endConnection(w)
		}
		if recorder == nil {
			return nil
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			watchTunnel(r, res, recorder)
			return nil
		}
		answer = res
		recorder.ResponseHead(res.StatusCode, res.Header, res.ContentLength)
		watched := meteredBody{added.watch(res.Body, recorder.ResponseBytes, recorder.ResponseDone), &added}
		res.Body = &lingeringBody{ReadCloser: watched, linger: patience}
		return nil
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		class := classify(r, err)
		h.OnError(class)
		if class != ErrorUnreachable {
			// The model broke off, and so do we: the caller sees what it would
			// see without the agent.
			panic(http.ErrAbortHandler)
		}
		if recorder != nil {
			recorder.Unanswered(http.StatusBadGateway)
		}
		rest.endConnection(w)
		// As queue-proxy, which would meet the same error without the agent.
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
	proxy.ServeHTTP(w, r)
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

// forwarding headers are removed by ReverseProxy before Rewrite. They are the
// ingress's word, and the model's to read.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

func (h *Handler) rewrite(p *httputil.ProxyRequest, extra http.Header) {
	out, in := p.Out, p.In
	out.URL.Scheme = h.target.Scheme
	out.URL.Host = h.target.Host
	// Not cleaned: what the client wrote is the model's to judge.
	out.URL.RawQuery = in.URL.RawQuery
	out.URL.Opaque = unescaped(in)
	out.Host = in.Host
	for _, name := range forwarding {
		if values, ok := in.Header[name]; ok {
			out.Header[name] = values
		}
	}
	for name, values := range extra {
		out.Header[name] = values
	}
	forwardTrailer(out, in)
}

// unescaped gives the path of a request as the client wrote it, where net/http
// would escape what RFC 3986 has escaped, and "" elsewhere. A path that begins
// with two slashes stays net/http's: as a URL's Opaque it would be a host.
func unescaped(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if path == r.URL.EscapedPath() || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return ""
	}
	return path
}

// forwardTrailer has the model get the request's trailer.
func forwardTrailer(out, in *http.Request) {
	announced := in.Trailer != nil
	if announced || in.ProtoMajor != 1 || in.ContentLength >= 0 || out.Body == nil {
		// The same map: its values arrive only after the body.
		out.Trailer = in.Trailer
		return
	}
	// Under HTTP/1.1 a chunked body may have a trailer that nothing announces.
	out.Trailer = make(http.Header)
	out.Body = trailedBody{out.Body, in, out.Trailer}
}

// trailedBody copies the trailer that an inbound request has after its body.
type trailedBody struct {
	io.ReadCloser
	inbound *http.Request
	trailer http.Header
}

func (b trailedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		maps.Copy(b.trailer, b.inbound.Trailer)
	}
	return n, err
}

func watchRequest(out *http.Request, recorder Recorder, added *overhead) {
	if out.Body == nil || out.Body == http.NoBody {
		recorder.RequestDone()
		return
	}
	out.Body = added.watch(out.Body, recorder.RequestBytes, recorder.RequestDone)
}

// closingBody closes the client's body with the one that goes to the model.
// ReverseProxy keeps them apart, for closing may block under HTTP/1. Under
// HTTP/2 it doesn't, and without it a model that answers before the end of the
// request would leave the exchange waiting for the client for ever.
type closingBody struct {
	io.ReadCloser
	inbound io.Closer
}

func (b closingBody) Close() error {
	return errors.Join(b.ReadCloser.Close(), b.inbound.Close())
}

// watchedBody shows the bytes of a body to a recorder as they are read.
type watchedBody struct {
	io.ReadCloser
	bytes func([]byte)
	done  func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.bytes(p[:n])
	}
	if err == io.EOF {
		b.done()
	}
	return n, err
}

// ErrorClass says why the model gave no answer. The set is closed.
type ErrorClass string

// The classes.
const (
	// ErrorUnreachable: no connection to the model came about.
	ErrorUnreachable ErrorClass = "unreachable"
	// ErrorCanceled: the client went away first.
	ErrorCanceled ErrorClass = "canceled"
	// ErrorBroken: the model ended the exchange before its answer.
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

// NewServer gives the server of the agent's serving port: HTTP/1.1 and HTTP/2
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
		// "OPTIONS *" is the model's to answer, too.
		DisableGeneralOptionsHandler: true,
		// No IdleTimeout: the caller closes first, or a request that it sends
		// on a connection that we just closed is lost.
	}
}
