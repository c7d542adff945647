/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// kind is what sort of exchange it is.
type kind string

const (
	// unary has one body each way.
	unary kind = "unary"
	// sse responds with server-sent events, each flushed.
	sse kind = "sse"
	// idle is as sse, but goes on after the first event only when it is told to.
	idle kind = "idle"
	// grpc streams messages both ways, over HTTP/2.
	grpc kind = "grpc"
	// endless is as grpc, but neither side ever ends it.
	endless kind = "endless"
)

// plan is all that an exchange is: both its bodies derive from it.
type plan struct {
	run                         string
	number                      uint64
	kind                        kind
	requestBytes, responseBytes int
}

// id names the exchange to everybody, in X-Request-Id.
func (p plan) id() string {
	return fmt.Sprintf("%s.%d.%s.%d.%d", p.run, p.number, p.kind, p.requestBytes, p.responseBytes)
}

// planOf reads an id.
func planOf(id string) (plan, bool) {
	parts := strings.Split(id, ".")
	if len(parts) != 5 {
		return plan{}, false
	}
	number, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return plan{}, false
	}
	requestBytes, err := strconv.Atoi(parts[3])
	if err != nil {
		return plan{}, false
	}
	responseBytes, err := strconv.Atoi(parts[4])
	if err != nil {
		return plan{}, false
	}
	return plan{parts[0], number, kind(parts[2]), requestBytes, responseBytes}, true
}

// side is a direction of an exchange.
type side string

const (
	request  side = "request"
	response side = "answer"
)

// pieces are what a side sends one after the other.
func (p plan) pieces(s side) [][]byte {
	size := p.responseBytes
	if s == request {
		size = p.requestBytes
	}
	stream := p.keystream(s)
	switch {
	case (p.kind == sse || p.kind == idle) && s == response:
		const events = 5
		pieces := make([][]byte, events)
		for i := range pieces {
			pieces[i] = fmt.Appendf(nil, "data: %x\n\n", stream(size/events))
		}
		return pieces
	case p.kind == grpc, p.kind == endless:
		const messages = 3
		pieces := make([][]byte, messages)
		for i := range pieces {
			pieces[i] = frame(stream(size / messages))
		}
		return pieces
	default:
		return [][]byte{append([]byte(p.id()+" "+string(s)+"\n"), stream(size)...)}
	}
}

// body is all that a side sends.
func (p plan) body(s side) []byte {
	pieces := p.pieces(s)
	if len(pieces) == 1 {
		return pieces[0]
	}
	var all []byte
	for _, piece := range pieces {
		all = append(all, piece...)
	}
	return all
}

// keystream returns bytes that no other exchange and no other side has.
func (p plan) keystream(s side) func(int) []byte {
	key := sha256.Sum256([]byte(p.id() + " " + string(s)))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	stream := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	return func(n int) []byte {
		next := make([]byte, n)
		stream.XORKeyStream(next, next)
		return next
	}
}

// frame is a gRPC message on the wire (gRPC over HTTP/2,
// Length-Prefixed-Message).
func frame(message []byte) []byte {
	framed := make([]byte, 5, 5+len(message))
	binary.BigEndian.PutUint32(framed[1:], uint32(len(message)))
	return append(framed, message...)
}

// sum stands for a body in a ledger.
func sum(body []byte) string {
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:])
}
