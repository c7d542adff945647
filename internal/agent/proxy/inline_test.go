/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// modelSide accepts connections as a model, which a test speaks for.
type modelSide struct {
	t *testing.T
	net.Listener
}

func newModelSide(t *testing.T) modelSide {
	t.Helper()
	// Little fits into its connections, so that a write to them may wait.
	narrow := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) (err error) {
		return errors.Join(socket.Control(func(descriptor uintptr) {
			err = syscall.SetsockoptInt(int(descriptor), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		}), err)
	}}
	listener, err := narrow.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return modelSide{t, listener}
}

func (m modelSide) url() *url.URL { return &url.URL{Scheme: "http", Host: m.Addr().String()} }

func (m modelSide) accept() (net.Conn, *bufio.Reader) {
	m.t.Helper()
	accepted, err := m.Accept()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { accepted.Close() })
	return accepted, bufio.NewReader(accepted)
}

func (m modelSide) reads(from io.Reader, want string) {
	m.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != want {
		m.t.Fatalf("the model got %q, %v, want %q", got[:n], err, want)
	}
}

// TestTheHeadOfARequestIsTheTransports: a request that is exchanged inline is the
// same, byte for byte, as net/http's transport writes it.
func TestTheHeadOfARequestIsTheTransports(t *testing.T) {
	header := http.Header{
		"User-Agent": {" a\t"}, "X-B": {"1", " 2 ", ""}, "X-A": {"\xff"}, "Content-Type": {"a/b"}, "x-lower": {"y"},
		"Host": {"no"}, "Content-Length": {"99"}, "Trailer": {"X-T"}, "Transfer-Encoding": {"chunked"},
	}
	for name, build := range map[string]func() *http.Request{
		"without a body": func() *http.Request { return &http.Request{Method: "GET", Header: header} },
		"HEAD":           func() *http.Request { return &http.Request{Method: "HEAD", Header: http.Header{"User-Agent": {""}}} },
		"no POST body":   func() *http.Request { return &http.Request{Method: "POST", Header: header} },
		"no PUT body":    func() *http.Request { return &http.Request{Method: "PUT", Header: header} },
		"no PATCH body":  func() *http.Request { return &http.Request{Method: "PATCH", Header: header} },
		"no DELETE body": func() *http.Request { return &http.Request{Method: "DELETE", Header: header, Body: http.NoBody} },
		"an odd method":  func() *http.Request { return &http.Request{Method: "pUrGe", Header: header} },
		"GET with a body": func() *http.Request {
			return &http.Request{Method: "GET", Header: header, ContentLength: 2, Body: io.NopCloser(strings.NewReader("{}"))}
		},
		"with a body": func() *http.Request {
			return &http.Request{Method: "POST", Header: header, ContentLength: 5, Body: io.NopCloser(strings.NewReader("hello"))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sent [2][]byte
			for i := range sent {
				m := newModelSide(t)
				transport := newTransport(m.url())
				defer transport.CloseIdleConnections()
				request := build().WithContext(t.Context())
				request.URL = &url.URL{Scheme: "http", Host: m.Addr().String(), Path: "/a b/ü", RawQuery: "x=y;z=%zz"}
				request.Host = "m.example.com:80"
				if _, takes := transport.inline.takes(request); !takes {
					t.Fatal("it is not exchanged inline")
				}
				exchange := transport.RoundTrip
				if i == 1 {
					exchange = transport.http1.RoundTrip
				}
				var waiting sync.WaitGroup
				waiting.Go(func() {
					if response, err := exchange(request); err == nil {
						response.Body.Close()
					}
				})
				accepted, reader := m.accept()
				tee := &bytes.Buffer{}
				read, err := http.ReadRequest(bufio.NewReader(io.TeeReader(reader, tee)))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, read.Body); err != nil {
					t.Fatal(err)
				}
				accepted.Close()
				waiting.Wait()
				sent[i] = tee.Bytes()
			}
			if !bytes.Equal(sent[0], sent[1]) {
				t.Errorf("inline\n%q\nnet/http\n%q", sent[0], sent[1])
			}
		})
	}
}

