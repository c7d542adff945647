/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/http1"
)

const (
	// postBufferBytes has room for a head and a short body, which then go out in
	// one write. A longer body is not copied.
	postBufferBytes = 8 << 10
	// blockedWrite is how long a write blocks before post looks whether the sink
	// has responded already, and unreadAfterSuccess how often it blocks for so
	// long after a success before the rest is kept back.
	blockedWrite       = 100 * time.Millisecond
	unreadAfterSuccess = 10
)

// outgoing is an event as the sequence-th one of the agent to a sink.
type outgoing struct {
	event    *event.Event
	sequence uint64
	body     event.MessageBody
}

// errNotRead says that the sink has responded and reads no further.
var errNotRead = errors.New("the sink doesn't read the rest of the event")

// post writes one request, and reads the head of its response. giveBack returns
// it to a pool, with its buffer.
type post struct {
	// buffer has what goes out with the next write.
	buffer []byte

	ctx  context.Context
	conn *http1.Conn
	// pieces and unsent are those of one write.
	pieces [2][]byte
	unsent net.Buffers
	// early is the response that came before the end of the request, and begun
	// says that an interim one did.
	early *http.Response
	begun bool
}

var posts = sync.Pool{New: func() any { return &post{buffer: make([]byte, 0, postBufferBytes)} }}

func borrowPost() *post { return posts.Get().(*post) }

func (x *post) giveBack() {
	// A long token has grown the others. They would waste memory in the pool.
	if cap(x.buffer) == postBufferBytes {
		*x = post{buffer: x.buffer[:0]}
		posts.Put(x)
	}
}

// writeHead puts the head into the buffer. start is its first part, up to the
// number of the Content-Length.
func (x *post) writeHead(ctx context.Context, start []byte, out outgoing, authorization string) {
	x.buffer = strconv.AppendInt(append(x.buffer[:0], start...), out.body.Length, 10)
	x.buffer = append(x.buffer, "\r\n"...)
	if authorization != "" {
		x.Set("Authorization", authorization)
	}
	// Of the attempt's span, where it has one: the sink's own spans are below it.
	propagation.TraceContext{}.Inject(ctx, x)
	x.buffer = append(out.event.AppendHeader(x.buffer, out.sequence), "\r\n"...)
}

// Set adds a line to the head. With Get and Keys it makes a post a
// propagation.TextMapCarrier.
func (x *post) Set(name, value string) {
	x.buffer = append(append(append(append(x.buffer, name...), ": "...), value...), "\r\n"...)
}

// Get is not used to write a trace context.
func (x *post) Get(string) string { return "" }

// Keys is not used to write a trace context.
func (x *post) Keys() []string { return nil }

// exchange writes the request and reads the head of the final response. The
// request's head must be in the buffer already (writeHead). sent reports whether the
// request was written in full. If it wasn't, the connection can't be used again.
func (x *post) exchange(ctx context.Context, conn *http1.Conn, body io.WriterTo) (response *http.Response, sent bool, err error) {
	x.ctx, x.conn, x.early, x.begun = ctx, conn, nil, false
	_, err = body.WriteTo(x)
	if err == nil {
		err = x.flush(nil)
	}
	// Where the request could not be written, its response may have come first.
	for sent = err == nil; x.early == nil; {
		if err := x.readResponse(); err != nil {
			return nil, sent, err
		}
	}
	return x.early, sent, nil
}

// Write puts data into the buffer, or sends both.
func (x *post) Write(data []byte) (int, error) {
	if len(data) <= cap(x.buffer)-len(x.buffer) {
		x.buffer = append(x.buffer, data...)
		return len(data), nil
	}
	return len(data), x.flush(data)
}

// flush sends the buffer and data. While a write blocks it looks for a
// response: after a failure the sink need not get the rest, and after a success
// it gets what it reads.
func (x *post) flush(data []byte) error {
	x.pieces = [2][]byte{x.buffer, data}
	x.unsent = x.pieces[:]
	if len(data) == 0 {
		x.unsent = x.pieces[:1]
	}
	x.buffer = x.buffer[:0]
	for unread := 0; ; unread++ {
		deadline, _ := x.ctx.Deadline()
		_ = x.conn.SetWriteDeadline(soonest(deadline, time.Now().Add(blockedWrite)))
		n, err := x.write()
		if n > 0 {
			unread = 0
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case x.ctx.Err() != nil:
			return x.ctx.Err()
		case x.early != nil && unread == unreadAfterSuccess:
			return errNotRead
		case x.early == nil && x.conn.Readable():
			if err := x.readResponse(); err != nil {
				return err
			}
			if x.early != nil && Judge(Result{Status: x.early.StatusCode}) != Delivered {
				return errNotRead
			}
		}
	}
}

// write sends what is unsent, or a part of it.
func (x *post) write() (int64, error) {
	if len(x.unsent) > 1 {
		return x.unsent.WriteTo(x.conn.Conn)
	}
	n, err := x.conn.Write(x.unsent[0])
	x.unsent[0] = x.unsent[0][n:]
	return int64(n), err
}

// readResponse reads one more response, interim or final.
func (x *post) readResponse() error {
	response, err := x.conn.ReadResponse(nil)
	switch {
	case errors.Is(err, http1.ErrNoResponse) && x.begun:
		// Something has come.
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	case http1.Interim(response):
		x.begun = true
	default:
		x.early = response
	}
	return nil
}

// soonest returns the earlier of two deadlines, of which zero means none.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
