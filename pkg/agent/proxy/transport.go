/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout closes our connections to the model before the servers that
	// models commonly use do (2 s and more), so that no request goes out on a
	// connection that is being closed.
	idleTimeout        = time.Second
	maxIdleConnections = 1000
	copyBufferBytes    = 32 << 10
)

// mirror speaks to the model the protocol in which the request came, as
// queue-proxy does.
type mirror struct {
	http1, http2 *http.Transport
}

func newTransport() *mirror {
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	connect := dial((&net.Dialer{Timeout: dialTimeout}).DialContext)
	return &mirror{http1: transportFor(http1, connect.readFirst), http2: transportFor(http2, connect)}
}

func transportFor(protocols *http.Protocols, connect dial) *http.Transport {
	return &http.Transport{
		// No proxy of the environment: the model is next door.
		Proxy:               nil,
		Protocols:           protocols,
		DialContext:         connect,
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxIdleConnections,
		IdleConnTimeout:     idleTimeout,
		// Without it the body would be asked for at once, whatever the model
		// says to "Expect: 100-continue".
		ExpectContinueTimeout: time.Second,
	}
}

func (m *mirror) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ProtoMajor == 2 {
		return m.http2.RoundTrip(r)
	}
	return m.http1.RoundTrip(r)
}

func (m *mirror) CloseIdleConnections() {
	m.http1.CloseIdleConnections()
	m.http2.CloseIdleConnections()
}

// bufferPool keeps the buffers that answers are copied through.
type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any {
		buffer := make([]byte, copyBufferBytes)
		return &buffer
	}}}
}

func (p *bufferPool) Get() []byte { return *p.pool.Get().(*[]byte) }

func (p *bufferPool) Put(buffer []byte) { p.pool.Put(&buffer) }