// TestOtherRequestsAreTheTransports: what is long, unbounded or odd isn't
// exchanged inline.
func TestOtherRequestsAreTheTransports(t *testing.T) {
	in := newInline(&url.URL{Scheme: "http", Host: "m:1"}, nil)
	body := io.NopCloser(strings.NewReader(""))
	for name, change := range map[string]func(*http.Request){
		"a long body":          func(r *http.Request) { r.Body, r.ContentLength = body, shortBody+1 },
		"a chunked body":       func(r *http.Request) { r.Body, r.ContentLength = body, -1 },
		"an upgrade":           func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"an expectation":       func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"CONNECT":              func(r *http.Request) { r.Method = http.MethodConnect },
		"TLS":                  func(r *http.Request) { r.URL.Scheme = "https" },
		"no host":              func(r *http.Request) { r.Host = "" },
		"a zone":               func(r *http.Request) { r.Host = "[fe80::1%eth0]" },
		"an international one": func(r *http.Request) { r.Host = "mü" },
		"a space in a target":  func(r *http.Request) { r.URL.RawQuery = "a b" },
	} {
		request, err := http.NewRequest(http.MethodGet, "http://m:1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, takes := in.takes(request); !takes {
			t.Fatal("a plain one isn't either")
		}
		if change(request); func() bool { _, takes := in.takes(request); return takes }() {
			t.Errorf("%s: exchanged inline", name)
		}
	}
}

// between serves a Handler in front of the model, and gives a client's connection
// to it.
func (m modelSide) between(connect dial) net.Conn {
	m.t.Helper()
	handler := New(m.url(), func(*http.Request) (Watcher, http.Header) { return reader{}, nil }, func(ErrorClass) {})
	handler.DialBy(connect)
	agents, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	server := NewServer(handler, log.New(io.Discard, "", 0))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ListenForHeads(agents)) })
	client, err := net.Dial("tcp", agents.Addr().String())
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		client.Close()
		server.Close()
		serving.Wait()
		handler.CloseIdleConnections()
	})
	return client
}

func write(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

// TestNothingOfAShortRequestIsHeldBack: the model has each part of a request
// before the client sends the next, and the client has an early response.
func TestNothingOfAShortRequestIsHeldBack(t *testing.T) {
	m := newModelSide(t)
	client := m.between(new(net.Dialer).DialContext)
	write(t, client, "POST /p HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\n")
	connection, model := m.accept()
	m.reads(model, "POST /p HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\n")
	for _, part := range []string{"abc", "def"} {
		write(t, client, part)
		m.reads(model, part)
	}
	write(t, connection, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
	response := bufio.NewReader(client)
	head, err := http.ReadResponse(response, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, connection, "ea")
	m.reads(head.Body, "ea")
	write(t, client, "ghi")
	m.reads(model, "ghi")
	write(t, connection, "rl")
	m.reads(head.Body, "rl")
}

// TestAModelThatReadsNothingIsHeard, although the connection to it doesn't take
// all of a request.
func TestAModelThatReadsNothingIsHeard(t *testing.T) {
	m := newModelSide(t)
	client := m.between(func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = dialed.(*net.TCPConn).SetWriteBuffer(1)
		}
		return dialed, err
	})
	write(t, client, fmt.Sprintf("POST /p HTTP/1.1\r\nHost: m\r\nContent-Length: %d\r\n\r\n%s", shortBody, strings.Repeat("x", shortBody)))
	connection, _ := m.accept()
	write(t, connection, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
	response, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); response.StatusCode != http.StatusRequestEntityTooLarge || string(body) != "no" || err != nil {
		t.Errorf("got %s with %q, %v", response.Status, body, err)
	}
}

