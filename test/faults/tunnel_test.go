/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// tunnel is the client's end of a WebSocket.
type tunnel struct {
	t      *testing.T
	stream io.ReadWriteCloser
	lines  *bufio.Reader
	said   int
}

func (r *rig) openTunnel() *tunnel {
	r.t.Helper()
	asking, err := http.NewRequest(http.MethodGet, r.URL+"/v1/models/m:chat", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	asking.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
	opened, err := r.http1.RoundTrip(asking)
	if err != nil || opened.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("opening a tunnel: %v %v", opened, err)
	}
	stream := opened.Body.(io.ReadWriteCloser)
	r.t.Cleanup(func() { stream.Close() })
	return &tunnel{t: r.t, stream: stream, lines: bufio.NewReader(stream)}
}

// speak sends a line and waits for its echo.
func (c *tunnel) speak() {
	c.t.Helper()
	c.said++
	line := fmt.Sprintf("line %d\n", c.said)
	if _, err := io.WriteString(c.stream, line); err != nil {
		c.t.Fatal("speaking through the tunnel:", err)
	}
	if heard, err := c.lines.ReadString('\n'); heard != "echo "+line {
		c.t.Fatalf("heard %q, %v through the tunnel, said %q", heard, err, line)
	}
}

func (c *tunnel) close() { c.stream.Close() }

// isCut waits for the end that somebody else makes.
func (c *tunnel) isCut() { _, _ = io.Copy(io.Discard, c.lines) }
