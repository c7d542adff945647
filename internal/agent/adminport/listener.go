/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package adminport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

const (
	// maxServed bounds the connections of one origin that are served at the same
	// time. maxWaiting bounds those that wait for it, unread. Further ones are
	// closed.
	maxServed  = 64
	maxWaiting = 256
)

// origin is where a connection comes from. Connections from within the pod have
// bounds of their own, so that no other client can take the place of
// queue-proxy's probes.
type origin int

const (
	elsewhere origin = iota
	here
	origins
)

func originOf(address string) origin {
	parsed, err := netip.ParseAddrPort(address)
	if err == nil && parsed.Addr().Unmap().IsLoopback() {
		return here
	}
	return elsewhere
}

// listener bounds the connections of another listener. A waiting connection costs
// the agent next to nothing. A refused client would connect again at once.
type listener struct {
	net.Listener
	// ready has room for all served connections.
	ready  chan net.Conn
	failed chan error
	ended  chan struct{}
	group  sync.WaitGroup
	close  func() error

	mu      sync.Mutex
	closed  bool
	served  [origins]map[*connection]struct{}
	waiting [origins][]*connection
}

// Listen bounds the connections of a listener, which it owns from now on.
func Listen(bounded net.Listener) net.Listener {
	l := &listener{
		Listener: bounded,
		ready:    make(chan net.Conn, int(origins)*maxServed),
		failed:   make(chan error),
		ended:    make(chan struct{}),
	}
	for of := range l.served {
		l.served[of] = make(map[*connection]struct{})
	}
	l.close = sync.OnceValue(l.end)
	l.group.Go(l.run)
	return l
}

func (l *listener) run() {
	for {
		accepted, err := l.Listener.Accept()
		if err == nil {
			l.place(&connection{Conn: accepted, listener: l, origin: originOf(accepted.RemoteAddr().String())})
			continue
		}
		select {
		case l.failed <- err:
		case <-l.ended:
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// place serves a connection, makes it wait, or closes it.
func (l *listener) place(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed, len(l.waiting[c.origin]) >= maxWaiting:
		c.Conn.Close()
	case len(l.served[c.origin]) < maxServed:
		l.serve(c)
	default:
		l.waiting[c.origin] = append(l.waiting[c.origin], c)
		for other := range l.served[c.origin] {
			if other.idle {
				// Its place is free once the server has closed it, too.
				other.Conn.Close()
				other.idle = false
				break
			}
		}
	}
}

func (l *listener) serve(c *connection) {
	l.served[c.origin][c] = struct{}{}
	l.ready <- c
}

// leave gives the place of a connection to the one that has waited longest.
func (l *listener) leave(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, served := l.served[c.origin][c]; !served {
		return
	}
	delete(l.served[c.origin], c)
	if waiting := l.waiting[c.origin]; len(waiting) > 0 && !l.closed {
		next := waiting[0]
		waiting[0] = nil
		l.waiting[c.origin] = waiting[1:]
		l.serve(next)
	}
}

// crowded reports whether others wait for a connection's place.
func (l *listener) crowded(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting[c.origin]) > 0
}

func (l *listener) setIdle(c *connection, idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.idle = idle
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close closes the listener and the waiting connections. The server closes those
// that are served.
func (l *listener) Close() error { return l.close() }

func (l *listener) end() error {
	err := l.Listener.Close()
	close(l.ended)
	l.group.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for of, waiting := range l.waiting {
		for _, c := range waiting {
			c.Conn.Close()
		}
		l.waiting[of] = nil
	}
	for {
		select {
		case c := <-l.ready:
			c.(*connection).Conn.Close()
		default:
			return err
		}
	}
}

// connection frees its place when it is closed.
type connection struct {
	net.Conn
	listener *listener
	origin   origin
	// idle says that it waits for a further request. The listener's mu guards it.
	idle bool
}

func (c *connection) Close() error {
	err := c.Conn.Close()
	c.listener.leave(c)
	return err
}

// CloseWrite lets a server close one direction before it closes the connection.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// changed is the server's ConnState hook.
func changed(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*connection); ok {
		c.listener.setIdle(c, state == http.StateIdle)
	}
}

type connectionKey struct{}

// known is the server's ConnContext hook.
func known(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// makeRoom closes the connection of a request after its response where others
// wait for its place.
func makeRoom(w http.ResponseWriter, r *http.Request) {
	if c, ok := r.Context().Value(connectionKey{}).(*connection); ok && c.listener.crowded(c) {
		w.Header().Set("Connection", "close")
	}
}
