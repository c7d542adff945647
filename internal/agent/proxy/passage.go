/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"net/http"
	"net/http/httputil"

	"github.com/sidenote-dev/sidenote/internal/inference"
)

// passage is one exchange on its way through the proxy. It holds the state that
// the hooks and the bodies share, in one allocation.
type passage struct {
	handler *Handler
	client  http.ResponseWriter
	request *http.Request
	// watcher is nil where nobody watches.
	watcher Watcher
	// extra are the headers that the model gets beside the client's own.
	extra http.Header
	// proxy is the handler's, with the hooks of this exchange.
	proxy httputil.ReverseProxy

	unread   unread
	overhead overhead
	linger   linger
	// response is the model's, once its head is there.
	response     *http.Response
	requestBody  watchedBody
	responseBody responseBody
}

// pass passes an exchange through.
func (h *Handler) pass(w http.ResponseWriter, r *http.Request) {
	p := &passage{handler: h, client: w, request: r, proxy: h.proxy}
	p.overhead.start()
	p.watcher, p.extra = h.Begin(r)
	p.proxy.Rewrite, p.proxy.ModifyResponse, p.proxy.ErrorHandler = p.rewrite, p.relay, p.noResponse
	if p.watcher != nil {
		p.linger = linger{RoundTripper: h.proxy.Transport, watcher: p.watcher, overhead: &p.overhead}
		p.proxy.Transport = &p.linger
		// Also when ReverseProxy panics with ErrAbortHandler, which goes on.
		defer p.end()
	}
	if !inference.AsksForTunnel(r) {
		// ReverseProxy would pass any other protocol on, or refuse the request
		// because of it.
		r.Header.Del("Upgrade")
	}
	p.proxy.ServeHTTP(w, r)
}

// rewrite makes the request to the model.
func (p *passage) rewrite(r *httputil.ProxyRequest) {
	if r.In.ProtoMajor == 1 && r.Out.Body != nil {
		r.Out.Body = p.unread.watch(r.Out.Body)
	}
	forward(r.Out, r.In, p.handler.target, p.extra)
	if p.watcher != nil {
		p.watchRequest(r.Out)
	}
	if r.In.ProtoMajor == 2 && r.Out.Body != nil {
		r.Out.Body = closingBody{r.Out.Body, r.In.Body}
	}
}

func (p *passage) watchRequest(out *http.Request) {
	if bodiless(out) {
		p.watcher.RequestDone()
		return
	}
	p.requestBody = watchedBody{out.Body, p.watcher, Watcher.RequestBytes, Watcher.RequestDone, &p.overhead}
	out.Body = &p.requestBody
}

// relay prepares the model's response for the client.
func (p *passage) relay(res *http.Response) error {
	if _, given := res.Header["Content-Type"]; !given {
		// Or the server would guess one.
		p.client.Header()["Content-Type"] = nil
	}
	if res.ContentLength == 0 {
		// Nothing to flush: a response of a head alone, such as a gRPC
		// error's, must not become a head and an empty body.
		p.proxy.FlushInterval = 0
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		p.unread.endConnection(p.client)
	}
	if p.watcher == nil {
		return nil
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		watchTunnel(p.request, res, p.watcher)
		return nil
	}
	p.response = res
	p.watcher.ResponseHead(res.StatusCode, res.Header, res.ContentLength)
	p.responseBody = responseBody{
		watchedBody: watchedBody{res.Body, p.watcher, Watcher.ResponseBytes, Watcher.ResponseDone, &p.overhead},
		linger:      &p.linger,
	}
	res.Body = &p.responseBody
	return nil
}

// noResponse is called where the model gave no response.
func (p *passage) noResponse(w http.ResponseWriter, r *http.Request, err error) {
	class := classify(r, err)
	p.handler.OnError(class)
	if class != ErrorUnreachable {
		// The model broke off, and so do we: the caller sees what it would
		// see without the agent.
		panic(http.ErrAbortHandler)
	}
	if p.watcher != nil {
		p.watcher.NoResponse(http.StatusBadGateway)
	}
	p.unread.endConnection(w)
	// As queue-proxy, which would meet the same error without the agent.
	http.Error(w, err.Error(), http.StatusBadGateway)
}

func (p *passage) end() {
	var trailer http.Header
	if p.response != nil {
		trailer = p.response.Trailer
	}
	p.watcher.End(trailer)
	if p.response != nil && p.handler.OnOverhead != nil {
		p.overhead.stop()
		p.handler.OnOverhead(p.overhead.total())
	}
}
