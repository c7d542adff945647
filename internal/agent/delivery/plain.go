/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/sidenote-dev/sidenote/internal/agent/http1"
)

// plainHTTP posts to one http URL over HTTP/1.1, in the goroutine of the
// attempt. TLS and HTTP/2 are left to net/http.
type plainHTTP struct {
	pool *http1.Pool
	// start is how each request starts: up to the number of its Content-Length.
	start         []byte
	retryAfterMax time.Duration
}

func newPlainHTTP(to *url.URL, options HTTPOptions, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*plainHTTP, error) {
	host, err := httpguts.PunycodeHostPort(to.Hostname())
	if err != nil {
		return nil, fmt.Errorf("the sink's host: %w", err)
	}
	port := to.Port()
	if port == "" {
		port = "80"
	}
	// The request line and the Host are as net/http writes them.
	var request bytes.Buffer
	err = (&http.Request{
		Method: http.MethodPost, URL: to, Host: to.Host, Header: http.Header{"User-Agent": {userAgent}},
	}).Write(&request)
	if err != nil {
		return nil, fmt.Errorf("the sink's URL: %w", err)
	}
	start, _, _ := bytes.Cut(request.Bytes(), []byte("0\r\n\r\n"))
	return &plainHTTP{
		pool: http1.NewPool(http1.Options{
			Dial: func(ctx context.Context) (net.Conn, error) {
				ctx, cancel := timed(ctx)
				defer cancel()
				return dial(ctx, "tcp", net.JoinHostPort(host, port))
			},
			MaxIdle:      options.MaxInFlight,
			IdleTimeout:  idleTimeout,
			MaxAge:       maxConnectionAge,
			AgeJitter:    maxConnectionAgeJitter,
			MaxHeadBytes: maxResponseHeaderBytes,
		}),
		start:         start,
		retryAfterMax: options.RetryAfterMax,
	}, nil
}

// post sends one event. Where a reused connection ends without a response, the
// server may just have closed it as idle: then the event goes out once more, on
// a new one.
func (p *plainHTTP) post(ctx context.Context, out outgoing, authorization string) (Result, error) {
	x := borrowPost()
	defer x.giveBack()
	conn, err := p.pool.Get(ctx)
	if err != nil {
		return NoResponse, err
	}
	result, err := p.exchange(ctx, conn, x, out, authorization)
	if errors.Is(err, http1.ErrNoResponse) && conn.Reused() && ctx.Err() == nil {
		if conn, err = p.pool.Dial(ctx); err != nil {
			return NoResponse, err
		}
		result, err = p.exchange(ctx, conn, x, out, authorization)
	}
	return result, err
}

func (p *plainHTTP) exchange(ctx context.Context, conn *http1.Conn, x *post, out outgoing, authorization string) (Result, error) {
	release := conn.Bind(ctx)
	again := false
	// Deferred, because a message's body may panic.
	defer func() {
		if inTime := release(); inTime && again {
			p.pool.Put(conn)
		} else {
			conn.Close()
		}
	}()
	x.writeHead(ctx, p.start, out, authorization)
	response, sent, err := x.exchange(ctx, conn, &out.body)
	if err != nil {
		return NoResponse, err
	}
	result, read := readResponse(response, p.retryAfterMax)
	again = sent && read && !response.Close && response.StatusCode != http.StatusSwitchingProtocols
	return result, nil
}
