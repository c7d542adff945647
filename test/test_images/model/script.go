/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// scriptHeader is what a request with a script has. The other headers of a
// script are read only beside it.
const scriptHeader = "X-Model-Body"

// script is a response that a request dictates byte for byte, so that a test can
// have every way in which an exchange goes and ends.
type script struct {
	body   []byte
	header http.Header
	status int
	// trailer is empty without one.
	trailerName, trailerValue string
	// requestBytes is how much of the request's body is read; -1 is all of it.
	requestBytes int
	// hint sends a response of 103 once the request's body is read that far.
	hint bool
	// delay is waited for before the response, stay after its body and before its
	// end. A client that leaves ends either.
	delay, stay time.Duration
	// abort says where the exchange breaks off: "head" before the response's head,
	// "body" after the body, or nowhere.
	abort string
}

// readScript reads the headers of a script. Its error is fit for the client.
func readScript(header http.Header) (script, error) {
	s := script{header: make(http.Header), status: http.StatusOK, requestBytes: -1}
	var err error
	if s.body, err = base64.StdEncoding.DecodeString(header.Get(scriptHeader)); err != nil {
		return s, fmt.Errorf("%s: %w", scriptHeader, err)
	}
	for name, to := range map[string]*int{"X-Model-Status": &s.status, "X-Model-Request-Bytes": &s.requestBytes} {
		if value := header.Get(name); value != "" {
			if *to, err = strconv.Atoi(value); err != nil {
				return s, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for name, to := range map[string]*time.Duration{"X-Model-Delay": &s.delay, "X-Model-Stay": &s.stay} {
		if value := header.Get(name); value != "" {
			if *to, err = time.ParseDuration(value); err != nil {
				return s, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, pair := range header.Values("X-Model-Header") {
		name, value, _ := strings.Cut(pair, "=")
		s.header.Add(name, value)
	}
	s.trailerName, s.trailerValue, _ = strings.Cut(header.Get("X-Model-Trailer"), "=")
	s.hint = header.Get("X-Model-Hint") == "true"
	s.abort = header.Get("X-Model-Abort")
	return s, nil
}

// serve responds as the script says.
func (s script) serve(w http.ResponseWriter, r *http.Request) {
	controller := http.NewResponseController(w)
	if s.requestBytes < 0 {
		_, _ = io.Copy(io.Discard, r.Body)
	} else {
		_, _ = io.ReadFull(r.Body, make([]byte, s.requestBytes))
		// Under HTTP/1 the server itself would read the rest of the request.
		_ = controller.EnableFullDuplex()
	}
	if s.hint {
		w.WriteHeader(http.StatusEarlyHints)
	}
	if s.abort == "head" {
		if connection, _, err := controller.Hijack(); err == nil {
			connection.Close()
		}
		panic(http.ErrAbortHandler)
	}
	if !sleep(r.Context(), s.delay) {
		return
	}
	w.Header()["Content-Type"] = nil
	for name, values := range s.header {
		w.Header()[name] = values
	}
	if s.trailerName != "" {
		w.Header().Add("Trailer", s.trailerName)
		defer w.Header().Set(s.trailerName, s.trailerValue)
	}
	if s.requestBytes >= 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(s.status)
	_, _ = w.Write(s.body)
	if s.stay > 0 || s.abort == "body" {
		_ = controller.Flush()
		sleep(r.Context(), s.stay)
	}
	if s.abort == "body" {
		panic(http.ErrAbortHandler)
	}
}
