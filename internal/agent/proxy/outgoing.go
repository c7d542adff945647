/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/sidenote-dev/sidenote/internal/agent/http1"
)

const (
	// shortBody is the longest body of a request that is exchanged inline.
	shortBody = 64 << 10
	// outgoingBytes holds such a body and a usual head, so that one write takes
	// both.
	outgoingBytes = shortBody + 4<<10
)

var outgoingBuffers = newBufferPool(outgoingBytes)

var (
	// errNothingSent says that none of a request left.
	errNothingSent = errors.New("the connection accepted no byte of the request")
	errBodyLength  = errors.New("the length of the request's body differs from its Content-Length")
)

// outgoing is a request on its way to the model.
type outgoing struct {
	conn *http1.Conn
	// body is what the client sends, nil once it is read to its end, and rest is how
	// much of it is to come.
	body io.Reader
	rest int64
	head bytes.Buffer
	// sent says that the connection has taken all of the request.
	sent atomic.Bool
}

// send sends what the client has sent so far, as far as the connection takes it
// at once, and has a goroutine send the rest.
func (o *outgoing) send(conn *http1.Conn, r *http.Request, target string) error {
	buffer := outgoingBuffers.Get()
	o.conn = conn
	if !bodiless(r) {
		o.body, o.rest = r.Body, r.ContentLength
	}
	o.head = *bytes.NewBuffer(buffer[:0])
	writeHead(&o.head, r, target, o.rest)
	request, err := o.readThere(o.head.Bytes(), headConnOf(r))
	if err != nil {
		// The client broke off. The model gets this part of the request, and then
		// the end of the connection.
		_, _ = o.writeNow(request)
		o.conn.Close()
		return err
	}
	n, err := o.writeNow(request)
	switch {
	case err != nil && n == 0:
		err = fmt.Errorf("%w: %w", errNothingSent, err)
	case err != nil:
	case n < len(request) || o.body != nil:
		go o.sendRest(buffer, request[n:])
		return nil
	default:
		o.sent.Store(true)
	}
	outgoingBuffers.Put(buffer)
	return err
}

// readThere appends to a request what the client has sent of its body.
func (o *outgoing) readThere(request []byte, client *headConn) ([]byte, error) {
	if client == nil {
		// Nobody knows whether a read waits.
		return request, nil
	}
	client.waitless.Store(true)
	defer client.waitless.Store(false)
	for o.body != nil && len(request) < cap(request) {
		n, err := o.readBody(request[len(request):cap(request)])
		request = request[:len(request)+n]
		if err != nil || n == 0 && o.body != nil {
			return request, err
		}
	}
	return request, nil
}

// readBody reads once, and notices the end of the body.
func (o *outgoing) readBody(p []byte) (int, error) {
	n, err := o.body.Read(p)
	o.rest -= int64(n)
	switch {
	case o.rest < 0, err == io.EOF && o.rest > 0:
		return 0, errBodyLength
	case err == io.EOF:
		o.body = nil
		return n, nil
	default:
		return n, err
	}
}

// writeNow writes what the connection has room for.
func (o *outgoing) writeNow(p []byte) (int, error) {
	if instant := o.conn.Conn.(*modelConn).instant; instant != nil {
		return instant.Write(p)
	}
	return 0, nil
}

// sendRest ends at the end of the request or of the connection, or when the body
// is closed at the end of the exchange. It closes the connection only if the
// client broke off: a model that is gone may have left a response.
func (o *outgoing) sendRest(buffer, unsent []byte) {
	_, err := o.conn.Write(unsent)
	// Little is held for a client that is slow.
	outgoingBuffers.Put(buffer)
	buffer = copyBuffers.Get()
	defer copyBuffers.Put(buffer)
	for err == nil && o.body != nil {
		n, broken := o.readBody(buffer)
		_, err = o.conn.Write(buffer[:n])
		if broken != nil {
			o.conn.Close()
			return
		}
	}
	o.sent.Store(err == nil)
}

func bodiless(r *http.Request) bool { return r.Body == nil || r.Body == http.NoBody }
