/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
)

var (
	errUnsound = errors.New("the event's body can't be written")
	errEnded   = errors.New("the attempt has ended")
)

// sentBodies are the bodies of one attempt's request: net/http takes a new one for
// each connection that it tries. It may still read them after its RoundTrip has
// returned, when the event's data may be gone. So the attempt ends them.
type sentBodies struct {
	panics panics.Handler
	bodies []*sentBody
}

// attach gives a request its body.
func (s *sentBodies) attach(request *http.Request, message *event.Message) {
	if message.Length == 0 {
		return
	}
	// RoundTrip calls it in its own goroutine.
	request.GetBody = func() (io.ReadCloser, error) {
		body := &sentBody{panics: s.panics, reader: message.Body()}
		s.bodies = append(s.bodies, body)
		return body, nil
	}
	request.Body, _ = request.GetBody()
}

// end has nothing of the event's data read any more. Where the sink has responded
// early, it gets the rest of the body from a copy.
func (s *sentBodies) end(responded bool) {
	for _, body := range s.bodies {
		body.end(responded)
	}
}

// unsound reports whether reading the event panicked.
func (s *sentBodies) unsound() bool {
	for _, body := range s.bodies {
		body.mu.Lock()
		unsound := body.unsound
		body.mu.Unlock()
		if unsound {
			return true
		}
	}
	return false
}

// sentBody is a message's body. It is read in a goroutine of net/http, where
// nobody else recovers.
type sentBody struct {
	panics panics.Handler

	mu      sync.Mutex
	reader  io.Reader
	unsound bool
}

func (b *sentBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.panics.Event(func() { n, err = b.reader.Read(p) }) {
		b.unsound = true
		b.reader = errReader{errUnsound}
		return 0, errUnsound
	}
	return n, err
}

// Close is called when net/http needs no more of the body.
func (b *sentBody) Close() error {
	b.end(false)
	return nil
}

func (b *sentBody) end(copied bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := io.Reader(errReader{errEnded})
	if copied {
		b.panics.Event(func() {
			if left, err := io.ReadAll(b.reader); err == nil {
				rest = bytes.NewReader(left)
			}
		})
	}
	b.reader = rest
}

// errReader is a reader that can't be read.
type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
