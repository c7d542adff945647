/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package http1 keeps connections to one HTTP/1.1 server for exchanges that
// the caller's own goroutine makes: it writes the request and reads the
// response itself. No goroutine belongs to a connection, idle or in use.
package http1

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Options bound the connections of a Pool.
type Options struct {
	// Dial makes a connection.
	Dial func(ctx context.Context) (net.Conn, error)
	// MaxIdle is how many idle connections the pool keeps.
	MaxIdle int
	// IdleTimeout is how long it keeps one that nobody uses.
	IdleTimeout time.Duration
	// MaxAge is how long after its dial a connection is used for another
	// exchange, 0 forever. Each connection gets a random part of AgeJitter more.
	MaxAge, AgeJitter time.Duration
	// MaxHeadBytes is how long the head of a response may be, together with the
	// interim responses before it.
	MaxHeadBytes int64
}

// Pool has the idle connections to one server. It is safe for concurrent use.
type Pool struct {
	options Options

	mu sync.Mutex
	// idle are in the order in which they became idle. The last one is used
	// first, so that the others reach their idle timeout.
	idle []*Conn
	// sweep closes those at the front. It is armed while there are any.
	sweep *time.Timer
}

// NewPool returns an empty pool.
func NewPool(options Options) *Pool { return &Pool{options: options} }

// Get returns the idle connection that was used last, or dials where there is
// none. An idle one that its peer has closed, or on which it has sent something
// without being asked, is closed and not given.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	for conn := p.pop(); conn != nil; conn = p.pop() {
		if conn.quiet() && !conn.old(time.Now()) {
			conn.reuse()
			return conn, nil
		}
		conn.Close()
	}
	return p.Dial(ctx)
}

// Dial returns a new connection, whatever is idle.
func (p *Pool) Dial(ctx context.Context) (*Conn, error) {
	dialed, err := p.options.Dial(ctx)
	if err != nil {
		return nil, err
	}
	conn := newConn(dialed, p.options.MaxHeadBytes)
	if p.options.MaxAge > 0 {
		conn.ends = time.Now().Add(p.options.MaxAge + rand.N(p.options.AgeJitter+1))
	}
	return conn, nil
}

// Put keeps a connection for the next exchange, or closes it. The exchange
// before must be over: the request was written in full, and the response was
// read to its end. The caller must not use the connection, nor its Reader,
// afterwards.
func (p *Pool) Put(conn *Conn) {
	now := time.Now()
	if conn.old(now) || !conn.rest(now) || !p.push(conn) {
		conn.Close()
	}
}

func (p *Pool) push(conn *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= p.options.MaxIdle {
		return false
	}
	p.idle = append(p.idle, conn)
	if len(p.idle) == 1 {
		p.arm(p.options.IdleTimeout)
	}
	return true
}

func (p *Pool) pop() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	conn := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return conn
}

// arm needs the lock.
func (p *Pool) arm(wait time.Duration) {
	if p.sweep == nil {
		p.sweep = time.AfterFunc(wait, p.closeExpired)
	} else {
		p.sweep.Reset(wait)
	}
}

func (p *Pool) closeExpired() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for len(p.idle) > 0 {
		wait := p.idle[0].idleSince.Add(p.options.IdleTimeout).Sub(now)
		if wait > 0 {
			p.arm(wait)
			return
		}
		p.idle[0].Close()
		p.idle[0] = nil
		p.idle = p.idle[1:]
	}
}

// CloseIdle closes the connections that are idle. Those in use may come back
// by Put.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.idle {
		conn.Close()
	}
	p.idle = nil
	if p.sweep != nil {
		p.sweep.Stop()
	}
}
