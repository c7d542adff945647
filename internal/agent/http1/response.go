/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package http1

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
)

// ErrNoResponse says that the connection ended before the first byte of a
// response. On a connection that was reused the server may just have closed it
// as idle.
var ErrNoResponse = errors.New("the connection ended before a response")

var errLongHead = errors.New("the head of the response is too long")

// ReadResponse reads the head of the exchange's next response, interim (1xx) or
// final. The body of a final one reads from the connection. It needs no Close,
// and must not get one: Close reads on to the end of the body, however far that
// is.
func (c *Conn) ReadResponse(request *http.Request) (*http.Response, error) {
	if _, err := c.Reader.Peek(1); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errLongHead) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrNoResponse, err)
	}
	response, err := http.ReadResponse(c.Reader, request)
	if err != nil {
		return nil, err
	}
	if !Interim(response) {
		c.room = math.MaxInt64
	}
	return response, nil
}

// AllowHead lets the next head be as long as Options allow. Bind does so for its
// exchange.
func (c *Conn) AllowHead() { c.room = c.maxHeadBytes }

// Interim reports whether another response follows. None follows 101, with which
// the connection changes its protocol.
func Interim(response *http.Response) bool {
	return response.StatusCode >= 100 && response.StatusCode <= 199 && response.StatusCode != http.StatusSwitchingProtocols
}

// limited reads from a connection what its exchange may still read.
type limited Conn

func (l *limited) Read(p []byte) (int, error) {
	if l.room <= 0 {
		return 0, errLongHead
	}
	n, err := l.Conn.Read(p[:min(int64(len(p)), l.room)])
	l.room -= int64(n)
	return n, err
}
