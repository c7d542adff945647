/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
)

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// readFirst has the response read that a model sent before it closed the
// connection on the rest of the request.
//
// A model that responds with 413 at once and closes has its kernel reset the
// connection. What it sent can still be read, but the next write fails, and
// net/http's transport takes whichever it sees first: a failed write makes it
// close the connection, with the response unread. So a write that fails so
// returns only when nothing is left to read.
func (d dial) readFirst(ctx context.Context, network, address string) (net.Conn, error) {
	connected, err := d(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &readFirst{Conn: connected, drained: make(chan struct{})}, nil
}

// readFirst is a connection of HTTP/1.1, which net/http's transport reads all
// the time. HTTP/2 responds to what it reads, so there a write must not wait.
type readFirst struct {
	net.Conn
	drain sync.Once
	// drained is closed when nothing is read any more.
	drained chan struct{}
}

func (c *readFirst) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end()
	}
	return n, err
}

func (c *readFirst) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		// The other side is gone, so a read ends, too, when it has all.
		<-c.drained
	}
	return n, err
}

func (c *readFirst) Close() error {
	c.end()
	return c.Conn.Close()
}

func (c *readFirst) end() { c.drain.Do(func() { close(c.drained) }) }

// CloseWrite passes the end of one direction of a tunnel on.
func (c *readFirst) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
