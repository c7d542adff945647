/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package wire

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestHeadsAndBodiesAreReadInTurn(t *testing.T) {
	from := bufio.NewReader(strings.NewReader(
		"HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\n\r\nabc" +
			"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nCe-Type: t\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nTrailer: x\r\n\r\n" +
			"POST /x HTTP/1.1\r\nContent-Type: application/cloudevents+json\r\nContent-Length: 0\r\n\r\n"))
	var head Head
	for _, want := range []struct {
		start  string
		status int
		length int64
		event  bool
	}{
		{"HTTP/1.1 200 OK", 200, 3, false},
		{"POST /x HTTP/1.1", 0, 5, true},
		{"POST /x HTTP/1.1", 0, 0, true},
	} {
		if err := ReadHead(from, &head); err != nil {
			t.Fatal(err)
		}
		length, err := DiscardBody(from, &head)
		if err != nil {
			t.Fatal(err)
		}
		if string(head.Start) != want.start || head.Status() != want.status || length != want.length || head.Event != want.event {
			t.Errorf("got %q, %d bytes, event %t, want %+v", head.Start, length, head.Event, want)
		}
	}
	if err := ReadHead(from, &head); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestABodyThatBreaksOffIsAnError(t *testing.T) {
	for _, message := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
	} {
		from := bufio.NewReader(strings.NewReader(message))
		var head Head
		if err := ReadHead(from, &head); err != nil {
			t.Fatal(err)
		}
		if _, err := DiscardBody(from, &head); err == nil {
			t.Errorf("%q: no error", message)
		}
	}
}
