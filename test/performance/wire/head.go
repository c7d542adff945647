/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package wire reads HTTP/1.1 messages with little work: what is around the
// measured process shares its processors, and must not be the larger part.
// It is for messages of our own making on the loopback, and refuses nothing.
package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
)

// Head is what matters of a message's head. It may be used again.
type Head struct {
	// Start is the first line, valid until the next ReadHead.
	Start []byte
	// Length is the body's length in bytes, where it isn't Chunked.
	Length  int64
	Chunked bool
	// Event says that the message is a CloudEvent.
	Event bool
}

// Status returns the status code of a response, or 0.
func (h *Head) Status() int {
	fields := bytes.Fields(h.Start)
	if len(fields) < 2 {
		return 0
	}
	status, _ := strconv.Atoi(string(fields[1]))
	return status
}

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
	contentType      = []byte("content-type")
	eventType        = []byte("ce-type")
	structured       = []byte("application/cloudevents")
)

// ReadHead reads a head and its empty line. The error is io.EOF where the
// connection ended before it.
func ReadHead(from *bufio.Reader, head *Head) error {
	line, err := readLine(from)
	if err != nil {
		return err
	}
	*head = Head{Start: append(head.Start[:0], line...)}
	for {
		line, err := readLine(from)
		if err != nil {
			return fmt.Errorf("reading a head: %w", err)
		}
		if len(line) == 0 {
			return nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, contentLength):
			if head.Length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return fmt.Errorf("reading a head: %w", err)
			}
		case bytes.EqualFold(name, transferEncoding):
			head.Chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, eventType):
			head.Event = true
		case bytes.EqualFold(name, contentType):
			head.Event = head.Event || bytes.HasPrefix(value, structured)
		}
	}
}

// DiscardBody reads the body of a head, and gives its length in bytes.
func DiscardBody(from *bufio.Reader, head *Head) (int64, error) {
	if !head.Chunked {
		return discard(from, head.Length)
	}
	length, err := io.Copy(io.Discard, httputil.NewChunkedReader(from))
	if err != nil {
		return length, fmt.Errorf("reading a chunked body: %w", err)
	}
	for {
		line, err := readLine(from)
		if err != nil {
			return length, fmt.Errorf("reading trailers: %w", err)
		}
		if len(line) == 0 {
			return length, nil
		}
	}
}

// discard doesn't copy what is longer than the buffer.
func discard(from *bufio.Reader, length int64) (int64, error) {
	discarded, err := from.Discard(int(length))
	if err != nil {
		return int64(discarded), fmt.Errorf("reading a body: %w", err)
	}
	return int64(discarded), nil
}

// readLine returns a line without its end, valid until the next read.
func readLine(from *bufio.Reader) ([]byte, error) {
	line, err := from.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
