/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"io"
	"net/http"
	"sync/atomic"
)

// unread reports whether the body of an HTTP/1 request was not read to its end. It
// is safe for concurrent use.
//
// A server that responds while it reads (EnableFullDuplex) leaves such a body
// where it is, and goes on with the connection nevertheless. Then the end of the
// body makes net/http panic (golang/go#68560), and the rest of a chunked body,
// of which reading was broken off, is read as the next request. So the response
// says that the connection ends with it.
type unread struct {
	// ReadCloser is the body, nil if there is none.
	io.ReadCloser
	rest atomic.Bool
}

// watch returns a body of which the end is noticed. The model can't have all of
// the body before that.
func (u *unread) watch(body io.ReadCloser) io.ReadCloser {
	u.ReadCloser = body
	u.rest.Store(true)
	return u
}

// endConnection is to be called before the head of the response is written.
func (u *unread) endConnection(w http.ResponseWriter) {
	if u.rest.Load() {
		w.Header().Set("Connection", "close")
	}
}

func (u *unread) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err == io.EOF {
		u.rest.Store(false)
	}
	return n, err
}