// TestStaleConnectionIsHiddenFromTheClient where the request may be sent again.
func TestStaleConnectionIsHiddenFromTheClient(t *testing.T) {
	for _, test := range []struct {
		method, body, header string
		again                bool
	}{
		{method: http.MethodGet, again: true},
		{method: http.MethodPost},
		{method: http.MethodPost, header: "Idempotency-Key", again: true},
		{method: http.MethodPost, body: "{}", header: "Idempotency-Key"},
		{method: http.MethodGet, body: "{}"},
	} {
		m := newModelSide(t)
		dials := 0
		in := newInline(m.url(), func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			return new(net.Dialer).DialContext(ctx, network, address)
		})
		ask := func(method, body string) error {
			request, err := http.NewRequestWithContext(t.Context(), method, "http://m/", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if test.header != "" {
				request.Header.Set(test.header, "1")
			}
			response, err := in.exchange(request, "/")
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, response.Body)
			return errors.Join(err, response.Body.Close())
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			first, reader := m.accept()
			for range 2 {
				request, err := http.ReadRequest(reader)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, request.Body)
				if request.Method == http.MethodOptions {
					_, _ = io.WriteString(first, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			}
			// The second request came on a connection that the model gave up.
			first.Close()
			if test.again {
				second, reader := m.accept()
				if _, err := http.ReadRequest(reader); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(second, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}()
		if err := ask(http.MethodOptions, ""); err != nil {
			t.Fatal(err)
		}
		if err := ask(test.method, test.body); (err == nil) != test.again || (dials == 2) != test.again {
			t.Errorf("%+v: %v, with %d connections", test, err, dials)
		}
		<-done
		in.pool.CloseIdle()
	}
}

// TestConnectionIsReusedOnlyAfterACompleteResponse.
func TestConnectionIsReusedOnlyAfterACompleteResponse(t *testing.T) {
	for name, test := range map[string]struct {
		response string
		method   string
		again    bool
	}{
		"a length":        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", true},
		"chunks":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", "GET", true},
		"no body":         {"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET", true},
		"HEAD":            {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD", true},
		"interim before":  {"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", true},
		"close":           {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "GET", false},
		"HTTP/1.0":        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", false},
		"more than it is": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", "GET", false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModelSide(t)
			in := newInline(m.url(), new(net.Dialer).DialContext)
			defer in.pool.CloseIdle()
			interim := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
				interim++
				return nil
			}})
			request, err := http.NewRequestWithContext(ctx, test.method, "http://m/", nil)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				accepted, _ := m.accept()
				_, _ = io.WriteString(accepted, test.response)
			}()
			response, err := in.exchange(request, "/")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if want := strings.Contains(test.response, "\r\nok") && test.method != "HEAD"; err != nil || (string(body) == "ok") != want {
				t.Errorf("the body is %q, %v", body, err)
			}
			if strings.HasPrefix(name, "interim") != (interim == 1) || name == "chunks" && response.Trailer.Get("X-T") != "1" {
				t.Errorf("%d interim responses, trailer %v", interim, response.Trailer)
			}
			<-done
			conn, err := in.pool.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.Reused() != test.again {
				t.Errorf("used again: %v", conn.Reused())
			}
		})
	}
}

// TestOnlyTheBodyIsReadWithoutWaiting: the server's watch for a client that leaves
// waits, or it would see no client leave.
func TestOnlyTheBodyIsReadWithoutWaiting(t *testing.T) {
	m := newModelSide(t)
	heads := ListenForHeads(m.Listener)
	client, err := net.Dial("tcp", m.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := heads.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	connection := accepted.(*headConn)
	connection.waitless.Store(true)
	if n, err := connection.Read(make([]byte, 2)); n != 0 || err != nil {
		t.Errorf("where nothing is there, a read gives %d, %v", n, err)
	}
	go func() { _, _ = io.WriteString(client, "x") }()
	if n, err := connection.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("the watch gives %d, %v", n, err)
	}
	client.Close()
	for n := 0; err == nil; n, err = connection.Read(make([]byte, 2)) {
		if n != 0 {
			t.Error("there is more")
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("at the end a read gives %v", err)
	}
}
