/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import "encoding/binary"

// Messages counts the messages of a gRPC body as it flows, whether the body is
// kept or not. A nil Messages is that of a body that isn't gRPC.
type Messages struct {
	count  uint64
	header [frameHeaderBytes]byte
	// read is how much of a message's header was seen, left how much of the
	// message is still to come.
	read int
	left int64
}

// NewMessages returns the count of a body with a coding.
func NewMessages(coding Coding) *Messages {
	if !isGRPC(coding.ContentType) {
		return nil
	}
	return new(Messages)
}

// Write takes the next bytes of the body.
func (m *Messages) Write(p []byte) {
	for m != nil && len(p) > 0 {
		if m.read < frameHeaderBytes {
			n := copy(m.header[m.read:], p)
			m.read, p = m.read+n, p[n:]
			if m.read < frameHeaderBytes {
				return
			}
			m.left = int64(binary.BigEndian.Uint32(m.header[1:]))
		}
		n := min(m.left, int64(len(p)))
		m.left, p = m.left-n, p[n:]
		if m.left == 0 {
			m.count, m.read = m.count+1, 0
		}
	}
}

// Whole reports whether the body ends between two messages, after at least one. A
// model may respond when it has the messages it needs, before the end of the
// client's stream has come through.
func (m *Messages) Whole() bool { return m != nil && m.count > 0 && m.read == 0 }

// One reports whether the body is exactly one message.
func (m *Messages) One() bool { return m.Whole() && m.count == 1 }
