/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package adminport serves the agent's own endpoints, which any pod of the
// cluster can reach, so that nobody there takes much of the agent's memory or
// time: connections, requests in a second and the work for each have bounds.
package adminport

import (
	"context"
	"log"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

const (
	// headTimeout is short, because a scraper sends its request at once.
	headTimeout = 2 * time.Second
	// timeout bounds the read of a request's body, which is ignored, and the
	// write of the response.
	timeout = 10 * time.Second
	// idleTimeout is longer than the usual time between two scrapes.
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	// maxWait bounds the time that a request waits for the rate limiter.
	maxWait = 5 * time.Second
)

// paces are the requests per second and the burst for each origin. Others wait.
var paces = [origins]struct {
	pace  rate.Limit
	burst int
}{elsewhere: {50, 50}, here: {200, 100}}

// NewServer returns a server for a listener of Listen.
func NewServer(handler http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler:           paced(handler),
		ErrorLog:          errorLog,
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       timeout,
		// A request may wait for the rate limiter before its response.
		WriteTimeout:   timeout + maxWait,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ConnState:      changed,
		ConnContext:    known,
	}
}

func paced(handler http.Handler) http.Handler {
	var limiters [origins]*rate.Limiter
	for of, p := range paces {
		limiters[of] = rate.NewLimiter(p.pace, p.burst)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), maxWait)
		defer cancel()
		err := limiters[originOf(r.RemoteAddr)].Wait(ctx)
		makeRoom(w, r)
		if err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests: retry later", http.StatusTooManyRequests)
			return
		}
		handler.ServeHTTP(w, r)
	})
}
