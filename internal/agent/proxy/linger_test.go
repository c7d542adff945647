/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// openResponse is a watcher of a response that may be whole, or is evidently not.
type openResponse struct {
	Watcher
	whole bool
}

func (o openResponse) ResponseMayBeWhole() bool { return o.whole }

// pipeModel responds with what a test writes, until it is told that its client
// has left.
type pipeModel struct {
	response *io.PipeWriter
	body     *io.PipeReader
	// told is when the model was told.
	told chan time.Time
}

func newPipeModel() *pipeModel {
	m := &pipeModel{told: make(chan time.Time, 1)}
	m.body, m.response = io.Pipe()
	return m
}

func (m *pipeModel) RoundTrip(r *http.Request) (*http.Response, error) {
	context.AfterFunc(r.Context(), func() {
		m.told <- time.Now()
		m.response.CloseWithError(context.Canceled)
	})
	return &http.Response{Body: m.body}, nil
}

// TestAModelIsToldThatItsClientLeft at once, but for a response that may be
// whole: then at its next byte, or a second later, unless it ends before.
func TestAModelIsToldThatItsClientLeft(t *testing.T) {
	for _, test := range []struct {
		name  string
		whole bool
		// says is what the model does 300 ms after the client has left.
		says func(*io.PipeWriter)
		// closed has the client's connection fail at a write, and not be seen to
		// close while the model is waited for.
		closed    bool
		toldAfter time.Duration
		ends      bool
	}{
		{name: "a response that is not whole", toldAfter: 0},
		{name: "a response that is not whole, at a write", closed: true, toldAfter: 0},
		{name: "one that may be, and the model ends it", whole: true, says: func(w *io.PipeWriter) { w.Close() }, toldAfter: 300 * time.Millisecond, ends: true},
		{name: "the same, at a write", whole: true, closed: true, says: func(w *io.PipeWriter) { w.Close() }, toldAfter: 300 * time.Millisecond, ends: true},
		{name: "one that may be, and the model goes on", whole: true, says: func(w *io.PipeWriter) { _, _ = io.WriteString(w, "more") }, toldAfter: 300 * time.Millisecond},
		{name: "the same, at a write", whole: true, closed: true, says: func(w *io.PipeWriter) { _, _ = io.WriteString(w, "more") }, toldAfter: 300 * time.Millisecond},
		{name: "one that may be, and the model says nothing", whole: true, toldAfter: lingerTime},
		{name: "the same, at a write", whole: true, closed: true, toldAfter: lingerTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model := newPipeModel()
				client, leave := context.WithCancel(t.Context())
				l := &linger{RoundTripper: model, watcher: openResponse{whole: test.whole}, overhead: new(overhead)}
				request, err := http.NewRequestWithContext(client, http.MethodPost, "http://model", nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := l.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				left := time.Now()
				if test.says != nil {
					go func() {
						time.Sleep(300 * time.Millisecond)
						test.says(model.response)
					}()
				}
				ended := false
				watched := watchedBody{res.Body, nil, func(Watcher, []byte) {}, func(Watcher) { ended = true }, &overhead{}}
				body := &responseBody{watchedBody: watched, linger: l}
				if test.closed {
					defer leave()
				} else {
					leave()
					_, err = io.Copy(io.Discard, body)
					if test.ends != (err == nil) || err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("reading the response: %v", err)
					}
				}
				if err := body.Close(); err != nil {
					t.Error(err)
				}
				if got := (<-model.told).Sub(left); got != test.toldAfter {
					t.Errorf("told after %s, want %s", got, test.toldAfter)
				}
				if ended != test.ends {
					t.Errorf("the response ended: %v", ended)
				}
			})
		})
	}
}
