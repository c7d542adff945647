/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// lingerTime bounds how long a model is not told that its client has left.
const lingerTime = time.Second

// linger decides when a model is told that its client has left. Without the
// agent it would see that at once and stop its work, and so it does here, with
// one exception: where the response may be whole, so that only its end is still to
// come. Many clients leave then. The model gets a moment to send that end, or
// else its exchange would look like one that broke off. The next byte shows that
// the response was not whole, and the model is told. A model that sends token by
// token so loses no more than the time of one.
type linger struct {
	http.RoundTripper
	watcher Watcher
	// overhead is the agent's own time, which that of RoundTripper is taken out of.
	overhead *overhead

	cancel  context.CancelFunc
	unwatch func() bool
	once    sync.Once
	// granted says that the client has left, and the model was not told at once.
	granted atomic.Bool
	timer   *time.Timer
}

// RoundTrip is called once.
func (l *linger) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	l.cancel = cancel
	// The context of a server's request is done at the latest when the exchange
	// is over, so this one ends, too.
	l.unwatch = context.AfterFunc(r.Context(), l.leave)
	r = r.WithContext(ctx)
	l.overhead.stop()
	res, err := l.RoundTripper.RoundTrip(r)
	l.overhead.start()
	if err != nil {
		l.end()
	}
	return res, err
}

// leave is called when the client has left.
func (l *linger) leave() {
	l.once.Do(func() {
		if !l.watcher.ResponseMayBeWhole() {
			l.cancel()
			return
		}
		l.timer = time.AfterFunc(lingerTime, l.cancel)
		l.granted.Store(true)
	})
}

// end is called when the response is over.
func (l *linger) end() {
	l.unwatch()
	l.once.Do(func() {})
	if l.timer != nil {
		l.timer.Stop()
	}
	l.cancel()
}

// responseBody is the body of the model's response. Neither the model's time nor
// that of the client that it is written to is the agent's.
type responseBody struct {
	watchedBody
	linger *linger
	over   bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	b.overhead.stop()
	n, err := b.watchedBody.Read(p)
	if err != nil {
		b.overhead.start()
	}
	if n > 0 && b.linger.granted.Load() {
		b.linger.cancel()
	}
	b.over = b.over || err != nil
	return n, err
}

// Close before the end of the body is called where the client can't be written
// to any more. It reads on for what the model may still have to say.
func (b *responseBody) Close() error {
	if !b.over {
		b.linger.leave()
	}
	for rest := make([]byte, 512); !b.over && b.linger.granted.Load(); {
		if n, _ := b.Read(rest); n > 0 {
			break
		}
	}
	b.linger.end()
	return b.ReadCloser.Close()
}
