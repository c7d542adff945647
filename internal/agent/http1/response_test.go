/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package http1_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/http1"
)

// responded returns a connection whose peer has sent some bytes, and has closed it
// or not.
func responded(t *testing.T, text string, closes bool) *http1.Conn {
	t.Helper()
	pool, accept := socket(t)
	conn := get(t, pool)
	t.Cleanup(func() { conn.Close() })
	release := conn.Bind(t.Context())
	t.Cleanup(func() { release() })
	peer := accept()
	if _, err := io.WriteString(peer, text); err != nil {
		t.Fatal(err)
	}
	if closes {
		peer.Close()
	}
	return conn
}

func TestInterimResponsesComeBeforeTheFinalOne(t *testing.T) {
	conn := responded(t, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok", false)
	for _, want := range []struct {
		status  int
		interim bool
	}{{103, true}, {100, true}, {202, false}} {
		response, err := conn.ReadResponse(&http.Request{Method: http.MethodPost})
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != want.status || http1.Interim(response) != want.interim {
			t.Errorf("got %d, interim %v, want %+v", response.StatusCode, http1.Interim(response), want)
		}
		if body, err := io.ReadAll(response.Body); !want.interim && (err != nil || string(body) != "ok") {
			t.Errorf("the body is %q: %v", body, err)
		}
	}
	if http1.Interim(&http.Response{StatusCode: http.StatusSwitchingProtocols}) {
		t.Error("a 101 counts as interim")
	}
}

func TestHeadIsBoundedButBodyIsNot(t *testing.T) {
	long := "X: " + strings.Repeat("y", maxHeadBytes) + "\r\n\r\n"
	interim := strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", maxHeadBytes/20)
	for name, text := range map[string]string{
		"a header": "HTTP/1.1 202 X\r\n" + long, "a status line": "HTTP/1.1 202 " + long, "interim responses": interim,
	} {
		conn := responded(t, text, true)
		response, err := conn.ReadResponse(nil)
		for err == nil && http1.Interim(response) {
			response, err = conn.ReadResponse(nil)
		}
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, http1.ErrNoResponse) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	const length = 10 * maxHeadBytes
	conn := responded(t, fmt.Sprintf("HTTP/1.1 202 X\r\nContent-Length: %d\r\n\r\n%s", length, strings.Repeat("y", length)), false)
	response, err := conn.ReadResponse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, response.Body); n != length || err != nil {
		t.Errorf("a long body: %d bytes, %v", n, err)
	}
}

// TestConnectionEndBeforeAResponseHasItsOwnError from that within a response, and from a
// deadline.
func TestConnectionEndBeforeAResponseHasItsOwnError(t *testing.T) {
	if _, err := responded(t, "", true).ReadResponse(nil); !errors.Is(err, http1.ErrNoResponse) {
		t.Errorf("nothing: %v", err)
	}
	for _, text := range []string{"H", "HTTP/1.1 202 Accepted\r\nX"} {
		if _, err := responded(t, text, true).ReadResponse(nil); err == nil || errors.Is(err, http1.ErrNoResponse) {
			t.Errorf("%q: %v", text, err)
		}
	}
	late := responded(t, "", false)
	if err := late.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := late.ReadResponse(nil); errors.Is(err, http1.ErrNoResponse) || !errors.As(err, &timeout) {
		t.Errorf("at the deadline: %v", err)
	}
}
