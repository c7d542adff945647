/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveProxy returns the address of an agent's proxy before a model, the paths that
// it is asked for, and what its server says of errors.
func serveProxy(t *testing.T, model string) (address string, paths, said *agenttest.Buffer) {
	t.Helper()
	paths, said = new(agenttest.Buffer), new(agenttest.Buffer)
	handler := proxy.New(&url.URL{Scheme: "http", Host: model}, func(r *http.Request) (proxy.Watcher, http.Header) {
		fmt.Fprintln(paths, r.URL.Path)
		return nil, nil
	}, func(proxy.ErrorClass) {})
	server := httptest.NewUnstartedServer(nil)
	server.Config = proxy.NewServer(handler, log.New(said, "", 0))
	server.Listener = proxy.ListenForHeads(server.Listener)
	server.Start()
	t.Cleanup(func() {
		server.Close()
		handler.CloseIdleConnections()
	})
	return server.Listener.Addr().String(), paths, said
}

// nobody returns an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestAnUnreadBodyEndsTheConnection: net/http panics where it finds the end of a
// body after its handler (golang/go#68560), and so closes a connection that the
// client takes for one to use again. The client is told instead.
func TestAnUnreadBodyEndsTheConnection(t *testing.T) {
	for name, body := range map[string]string{
		"with a length": "Content-Length: 5\r\n\r\nhello",
		"in chunks":     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			address, _, said := serveProxy(t, nobody(t))
			client, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			fmt.Fprintf(client, "POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\n%s", body)
			reader := bufio.NewReader(client)
			response := readResponse(t, reader)
			if response.StatusCode != http.StatusBadGateway || !response.Close {
				t.Errorf("the client got %s, and is told that the connection ends: %v", response.Status, response.Close)
			}
			if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
				t.Errorf("after the response came %q, %v", rest, err)
			}
			if text := said.String(); text != "" {
				t.Errorf("the server says %s", text)
			}
		})
	}
}

// TestTheRestOfABodyIsNoRequest: where a response came before the rest of the
// request's body, that rest is never taken for a further request.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	// So much of a chunk is passed on before its end.
	begin := strings.Repeat("x", 32<<10)
	const rest = "GET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n"
	for name, framing := range map[string]struct{ head, end string }{
		"with a length": {fmt.Sprintf("Content-Length: %d\r\n\r\n", len(begin+rest)), ""},
		"in chunks":     {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(begin+rest)), "\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			address, paths, said := serveProxy(t, newEarlyModel(t, begin))
			client, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			fmt.Fprintf(client, "POST /first HTTP/1.1\r\nHost: m\r\n%s%s", framing.head, begin)
			reader := bufio.NewReader(client)
			if response := readResponse(t, reader); response.StatusCode != http.StatusUnauthorized || !response.Close {
				t.Errorf("the client got %s, and is told that the connection ends: %v", response.Status, response.Close)
			}
			fmt.Fprint(client, rest, framing.end)
			_ = client.(*net.TCPConn).CloseWrite()
			// The connection may end by a reset: it was not read on.
			more, _ := io.ReadAll(reader)
			if got := paths.String(); got != "/first\n" {
				t.Errorf("there were requests for %q, and the client got %q more", got, more)
			}
			if text := said.String(); text != "" {
				t.Errorf("the server says %s", text)
			}
		})
	}
}

func readResponse(t *testing.T, reader *bufio.Reader) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response
}

// newEarlyModel returns the address of a model that responds as soon as it has a
// part of the body.
func newEarlyModel(t *testing.T, part string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer connection.Close()
				request, err := http.ReadRequest(bufio.NewReader(connection))
				if err != nil {
					return
				}
				_, _ = io.ReadFull(request.Body, make([]byte, len(part)))
				fmt.Fprint(connection, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
				_, _ = io.Copy(io.Discard, connection)
			})
		}
	})
	return listener.Addr().String()
}

// TestAModelThatRefusesToContinue never gets the body.
func TestAModelThatRefusesToContinue(t *testing.T) {
	model := agenttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "too large", http.StatusExpectationFailed)
	}))
	address, _, _ := serveProxy(t, model.Address)
	sent := &countingReader{Reader: strings.NewReader(strings.Repeat("x", 1000))}
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/", sent)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Expect", "100-continue")
	response, err := agenttest.HTTP1Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusExpectationFailed || sent.n.Load() != 0 {
		t.Errorf("status %d after %d bytes", response.StatusCode, sent.n.Load())
	}
}

type countingReader struct {
	io.Reader
	n atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}
