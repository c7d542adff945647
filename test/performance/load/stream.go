/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/wire"
)

const (
	// GeneratePath is that of streams of server-sent events.
	GeneratePath = "/v2/models/m/generate_stream"
	// Chunks is the number of chunks of a stream.
	Chunks = 200
	// Chunk is one chunk of a stream.
	Chunk = `data: {"id":"cmpl-6f1c4a52","object":"text_completion","created":1764070000,"model":"m","choices":[{"index":0,"text":" word"}]}` + "\n\n"
)

// NewEventStream returns a sender whose exchanges are streams of server-sent
// events over HTTP/1.1.
func NewEventStream(address string) (Sender, error) {
	return newHTTP1(address, GeneratePath, []byte(`{"text_input":"a prompt"}`), int64(Chunks*len(Chunk)))
}

const (
	// EchoPath is that of WebSockets.
	EchoPath = "/echo"
	// Switching is the model's agreement to one.
	Switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

type webSocket struct {
	connection    net.Conn
	from          *bufio.Reader
	message, echo []byte
}

// NewWebSocket returns a sender whose exchanges are messages of a size on a
// WebSocket, and their echoes.
func NewWebSocket(address string, size int) (Sender, error) {
	connection, err := net.DialTimeout("tcp", address, exchangeTimeout)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	s := &webSocket{connection: connection, from: bufio.NewReaderSize(connection, readBuffer), message: frame(size)}
	s.echo = make([]byte, len(s.message))
	if err := s.shakeHands(address); err != nil {
		connection.Close()
		return nil, err
	}
	return s, nil
}

func (s *webSocket) shakeHands(address string) error {
	if err := s.connection.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	if _, err := fmt.Fprintf(s.connection, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", EchoPath, address); err != nil {
		return fmt.Errorf("asking for a WebSocket: %w", err)
	}
	var head wire.Head
	if err := wire.ReadHead(s.from, &head); err != nil {
		return fmt.Errorf("asking for a WebSocket: %w", err)
	}
	if head.Status() != http.StatusSwitchingProtocols {
		return fmt.Errorf("asking for a WebSocket: got status %d", head.Status())
	}
	return nil
}

// frame is a binary message with a mask of zeros, which changes nothing.
func frame(size int) []byte {
	return append([]byte{0x82, 0x80 | 126, byte(size >> 8), byte(size), 0, 0, 0, 0}, make([]byte, size)...)
}

func (s *webSocket) Exchange() error {
	if err := s.connection.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	if _, err := s.connection.Write(s.message); err != nil {
		return fmt.Errorf("sending a message: %w", err)
	}
	if _, err := io.ReadFull(s.from, s.echo); err != nil {
		return fmt.Errorf("reading an echo: %w", err)
	}
	return nil
}

func (s *webSocket) Close() { s.connection.Close() }
