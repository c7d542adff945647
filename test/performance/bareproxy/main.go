/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Bareproxy is what the agent is compared with: an httputil.ReverseProxy that
// logs nothing. It is a binary of its own, so that it has nothing else in it.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "", "the address to serve on")
	admin := flag.String("admin", "", "the address to serve /allocations on")
	target := flag.String("target", "", "the address of the model")
	pooled := flag.Bool("pool", false, "use a BufferPool")
	flag.Parse()
	if err := run(*listen, *admin, *target, *pooled); err != nil {
		log.Fatal(err)
	}
}

func run(listen, admin, target string, pooled bool) error {
	adminListener, err := net.Listen("tcp", admin)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- server(allocations()).Serve(adminListener) }()
	go func() { ended <- server(fullDuplex(proxy(target, pooled))).Serve(listener) }()
	return <-ended
}

func server(handler http.Handler) *http.Server {
	s := &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s
}

// fullDuplex has the server leave the request's body alone when the response
// begins. Otherwise it may close the body under the transport, which then breaks
// off the response (https://go.dev/issue/40747).
func fullDuplex(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 {
			_ = http.NewResponseController(w).EnableFullDuplex()
		}
		next.ServeHTTP(w, r)
	})
}

func proxy(target string, pooled bool) *httputil.ReverseProxy {
	p := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: target}) },
		Transport: newMirror(),
	}
	if pooled {
		p.BufferPool = &bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
	}
	return p
}

// mirror speaks to the model the protocol of the request.
type mirror struct{ http1, http2 *http.Transport }

func newMirror() *mirror {
	m := &mirror{http1: newTransport(), http2: newTransport()}
	m.http1.Protocols.SetHTTP1(true)
	m.http2.Protocols.SetUnencryptedHTTP2(true)
	return m
}

func newTransport() *http.Transport {
	return &http.Transport{
		Protocols:           new(http.Protocols),
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1000,
		IdleConnTimeout:     90 * time.Second,
	}
}

func (m *mirror) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ProtoMajor == 2 {
		return m.http2.RoundTrip(r)
	}
	return m.http1.RoundTrip(r)
}

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte       { return p.pool.Get().(*[32 << 10]byte)[:] }
func (p *bufferPool) Put(buffer []byte) { p.pool.Put((*[32 << 10]byte)(buffer)) }

// allocations says how much the process has allocated since its start.
func allocations() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		_ = json.NewEncoder(w).Encode(map[string]uint64{"allocations": stats.Mallocs, "bytes": stats.TotalAlloc})
	})
}
