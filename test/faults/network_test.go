/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fault is what a network does to the connections through it.
type fault string

const (
	healthy fault = "healthy"
	// refusing has nobody listen.
	refusing fault = "refusing"
	// resetting resets a connection at its first byte.
	resetting fault = "resetting"
	// swallowing is a black hole: it takes everything and gives nothing.
	swallowing fault = "swallowing"
	// halfOpen brings every byte to the sink, and nothing back: not even its
	// end.
	halfOpen fault = "half-open"
	// trickling brings responses back at a byte a second.
	trickling fault = "trickling"
	// slow holds each chunk of bytes up, both ways.
	slow fault = "slow"
)

const slowness = 150 * time.Millisecond

// network is a TCP proxy on an address that stays its own while it refuses.
type network struct {
	t       *testing.T
	address string

	mu       sync.Mutex
	fault    fault
	target   string
	listener net.Listener
	// end ends the connections that there are.
	end    context.CancelFunc
	ending context.Context
	group  sync.WaitGroup
}

// newNetwork is healthy at first.
func newNetwork(t *testing.T, target string) *network {
	t.Helper()
	n := &network{t: t, target: target}
	n.ending, n.end = context.WithCancel(context.Background())
	n.address = reserve(t)
	n.become(healthy)
	t.Cleanup(func() {
		n.become(refusing)
		n.end()
		n.group.Wait()
	})
	return n
}

// reserve binds a port without listening, so that nobody else gets it while
// connections to it are refused.
func reserve(t *testing.T) string {
	t.Helper()
	holder, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal("socket:", err)
	}
	t.Cleanup(func() { unix.Close(holder) })
	if err := unix.SetsockoptInt(holder, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		t.Fatal("SO_REUSEPORT:", err)
	}
	if err := unix.Bind(holder, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal("bind:", err)
	}
	bound, err := unix.Getsockname(holder)
	if err != nil {
		t.Fatal("getsockname:", err)
	}
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: bound.(*unix.SockaddrInet4).Port}).String()
}

// become cuts the connections that there are, and treats new ones so.
func (n *network) become(next fault) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = next
	n.end()
	n.ending, n.end = context.WithCancel(context.Background())
	switch {
	case next == refusing && n.listener != nil:
		n.listener.Close()
		n.listener = nil
	case next != refusing && n.listener == nil:
		config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			})
			if err != nil {
				return err
			}
			return failed
		}}
		listener, err := config.Listen(context.Background(), "tcp", n.address)
		if err != nil {
			n.t.Error("listen again:", err)
			return
		}
		n.listener = listener
		n.group.Go(func() { n.accept(listener) })
	}
}

// leadTo sends new connections elsewhere.
func (n *network) leadTo(target string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.target = target
}

func (n *network) accept(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		n.mu.Lock()
		now, target, ending := n.fault, n.target, n.ending
		n.mu.Unlock()
		n.group.Go(func() { carry(ending, now, connection.(*net.TCPConn), target) })
	}
}

// carry treats one connection until it ends or is cut.
func carry(ending context.Context, now fault, near *net.TCPConn, target string) {
	defer near.Close()
	cutNear := context.AfterFunc(ending, func() { near.Close() })
	defer cutNear()
	switch now {
	case resetting:
		_, _ = io.ReadFull(near, make([]byte, 1))
		_ = near.SetLinger(0)
		return
	case swallowing:
		_, _ = io.Copy(io.Discard, near)
		return
	}
	dialed, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	far := dialed.(*net.TCPConn)
	defer far.Close()
	cutFar := context.AfterFunc(ending, func() { far.Close() })
	defer cutFar()

	var back sync.WaitGroup
	back.Go(func() {
		switch now {
		case halfOpen:
			_, _ = io.Copy(io.Discard, far)
			<-ending.Done()
		case trickling:
			pass(ending, near, far, 1, time.Second)
		case slow:
			pass(ending, near, far, 32<<10, slowness)
		default:
			_, _ = io.Copy(near, far)
		}
		_ = near.CloseWrite()
	})
	if now == slow {
		pass(ending, far, near, 32<<10, slowness)
	} else {
		_, _ = io.Copy(far, near)
	}
	_ = far.CloseWrite()
	if now != healthy && now != slow {
		// Who waited for a response is gone.
		far.Close()
	}
	back.Wait()
}

// pass copies chunks of at most so many bytes, and waits before each.
func pass(ending context.Context, to io.Writer, from io.Reader, most int, wait time.Duration) {
	chunk := make([]byte, most)
	for {
		read, err := from.Read(chunk)
		if read > 0 {
			select {
			case <-time.After(wait):
			case <-ending.Done():
				return
			}
			if _, err := to.Write(chunk[:read]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
