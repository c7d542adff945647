/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// exchangeTimeout bounds one exchange: a client that waits for a sink is a
// failure, not a hang.
const exchangeTimeout = 2 * time.Minute

// clients are the load generator, and keep a ledger.
type clients struct {
	book[sent]

	url    string
	run    string
	number atomic.Uint64
	http1  *http.Transport
	http2  *http.Transport
}

func newClients(t *testing.T, url, run string) *clients {
	c := &clients{url: url, run: run, http1: transport(false), http2: transport(true)}
	t.Cleanup(c.hangUp)
	return c
}

func transport(http2 bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	return &http.Transport{Protocols: protocols, DisableCompression: true, MaxIdleConnsPerHost: 64,
		// A client that reads nothing takes little.
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}}
}

// hangUp closes connections that are not in use.
func (c *clients) hangUp() {
	c.http1.CloseIdleConnections()
	c.http2.CloseIdleConnections()
}

// sort is a sort of exchange, and how it is made.
type sort struct {
	plan
	http2 bool
	// until, where it is not nil, holds the end of the request's body back.
	until <-chan struct{}
	// unread, where it is not nil, holds the reading of the response's body back.
	unread <-chan struct{}
	// path is another one than usual.
	path string
}

func small() sort { return sort{plan: plan{kind: unary, requestBytes: 200, responseBytes: 300}} }

func sized(requestBytes, responseBytes int) sort {
	return sort{plan: plan{kind: unary, requestBytes: requestBytes, responseBytes: responseBytes}}
}

func overHTTP2(s sort) sort { s.http2 = true; return s }

// idleStream is a stream that the model goes on with when it is told to.
func idleStream() sort {
	return sort{plan: plan{kind: idle, requestBytes: 100, responseBytes: 1000}}
}

func serverSentEvents() sort {
	return sort{plan: plan{kind: sse, requestBytes: 100, responseBytes: 1000}}
}

func streaming() sort {
	return sort{plan: plan{kind: grpc, requestBytes: 300, responseBytes: 600}, http2: true}
}

func neverEnding() sort {
	return sort{plan: plan{kind: endless, requestBytes: 300, responseBytes: 600}, http2: true}
}

// heldUntil is a stream whose client sends its last message when it is told to.
func heldUntil(until <-chan struct{}) sort {
	held := streaming()
	held.until = until
	return held
}

// heldBack is an exchange whose client sends the second half of its body when
// it is told to.
func heldBack(until <-chan struct{}, s sort) sort { s.until = until; return s }

// unreadUntil is an exchange whose client reads the response's body when it is
// told to. It takes no more before than HTTP/2 makes it take.
func unreadUntil(told <-chan struct{}, s sort) sort {
	s.unread = told
	return s
}

// at is an exchange with another path than usual.
func at(path string, s sort) sort { s.path = path; return s }

// exchange makes one exchange, books it, and gives its id.
func (c *clients) exchange(ctx context.Context, s sort) string {
	planned := s.plan
	planned.run, planned.number = c.run, c.number.Add(1)
	id := planned.id()
	c.set(id, func(*sent) {})
	seen := c.make(ctx, planned, s)
	c.set(id, func(entry *sent) { *entry = seen })
	return id
}

func (c *clients) make(ctx context.Context, planned plan, s sort) sent {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	var body io.Reader = bytes.NewReader(planned.body(request))
	switch {
	case planned.kind == endless:
		unending := &endlessBody{message: planned.pieces(request)[0], closed: make(chan struct{})}
		defer close(unending.closed)
		body = unending
	case s.until != nil:
		whole := planned.body(request)
		body = io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), after{s.until, ctx}, bytes.NewReader(whole[len(whole)/2:]))
	}
	outgoing, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+cmp.Or(s.path, "/v1/models/m:predict"), body)
	if err != nil {
		return sent{err: err.Error()}
	}
	outgoing.Header.Set(requestIDHeader, planned.id())
	outgoing.Header.Set("Content-Type", contentTypes[unary])
	if planned.kind == grpc || planned.kind == endless {
		outgoing.Header.Set("Content-Type", contentTypes[grpc])
	}
	through := c.http1
	if s.http2 {
		through = c.http2
	}
	responded, err := through.RoundTrip(outgoing)
	if err != nil {
		return sent{err: err.Error()}
	}
	defer responded.Body.Close()
	if s.unread != nil {
		select {
		case <-s.unread:
		case <-ctx.Done():
		}
	}
	content, err := io.ReadAll(responded.Body)
	seen := sent{status: responded.StatusCode, header: maps.Clone(responded.Header), sum: sum(content)}
	maps.Copy(seen.header, responded.Trailer)
	if err != nil {
		seen.err = err.Error()
		return seen
	}
	seen.whole = seen.status == http.StatusOK && seen.sum == sum(planned.body(response))
	return seen
}

// after is an empty reader that ends when it is told to.
type after struct {
	told    <-chan struct{}
	context context.Context
}

func (a after) Read([]byte) (int, error) {
	select {
	case <-a.told:
		return 0, io.EOF
	case <-a.context.Done():
		return 0, a.context.Err()
	}
}

// load has so many clients make so many exchanges each, of the sorts in turns,
// and gives their ids.
func (c *clients) load(clients, each int, sorts ...sort) []string {
	ids := make([][]string, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for n := range each {
				ids[i] = append(ids[i], c.exchange(context.Background(), sorts[(i+n)%len(sorts)]))
			}
		})
	}
	group.Wait()
	return slices.Concat(ids...)
}

// pause is between two exchanges of a client that goes on and on, so that an
// outage's backlog stays within the budget.
const pause = 10 * time.Millisecond

// begin has clients make exchanges until stop is called, which waits for those
// that are in flight.
func (c *clients) begin(clients int, sorts ...sort) (stop func()) {
	stopping := make(chan struct{})
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stopping:
					return
				case <-time.After(pause):
					c.exchange(context.Background(), sorts[(i+n)%len(sorts)])
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(stopping)
		group.Wait()
	})
}
