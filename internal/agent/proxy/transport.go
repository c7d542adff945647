/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"net"
	"net/http"
	"net/url"
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

	// streamWindow is what the other end of a stream may send before we have
	// passed it on, so that a client or a model that reads nothing leaves no more
	// with us. Both other ends are in the same pod, where a small window costs no
	// throughput (docs/performance.md).
	streamWindow = 64 << 10
	// frameSize is the largest frame that the other end may send. net/http
	// announces 1 MiB to clients: one that fills such a frame exceeds the window,
	// and its stream is reset.
	frameSize = streamWindow
	// maxStreams is how many streams a connection may have, net/http's own number.
	maxStreams = 250
)

// http2Windows bounds what is held of streams that the other end doesn't read.
// The window of a connection has room for all of its streams: those that nobody
// reads hold up no other.
func http2Windows() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReadFrameSize:              frameSize,
		MaxReceiveBufferPerStream:     streamWindow,
		MaxReceiveBufferPerConnection: maxStreams * streamWindow,
	}
}

// mirror speaks to the model the protocol in which the request came, as
// queue-proxy does.
type mirror struct {
	inline       *inline
	http1, http2 *http.Transport
}

func newTransport(target *url.URL) *mirror {
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	connect := dial((&net.Dialer{Timeout: dialTimeout}).DialContext)
	return &mirror{newInline(target, connect), transportFor(http1, connect.readFirst), transportFor(http2, connect)}
}

func transportFor(protocols *http.Protocols, connect dial) *http.Transport {
	return &http.Transport{
		// No proxy of the environment: the model is next door.
		Proxy:               nil,
		Protocols:           protocols,
		HTTP2:               http2Windows(),
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
	if target, takes := m.inline.takes(r); takes {
		return m.inline.exchange(r, target)
	}
	return m.http1.RoundTrip(r)
}

func (m *mirror) CloseIdleConnections() {
	m.inline.pool.CloseIdle()
	m.http1.CloseIdleConnections()
	m.http2.CloseIdleConnections()
}

// bufferPool keeps buffers of one size.
type bufferPool struct{ pool sync.Pool }

// copyBuffers are those that bodies are copied through.
var copyBuffers = newBufferPool(copyBufferBytes)

func newBufferPool(bytes int) *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any {
		buffer := make([]byte, bytes)
		return &buffer
	}}}
}

func (p *bufferPool) Get() []byte { return *p.pool.Get().(*[]byte) }

func (p *bufferPool) Put(buffer []byte) { p.pool.Put(&buffer) }
