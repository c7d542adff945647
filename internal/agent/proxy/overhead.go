/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"io"
	"sync/atomic"
	"time"
)

// overhead meters what the agent itself adds to an exchange: the time from the
// request's head to its hand-over to the transport, from the head of the response
// until its body is first asked for, from the end of that body to the end of
// the exchange, and whenever a watcher looks at bytes.
//
// The time of the model and of the client is not in it: connecting to the
// model, sending to it and waiting for it is the transport's, and between two
// reads of the response's body the client is written to. Neither is what the
// server and the transport of net/http do before and after.
type overhead struct {
	// mark is when the agent's own time last began, zero while it isn't.
	// Only the exchange's own goroutine uses it.
	mark time.Time
	// passed is the time until now. The request's body is read elsewhere.
	passed atomic.Int64
}

func (o *overhead) start() { o.mark = time.Now() }

func (o *overhead) stop() {
	if !o.mark.IsZero() {
		o.passed.Add(int64(time.Since(o.mark)))
		o.mark = time.Time{}
	}
}

func (o *overhead) total() time.Duration { return time.Duration(o.passed.Load()) }

// watchedBody shows the bytes of a body, and its end, to a watcher as they are
// read, and adds the time that this takes.
type watchedBody struct {
	io.ReadCloser
	watcher  Watcher
	bytes    func(Watcher, []byte)
	done     func(Watcher)
	overhead *overhead
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n == 0 && err != io.EOF {
		return n, err
	}
	begun := time.Now()
	if n > 0 {
		b.bytes(b.watcher, p[:n])
	}
	if err == io.EOF {
		b.done(b.watcher)
	}
	b.overhead.passed.Add(int64(time.Since(begun)))
	return n, err
}
