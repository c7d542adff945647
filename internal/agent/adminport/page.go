/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package adminport

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"sync"
	"time"
)

// page caches the response of a handler for some time. One request at a time
// makes a new one.
type page struct {
	handler http.Handler
	fresh   time.Duration

	mu   sync.Mutex
	made time.Time
	last *response
}

// Page calls a handler for one client at a time, and gives all clients the same
// response, which is not older than fresh. The handler gets a request without
// headers.
func Page(handler http.Handler, fresh time.Duration) http.Handler {
	return &page{handler: handler, fresh: fresh}
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	responded := p.current(r)
	maps.Copy(w.Header(), responded.header)
	w.WriteHeader(responded.status)
	_, _ = w.Write(responded.body.Bytes())
}

func (p *page) current(r *http.Request) *response {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || time.Since(p.made) >= p.fresh {
		bare := r.Clone(context.WithoutCancel(r.Context()))
		bare.Method, bare.Header, bare.Body = http.MethodGet, make(http.Header), http.NoBody
		made := &response{header: make(http.Header), status: http.StatusOK}
		p.handler.ServeHTTP(made, bare)
		p.last, p.made = made, time.Now()
	}
	return p.last
}

// response is an http.ResponseWriter that keeps what is written.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *response) Header() http.Header { return a.header }

func (a *response) WriteHeader(status int) { a.status = status }

func (a *response) Write(p []byte) (int, error) { return a.body.Write(p) }
