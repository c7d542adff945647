/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package http1

import (
	"bufio"
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

const readerBytes = 4 << 10

// readers are those of connections that were in use: an idle one has none.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readerBytes) }}

// Conn is a connection that one exchange at a time uses. An idle one holds
// about 500 bytes of the heap, one in use 4 KiB more for its Reader.
type Conn struct {
	net.Conn
	// Reader reads what the peer sends.
	Reader *bufio.Reader

	reused bool
	// maxHeadBytes is what an exchange may read up to the end of the response's
	// head, and room what is left of that. The body has no limit.
	maxHeadBytes, room int64
	// ends is when the connection takes no further exchange, zero for never.
	ends, idleSince time.Time

	// raw is nil where the connection is no socket.
	raw syscall.RawConn
	// look looks into the socket and leaves in found whether it has anything. It
	// is kept, so that no look allocates.
	look  func(descriptor uintptr)
	found bool
}

func newConn(dialed net.Conn, maxHeadBytes int64) *Conn {
	conn := &Conn{Conn: dialed, maxHeadBytes: maxHeadBytes}
	conn.takeReader()
	if socket, ok := dialed.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			conn.raw = raw
			conn.look = func(descriptor uintptr) { conn.found = hasInput(descriptor) }
		}
	}
	return conn
}

// Reused reports whether the connection has had an exchange before. Its peer may
// have closed it in the meantime, and then a request on it meets an error
// although the server is well.
func (c *Conn) Reused() bool { return c.reused }

// Readable reports whether a read would not wait: there is something from the
// peer, or the peer has closed the connection. It doesn't wait itself. Where
// the connection is no socket, it looks at the Reader's buffer only.
func (c *Conn) Readable() bool { return c.Reader.Buffered() > 0 || !c.quiet() }

// Bind begins an exchange: it gives it the deadline of ctx, and has its reads
// and writes fail once ctx is done. The caller must call release at the end of
// the exchange; it reports whether the connection may be used again.
func (c *Conn) Bind(ctx context.Context) (release func() bool) {
	c.room = c.maxHeadBytes
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

// quiet reports whether the socket has nothing to read, not even an end.
func (c *Conn) quiet() bool {
	if c.raw == nil {
		return true
	}
	return c.raw.Control(c.look) == nil && !c.found
}

func (c *Conn) old(now time.Time) bool { return !c.ends.IsZero() && !now.Before(c.ends) }

// rest marks the connection as idle after an exchange. It reports false if the
// peer has sent more than the response.
func (c *Conn) rest(now time.Time) bool {
	if c.Reader.Buffered() > 0 {
		return false
	}
	// Nothing of the connection stays with the reader.
	c.Reader.Reset(nil)
	readers.Put(c.Reader)
	c.Reader, c.idleSince = nil, now
	return true
}

func (c *Conn) reuse() {
	c.takeReader()
	c.reused = true
}

func (c *Conn) takeReader() {
	c.Reader = readers.Get().(*bufio.Reader)
	c.Reader.Reset((*limited)(c))
}
