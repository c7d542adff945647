/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/wire"
)

// exchangeTimeout bounds one exchange, and a connection's being made.
const exchangeTimeout = 20 * time.Second

const readBuffer = 64 << 10

// PredictPath is that of unary exchanges.
const PredictPath = "/v1/models/m:predict"

type http1 struct {
	connection net.Conn
	from       *bufio.Reader
	request    []byte
	head       wire.Head
	length     int64
}

// NewHTTP1 returns a sender over HTTP/1.1. A response is right where it is as long
// as the request.
func NewHTTP1(address string, body []byte) (Sender, error) {
	return newHTTP1(address, PredictPath, body, int64(len(body)))
}

// newHTTP1 returns a sender of requests whose responses have a length.
func newHTTP1(address, path string, body []byte, length int64) (Sender, error) {
	connection, err := net.DialTimeout("tcp", address, exchangeTimeout)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &http1{
		connection: connection,
		from:       bufio.NewReaderSize(connection, readBuffer),
		request:    requestBytes(address, path, body),
		length:     length,
	}, nil
}

// requestBytes is a whole request, with the header fields that a client of a
// model commonly sends.
func requestBytes(address, path string, body []byte) []byte {
	return append(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: performance/1\r\nAccept: */*\r\nX-Request-Id: 6f1c4a52-7d1e-4f0a-9d55-0a3c1c7f2b11\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		path, address, len(body)), body...)
}

func (h *http1) Exchange() error {
	if err := h.connection.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	if _, err := h.connection.Write(h.request); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	if err := wire.ReadHead(h.from, &h.head); err != nil {
		return fmt.Errorf("reading a response: %w", err)
	}
	length, err := wire.DiscardBody(h.from, &h.head)
	if err != nil {
		return fmt.Errorf("reading a response: %w", err)
	}
	return check(h.head.Status(), length, h.length)
}

// check says whether a response is the model's.
func check(status int, length, want int64) error {
	if status != http.StatusOK || length != want {
		return fmt.Errorf("got status %d and %d bytes, want 200 and %d", status, length, want)
	}
	return nil
}

func (h *http1) Close() { h.connection.Close() }
