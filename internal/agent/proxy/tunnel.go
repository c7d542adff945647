/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/inference"
)

// watchTunnel shows a watcher that the model agreed, and what flows. Where
// the response switches to what nobody asked for, ReverseProxy breaks off.
func watchTunnel(r *http.Request, res *http.Response, watcher Watcher) {
	connection, ok := res.Body.(io.ReadWriteCloser)
	if !ok || !inference.AsksForTunnel(r) || !strings.EqualFold(res.Header.Get("Upgrade"), inference.TunnelProtocol) {
		return
	}
	watcher.TunnelOpened()
	res.Body = watchedTunnel{ReadWriteCloser: connection, watcher: watcher}
}

// watchedTunnel is the connection to the model.
type watchedTunnel struct {
	io.ReadWriteCloser
	watcher Watcher
}

func (t watchedTunnel) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	t.watcher.TunnelBytes(0, n)
	return n, err
}

func (t watchedTunnel) Write(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Write(p)
	t.watcher.TunnelBytes(n, 0)
	return n, err
}

// CloseWrite passes the client's end on, while the model may still send.
func (t watchedTunnel) CloseWrite() error {
	if half, ok := t.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
