/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package export

import (
	"context"
	"net"
	"net/http"
	"time"
)

const idleTimeout = 90 * time.Second

// newClient returns a client that sends to the configured collector only: it
// follows no redirect. Its connections close when ending is done.
func newClient(ending context.Context) *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				// The transport keeps a connection that was dialled for a cancelled
				// request, even after CloseIdleConnections.
				return boundConn{conn, context.AfterFunc(ending, func() { conn.Close() })}, nil
			},
			TLSHandshakeTimeout: timeout,
			ForceAttemptHTTP2:   true,
			IdleConnTimeout:     idleTimeout,
		},
	}
}

// boundConn is a connection that the end of a context closes, too.
type boundConn struct {
	net.Conn
	release func() bool
}

func (c boundConn) Close() error {
	c.release()
	return c.Conn.Close()
}
