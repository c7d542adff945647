/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// wishes is how a request selects its response.
type wishes struct {
	delay        time.Duration
	status       int
	abort        bool
	abortAfter   int
	trailerName  string
	trailerValue string
	echo         bool
}

// readWishes reads the X-Model-* headers through get, which takes a header's
// name. Its error is fit for the client.
func readWishes(get func(string) string) (wishes, error) {
	var (
		asked wishes
		err   error
	)
	if value := get("X-Model-Delay"); value != "" {
		if asked.delay, err = time.ParseDuration(value); err != nil {
			return wishes{}, err
		}
	}
	if value := get("X-Model-Status"); value != "" {
		if asked.status, err = strconv.Atoi(value); err != nil {
			return wishes{}, err
		}
	}
	if value := get("X-Model-Abort"); value != "" {
		asked.abort = true
		if asked.abortAfter, err = strconv.Atoi(value); err != nil {
			return wishes{}, err
		}
	}
	asked.trailerName, asked.trailerValue, _ = strings.Cut(get("X-Model-Trailer"), "=")
	asked.echo = get("X-Model-Echo") == "true"
	return asked, nil
}

// serveAsWished responds to a REST request in the way that its headers ask for.
func (m *model) serveAsWished(w http.ResponseWriter, r *http.Request) {
	asked, err := readWishes(r.Header.Get)
	if err != nil {
		writeError(w, http.StatusBadRequest, "%v", err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if !sleep(r.Context(), asked.delay) {
		return
	}
	if asked.trailerName != "" {
		w.Header().Add("Trailer", asked.trailerName)
		defer w.Header().Set(asked.trailerName, asked.trailerValue)
	}
	w = &wishfulWriter{ResponseWriter: w, wishes: asked}
	if asked.echo {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		if coding := r.Header.Get("Content-Encoding"); coding != "" {
			w.Header().Set("Content-Encoding", coding)
		}
		_, _ = io.Copy(w, r.Body)
		return
	}
	m.rest.ServeHTTP(w, r)
}

// abortAsWished gives the gRPC server, which handles the other wishes itself,
// a writer that breaks off. An invalid wish is left for the gRPC server to
// refuse.
func abortAsWished(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	asked, err := readWishes(r.Header.Get)
	if err != nil || !asked.abort {
		return w
	}
	return &wishfulWriter{ResponseWriter: w, wishes: wishes{abort: true, abortAfter: asked.abortAfter}}
}

// wishfulWriter replaces the status and breaks the body off, where asked to.
type wishfulWriter struct {
	http.ResponseWriter
	wishes
	wroteHeader bool
	written     int
}

func (w *wishfulWriter) WriteHeader(status int) {
	w.wroteHeader = true
	if w.status != 0 {
		status = w.status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *wishfulWriter) Write(b []byte) (int, error) {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	if w.abort && w.written+len(b) >= w.abortAfter {
		_, _ = w.ResponseWriter.Write(b[:max(0, w.abortAfter-w.written)])
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	n, err := w.ResponseWriter.Write(b)
	w.written += n
	return n, err
}

// Flush is what the gRPC server asks a response writer for.
func (w *wishfulWriter) Flush() {
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack is what a WebSocket asks a response writer for.
func (w *wishfulWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

func (w *wishfulWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
