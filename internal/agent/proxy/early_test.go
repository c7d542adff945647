/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
)

const tooLarge = `{"error":"too large"}`

// newProxy returns the address of an agent's proxy before a model.
func newProxy(t *testing.T, model string) (*proxy.Handler, string) {
	t.Helper()
	handler := proxy.New(&url.URL{Scheme: "http", Host: model}, func(*http.Request) (proxy.Watcher, http.Header) { return nil, nil }, func(proxy.ErrorClass) {})
	server := httptest.NewUnstartedServer(nil)
	server.Config = proxy.NewServer(handler, quiet)
	server.Start()
	t.Cleanup(func() {
		server.Close()
		handler.CloseIdleConnections()
	})
	return handler, server.Listener.Addr().String()
}

// resetConnection is one that a model has reset after its response: a write
// fails, and only then is the response seen.
type resetConnection struct {
	net.Conn
	response *strings.Reader
	failed   chan struct{}
	once     sync.Once
	head     bool
}

func (c *resetConnection) Write(p []byte) (int, error) {
	if !c.head {
		c.head = true
		return len(p), nil
	}
	defer c.once.Do(func() {
		// The transport hears of the failed write first.
		time.AfterFunc(100*time.Millisecond, func() { close(c.failed) })
	})
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
}

func (c *resetConnection) Read(p []byte) (int, error) {
	<-c.failed
	return c.response.Read(p)
}

func (c *resetConnection) Close() error { return nil }

// TestResponseOfAResetConnectionIsRead, and without one the exchange ends as
// one that the model broke off.
func TestResponseOfAResetConnectionIsRead(t *testing.T) {
	for name, response := range map[string]string{
		"with a length":       "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 21\r\n\r\n" + tooLarge,
		"in chunks":           "HTTP/1.1 413 Too Large\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n" + tooLarge + "\r\n0\r\n\r\n",
		"up to the end":       "HTTP/1.1 413 Too Large\r\n\r\n" + tooLarge,
		"to be kept open":     "HTTP/1.1 413 Too Large\r\nContent-Length: 21\r\n\r\n" + tooLarge,
		"none":                "",
		"half a head":         "HTTP/1.1 413 Too La",
		"less than announced": "HTTP/1.1 413 Too Large\r\nContent-Length: 22\r\n\r\n" + tooLarge,
	} {
		t.Run(name, func(t *testing.T) {
			handler, address := newProxy(t, "model")
			handler.DialBy(func(context.Context, string, string) (net.Conn, error) {
				return &resetConnection{response: strings.NewReader(response), failed: make(chan struct{})}, nil
			})
			got, err := http.Post("http://"+address+"/v1/models/m:predict", "application/json", io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20))))
			defer http.DefaultClient.CloseIdleConnections()
			var body []byte
			if err == nil {
				defer got.Body.Close()
				body, err = io.ReadAll(got.Body)
			}
			broken := !strings.Contains(response, tooLarge) || strings.Contains(response, "22")
			switch {
			case broken && err == nil:
				t.Errorf("the client got %s with %q", got.Status, body)
			case !broken && (err != nil || got.StatusCode != http.StatusRequestEntityTooLarge || string(body) != tooLarge):
				t.Errorf("the client got %q, %v", body, err)
			}
		})
	}
}

// TestEarlyResponseReachesTheClient: a model that responds at once, and leaves
// the body of the request unread, is seen through the agent as without it.
func TestEarlyResponseReachesTheClient(t *testing.T) {
	const exchanges, atOnce = 60, 4
	for name, model := range map[string]string{
		"a model that closes at once":           closingModel(t, false),
		"a model that goes on reading a little": closingModel(t, true),
		"a model of Go's": serveLoopback(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, tooLarge)
		}),
	} {
		_, address := newProxy(t, model)
		for _, size := range []int{1 << 10, 10 << 10, 64 << 10, 256 << 10, 1 << 20, 10 << 20} {
			clients := map[string]func(string, int) error{"HTTP/1.1": postRaw}
			if strings.HasSuffix(name, "Go's") {
				clients["HTTP/2"] = http2Poster(t)
			}
			for protocol, post := range clients {
				t.Run(fmt.Sprintf("%s, %s, %d KiB", name, protocol, size>>10), func(t *testing.T) {
					var running sync.WaitGroup
					for range atOnce {
						running.Go(func() {
							for range exchanges / atOnce {
								if err := post(address, size); err != nil {
									t.Error(err)
								}
							}
						})
					}
					running.Wait()
				})
			}
		}
	}
}

func serveLoopback(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// closingModel reads the head of a request, responds and closes. Where it
// lingers it reads some of the body first, as common servers do.
func closingModel(t *testing.T, lingers bool) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer connection.Close()
				reader := bufio.NewReader(connection)
				if _, err := http.ReadRequest(reader); err != nil {
					return
				}
				fmt.Fprintf(connection, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(tooLarge), tooLarge)
				if lingers {
					_ = connection.(*net.TCPConn).CloseWrite()
					_, _ = io.CopyN(io.Discard, reader, 256<<10)
				}
			})
		}
	})
	return listener.Addr().String()
}

// postRaw sends a request for as long as it can, and reads the response whatever
// comes of that. Go's client would take a failed write for the end, too.
func postRaw(address string, size int) error {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	var sending sync.WaitGroup
	defer sending.Wait()
	defer connection.Close()
	sending.Go(func() {
		fmt.Fprintf(connection, "POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
		_, _ = io.CopyN(connection, zeros{}, int64(size))
	})
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return err
	}
	return isTooLarge(response)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func http2Poster(t *testing.T) func(string, int) error {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return func(address string, size int) error {
		response, err := client.Post("http://"+address+"/v1/models/m:predict", "application/json", io.LimitReader(zeros{}, int64(size)))
		if err != nil {
			return err
		}
		return isTooLarge(response)
	}
}

func isTooLarge(response *http.Response) error {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusRequestEntityTooLarge || string(body) != tooLarge) {
		err = errors.New(response.Status + " " + string(body))
	}
	return err
}
