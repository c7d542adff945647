/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// Prediction is the response of Predictor.
const Prediction = `{"predictions":[0.8,0.2]}`

// Predictor is a model that responds to every request with Prediction.
func Predictor() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, Prediction)
	})
}

// Holding is Predictor, but responds to requests for a path when goOn is closed.
func Holding(path string, goOn <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			<-goOn
		}
		Predictor().ServeHTTP(w, r)
	})
}

// Echo is a model that responds with the request's body, and with its headers of
// these names.
func Echo(names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		for _, name := range names {
			w.Header()[name] = r.Header[name]
		}
		_, _ = w.Write(body)
	})
}

// EchoTunnel opens a WebSocket and responds to each line. It knows no frames.
func EchoTunnel(w http.ResponseWriter, _ *http.Request) {
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = buffered.Flush()
	for {
		line, err := buffered.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = buffered.WriteString("echo " + line)
		_ = buffered.Flush()
	}
}

// Recorder is a model that keeps its last request.
type Recorder struct {
	// Handler responds.
	http.Handler

	mu   sync.Mutex
	last Request
}

// Request is a request as a model read it.
type Request struct {
	*http.Request
	Content []byte
	// Err is the error at the end of the body.
	Err error
}

// ServeHTTP reads the request's body before Handler responds.
func (m *Recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	m.mu.Lock()
	m.last = Request{r, content, err}
	m.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(content))
	m.Handler.ServeHTTP(w, r)
}

// Last is the last request.
func (m *Recorder) Last() Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}
