/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package backend

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidenote-dev/sidenote/test/performance/wire"
)

// Manner is how a sink treats events.
type Manner string

// The manners.
const (
	// Up takes events at once.
	Up Manner = "up"
	// Slow takes them after SlowBy.
	Slow Manner = "slow"
	// Dead refuses connections.
	Dead Manner = "dead"
	// Hanging takes events in and never responds.
	Hanging Manner = "hanging"
)

// SlowBy is how long a slow sink takes for an event.
const SlowBy = 50 * time.Millisecond

// Sink takes events of one arm, and counts them.
type Sink struct {
	server *server
	// dead is a socket that is bound and doesn't listen, so that nobody else
	// gets its address.
	dead    int
	address string

	events, bytes atomic.Int64
}

var accepted = []byte("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

// NewSink starts a sink.
func NewSink(manner Manner) (*Sink, error) {
	s := &Sink{dead: -1}
	if manner == Dead {
		return s, s.bind()
	}
	var err error
	if s.server, err = serve(func(head *wire.Head, body int64) []byte {
		switch manner {
		case Hanging:
			return nil
		case Slow:
			time.Sleep(SlowBy)
		}
		if head.Event {
			s.events.Add(1)
			s.bytes.Add(body)
		}
		return accepted
	}); err != nil {
		return nil, fmt.Errorf("starting a sink: %w", err)
	}
	s.address = s.server.address()
	return s, nil
}

func (s *Sink) bind() error {
	var err error
	if s.dead, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("reserving an address: %w", err)
	}
	if err := unix.Bind(s.dead, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("reserving an address: %w", err)
	}
	name, err := unix.Getsockname(s.dead)
	if err != nil {
		return fmt.Errorf("reserving an address: %w", err)
	}
	s.address = fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	return nil
}

// Address is where it listens, or would.
func (s *Sink) Address() string { return s.address }

// Events is how many events it took, and Bytes the length of their bodies.
func (s *Sink) Events() int64 { return s.events.Load() }

// Bytes is the length of the bodies of all events that it took.
func (s *Sink) Bytes() int64 { return s.bytes.Load() }

// Close ends it.
func (s *Sink) Close() {
	if s.server != nil {
		s.server.close()
	}
	if s.dead >= 0 {
		unix.Close(s.dead)
	}
}
