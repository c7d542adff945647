/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"errors"
	"net"
	"syscall"
)

// instant reads from a socket, or writes to it, without waiting. It allocates
// nothing for a call. One goroutine at a time may use it.
type instant struct {
	raw         syscall.RawConn
	read, write func(descriptor uintptr) bool

	p   []byte
	n   int
	err error
}

// newInstant returns nil for a connection that is no socket.
func newInstant(connection net.Conn) *instant {
	socket, ok := connection.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	i := &instant{raw: raw}
	// They report true, so that the connection isn't waited for.
	i.read = func(descriptor uintptr) bool {
		i.n, i.err = syscall.Read(int(descriptor), i.p)
		return true
	}
	i.write = func(descriptor uintptr) bool {
		i.n, i.err = syscall.Write(int(descriptor), i.p)
		return true
	}
	return i
}

// Read reads what is there. It reports waits where nothing is. At the end of
// the input, and at an error, it reads nothing, and the connection's own Read
// tells which.
func (i *instant) Read(p []byte) (n int, waits bool) {
	i.try(i.raw.Read, i.read, p)
	return max(i.n, 0), errors.Is(i.err, syscall.EAGAIN)
}

// Write writes what there is room for.
func (i *instant) Write(p []byte) (int, error) {
	i.try(i.raw.Write, i.write, p)
	if errors.Is(i.err, syscall.EAGAIN) {
		return 0, nil
	}
	return max(i.n, 0), i.err
}

func (i *instant) try(call func(func(uintptr) bool) error, attempt func(uintptr) bool, p []byte) {
	i.p, i.n, i.err = p, 0, syscall.EINTR
	for errors.Is(i.err, syscall.EINTR) {
		if err := call(attempt); err != nil {
			i.err = err
		}
	}
	i.p = nil
}
