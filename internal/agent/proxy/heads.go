/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// freeHeadBytes is how much of a head is read without asking. Real heads are
	// shorter.
	freeHeadBytes = 16 << 10
	// maxLongHeads is how many longer heads are read at the same time. Each takes
	// up to some 4 MiB while it is read, for net/http takes heads of 1 MiB, and
	// nothing but this bounds how many come at once.
	maxLongHeads = 4
	// longHeadWait bounds the wait for others. queue-proxy sends a head at once.
	longHeadWait = 30 * time.Second
)

// ListenForHeads bounds the long heads that the connections of a listener read
// at the same time, in concert with Handler and NewServer.
func ListenForHeads(listener net.Listener) net.Listener {
	return &headListener{listener, make(chan struct{}, maxLongHeads)}
}

type headListener struct {
	net.Listener
	long chan struct{}
}

func (l *headListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	connection, ok := accepted.(*net.TCPConn)
	if !ok {
		return accepted, nil
	}
	return &headConn{TCPConn: connection, instant: newInstant(connection), long: l.long, closed: make(chan struct{})}, nil
}

// headConn is a connection that counts the bytes of each head.
type headConn struct {
	*net.TCPConn
	// waitless says that a read of the request's body gives 0 bytes, and no error,
	// where it would wait.
	waitless atomic.Bool
	instant  *instant
	long     chan struct{}
	closed   chan struct{}
	close    sync.Once

	mu sync.Mutex
	// inExchange says that what is read is no head, and read is how much of a
	// head was. holds says that the head has a place among the long ones.
	inExchange, holds bool
	read              int
	// freed says that nothing is counted any more.
	freed bool
}

func (c *headConn) Read(p []byte) (int, error) {
	// A read of one byte is the server's watch for a client that leaves, which
	// begins at the end of the body.
	if c.waitless.Load() && len(p) > 1 {
		if n, waits := c.instant.Read(p); n > 0 || waits {
			return n, nil
		}
	}
	if c.isLong() {
		if err := c.hold(); err != nil {
			return 0, err
		}
	}
	n, err := c.TCPConn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.inExchange {
		c.read += n
	}
	return n, err
}

func (c *headConn) isLong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.freed && !c.inExchange && !c.holds && c.read >= freeHeadBytes
}

// hold waits for a place among the long heads.
func (c *headConn) hold() error {
	timer := time.NewTimer(longHeadWait)
	defer timer.Stop()
	select {
	case c.long <- struct{}{}:
	case <-c.closed:
		return net.ErrClosed
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
	c.mu.Lock()
	c.holds = true
	c.mu.Unlock()
	select {
	case <-c.closed:
		// Close may have come before the place was taken.
		c.leave(false)
		return net.ErrClosed
	default:
		return nil
	}
}

// leave gives the place back, and reports whether an exchange follows.
func (c *headConn) leave(inExchange bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds {
		<-c.long
	}
	c.holds, c.read, c.inExchange = false, 0, inExchange
}

func (c *headConn) free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.freed = true
}

func (c *headConn) Close() error {
	c.close.Do(func() { close(c.closed) })
	c.leave(false)
	return c.TCPConn.Close()
}

type headKey struct{}

// withHead has the handler know the connection of a request.
func withHead(ctx context.Context, connection net.Conn) context.Context {
	if counted, ok := connection.(*headConn); ok {
		return context.WithValue(ctx, headKey{}, counted)
	}
	return ctx
}

// headConnOf returns the connection of a request, nil for one that nobody counts.
func headConnOf(r *http.Request) *headConn {
	counted, _ := r.Context().Value(headKey{}).(*headConn)
	return counted
}

// leaveHead says that the head of a request is read. The streams of HTTP/2 come
// beside each other: after the first head of a connection only the bound of the
// exchanges is left.
func leaveHead(r *http.Request) {
	if counted := headConnOf(r); counted != nil {
		counted.leave(true)
		if r.ProtoMajor == 2 {
			counted.free()
		}
	}
}

// nextHead says that a connection waits for the next request: what it read after
// the exchange was the end of a body.
func nextHead(connection net.Conn, state http.ConnState) {
	if counted, ok := connection.(*headConn); ok && state == http.StateIdle {
		counted.leave(false)
	}
}
