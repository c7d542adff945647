/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package backend has what is around the measured process: a model and sinks.
// They do as little work as they can, because they share its processors.
package backend

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/wire"
)

const (
	readBuffer = 64 << 10
	// idleTimeout is longer than a round of all arms, and responseTimeout bounds
	// one response.
	idleTimeout     = 10 * time.Minute
	responseTimeout = 20 * time.Second
	// maxConnections bounds what a measured process can have open with one
	// server.
	maxConnections = 4096
)

// responseMaker gives the bytes of the response to a message, or nil to leave it
// without a response until the server is closed.
type responseMaker func(head *wire.Head, body int64) []byte

// server serves HTTP/1.1 on the loopback.
type server struct {
	listener net.Listener
	response responseMaker
	group    sync.WaitGroup
	// ending is closed by close.
	ending chan struct{}

	mu          sync.Mutex
	connections map[net.Conn]bool
}

func serve(response responseMaker) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s := &server{listener: listener, response: response, ending: make(chan struct{}), connections: make(map[net.Conn]bool)}
	s.group.Go(func() {
		for {
			connection, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || !s.add(connection) {
				continue
			}
			s.group.Go(func() {
				defer s.remove(connection)
				s.converse(connection)
			})
		}
	})
	return s, nil
}

func (s *server) address() string { return s.listener.Addr().String() }

// converse responds until the connection ends.
func (s *server) converse(connection net.Conn) {
	from := bufio.NewReaderSize(connection, readBuffer)
	var head wire.Head
	for {
		_ = connection.SetDeadline(time.Now().Add(idleTimeout))
		if wire.ReadHead(from, &head) != nil {
			return
		}
		body, err := wire.DiscardBody(from, &head)
		if err != nil {
			return
		}
		response := s.response(&head, body)
		if response == nil {
			<-s.ending
			return
		}
		_ = connection.SetDeadline(time.Now().Add(responseTimeout))
		if _, err := connection.Write(response); err != nil {
			return
		}
	}
}

func (s *server) add(connection net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connections == nil || len(s.connections) == maxConnections {
		connection.Close()
		return false
	}
	s.connections[connection] = true
	return true
}

func (s *server) remove(connection net.Conn) {
	connection.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, connection)
}

// close ends every connection, and waits.
func (s *server) close() {
	s.listener.Close()
	close(s.ending)
	s.mu.Lock()
	for connection := range s.connections {
		connection.Close()
	}
	s.connections = nil
	s.mu.Unlock()
	s.group.Wait()
}
