/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"syscall"

	"github.com/sidenote-dev/sidenote/internal/agent/http1"
)

// maxHeadBytes bounds the heads of a model's response, as net/http's transport does.
const maxHeadBytes = 10 << 20

// inline exchanges HTTP/1.1 with the model in the goroutine of its caller, where
// the request is short. net/http's transport has two goroutines for each
// connection, and to hand an exchange over to them and back costs more than the
// exchange itself.
//
// It holds nothing back. If the client has not sent the whole request yet, or the
// model has not taken it, a goroutine sends the rest while the model's response is
// read.
type inline struct {
	pool    *http1.Pool
	connect dial
}

func newInline(target *url.URL, connect dial) *inline {
	address := target.Host
	if target.Port() == "" {
		address = net.JoinHostPort(target.Hostname(), "80")
	}
	in := &inline{connect: connect}
	in.pool = http1.NewPool(http1.Options{
		Dial: func(ctx context.Context) (net.Conn, error) {
			dialed, err := in.connect(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return &modelConn{dialed, newInstant(dialed)}, nil
		},
		MaxIdle: maxIdleConnections, IdleTimeout: idleTimeout, MaxHeadBytes: maxHeadBytes,
	})
	return in
}

// modelConn is a connection to the model. Where it is no socket, instant is nil.
type modelConn struct {
	net.Conn
	instant *instant
}

// SyscallConn has http1 see whether an idle connection has ended.
func (c *modelConn) SyscallConn() (syscall.RawConn, error) {
	if c.instant == nil {
		return nil, errors.ErrUnsupported
	}
	return c.instant.raw, nil
}

// takes reports whether a request of HTTP/1 is exchanged inline, with the target that
// the model gets.
func (in *inline) takes(r *http.Request) (target string, takes bool) {
	if !bodiless(r) && (r.ContentLength <= 0 || r.ContentLength > shortBody) {
		return "", false
	}
	if r.URL.Scheme != "http" || r.Method == http.MethodConnect || !plainHost(r.Host) {
		return "", false
	}
	if r.Header["Upgrade"] != nil || r.Header["Expect"] != nil {
		return "", false
	}
	target = r.URL.RequestURI()
	return target, plainTarget(target)
}

// exchange sends a request that it takes, and reads the head of the response.
func (in *inline) exchange(r *http.Request, target string) (*http.Response, error) {
	ctx := r.Context()
	for conn, err := in.pool.Get(ctx); ; conn, err = in.pool.Dial(ctx) {
		if err != nil {
			return nil, err
		}
		var res *http.Response
		if res, err = in.exchangeOn(conn, r, target); err == nil {
			return res, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !conn.Reused() || !mayRepeat(r, err) {
			return nil, err
		}
		// The model has closed the connection as idle.
	}
}

// mayRepeat reports whether net/http's transport would send a request again that met
// an error on a connection that was used before.
func mayRepeat(r *http.Request, err error) bool {
	if !bodiless(r) {
		return false
	}
	if errors.Is(err, errNothingSent) {
		return true
	}
	if !errors.Is(err, http1.ErrNoResponse) {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}

func (in *inline) exchangeOn(conn *http1.Conn, r *http.Request, target string) (*http.Response, error) {
	a := &response{pool: in.pool, conn: conn}
	// The client may leave.
	a.unbind = context.AfterFunc(r.Context(), func() { conn.Close() })
	conn.AllowHead()
	unsent := a.outgoing.send(conn, r, target)
	// A model that responded and closed the connection is heard, although it has not
	// taken all of the request.
	res, err := readResponse(conn, r)
	if err != nil {
		a.end(false)
		return nil, errors.Join(unsent, err)
	}
	a.kept = !res.Close && !r.Close
	if res.Body == http.NoBody {
		a.end(true)
		return res, nil
	}
	a.ReadCloser, res.Body = res.Body, a
	return res, nil
}

// readResponse reads the head of the response, and passes on the interim ones before.
func readResponse(conn *http1.Conn, r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	for {
		res, err := conn.ReadResponse(r)
		if err != nil {
			return nil, err
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("the model switched to a protocol that the client did not ask for")
		}
		if !http1.Interim(res) {
			return res, nil
		}
		if trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
			conn.AllowHead()
		}
	}
}

// response is the body of a response, whose end gives the connection back.
type response struct {
	io.ReadCloser
	pool *http1.Pool
	conn *http1.Conn
	// outgoing is the request.
	outgoing outgoing
	// unbind ends the watch for a client that leaves, and reports whether it hasn't.
	unbind func() bool
	// kept says that both sides would use the connection again.
	kept bool
	// over is what a read gives after the end.
	over error
}

func (a *response) Read(p []byte) (int, error) {
	if a.over != nil {
		return 0, a.over
	}
	n, err := a.ReadCloser.Read(p)
	if err != nil {
		a.over = err
		a.end(err == io.EOF)
	}
	return n, err
}

// Close before the end closes the connection, too: the rest may be long.
func (a *response) Close() error {
	if a.over == nil {
		a.over = http.ErrBodyReadAfterClose
		a.end(false)
	}
	return nil
}

// end is called once. Whole says that the response was read to its end.
func (a *response) end(whole bool) {
	if a.unbind() && whole && a.kept && a.outgoing.sent.Load() {
		a.pool.Put(a.conn)
	} else {
		a.conn.Close()
	}
}
