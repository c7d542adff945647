/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowRecorder takes its time, for each method another one.
type slowRecorder struct{}

func (slowRecorder) RequestBytes([]byte)                  { time.Sleep(2 * time.Millisecond) }
func (slowRecorder) RequestDone()                         { time.Sleep(4 * time.Millisecond) }
func (slowRecorder) ResponseHead(int, http.Header, int64) { time.Sleep(8 * time.Millisecond) }
func (slowRecorder) ResponseBytes([]byte)                 { time.Sleep(16 * time.Millisecond) }
func (slowRecorder) ResponseMayBeWhole() bool             { return false }
func (slowRecorder) ResponseDone()                        { time.Sleep(32 * time.Millisecond) }
func (slowRecorder) TunnelOpened()                        {}
func (slowRecorder) TunnelBytes(int, int)                 {}
func (slowRecorder) NoResponse(int)                       {}
func (slowRecorder) End(http.Header)                      { time.Sleep(64 * time.Millisecond) }

// slowly sleeps before it reads a byte at a time.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.Reader.Read(p[:1])
}

// slowClient sleeps before it takes anything.
type slowClient struct{ *httptest.ResponseRecorder }

func (c slowClient) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	return c.ResponseRecorder.Write(p)
}

type modelFunc func(*http.Request) (*http.Response, error)

func (f modelFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestOverheadIsTheAgentsOwn, and has no time of the client or the model in it.
func TestOverheadIsTheAgentsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := func(*http.Request) (Watcher, http.Header) {
			time.Sleep(time.Millisecond)
			return slowRecorder{}, nil
		}
		handler := New(&url.URL{Scheme: "http", Host: "model"}, begin, func(ErrorClass) {})
		var told []time.Duration
		handler.OnOverhead = func(added time.Duration) { told = append(told, added) }
		handler.proxy.Transport = modelFunc(func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			_, err := io.Copy(io.Discard, r.Body)
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(slowly{strings.NewReader("abc")}),
				ContentLength: 3, Request: r,
			}, err
		})
		begun := time.Now()
		handler.ServeHTTP(slowClient{httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/", io.NopCloser(slowly{strings.NewReader("ab")})))
		const want = (1 + 2*2 + 4 + 8 + 3*16 + 32 + 64) * time.Millisecond
		if len(told) != 1 || told[0] != want {
			t.Errorf("told %v, want %s", told, want)
		}
		if all := time.Since(begun); all < 10*time.Second+want {
			t.Errorf("client and model took only %s", all)
		}
	})
}

// TestOverheadCountsResponsesOnly: what the model broke off says nothing.
func TestOverheadCountsResponsesOnly(t *testing.T) {
	handler := New(&url.URL{Scheme: "http", Host: "model"}, func(*http.Request) (Watcher, http.Header) { return slowRecorder{}, nil }, func(ErrorClass) {})
	handler.OnOverhead = func(added time.Duration) { t.Errorf("told %s", added) }
	handler.proxy.Transport = modelFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Error("the exchange went on")
		}
	}()
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
}
