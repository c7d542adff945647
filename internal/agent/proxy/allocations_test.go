/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// TestAnExchangeAllocatesLittle bounds what the agent's server and its proxy
// allocate for an exchange together. Client and model allocate nothing.
func TestAnExchangeAllocatesLittle(t *testing.T) {
	for _, test := range []struct {
		name    string
		watcher Watcher
		size    int
		most    float64
	}{
		{"that nobody watches", nil, 0, 66},
		{"that nobody watches, with bodies", nil, 1 << 10, 74},
		{"with a watcher", reader{}, 1 << 10, 86},
	} {
		t.Run("one "+test.name, func(t *testing.T) {
			exchange := newWire(t, test.size, func(target *url.URL) http.Handler {
				handler := New(target, func(*http.Request) (Watcher, http.Header) { return test.watcher, nil }, func(class ErrorClass) { t.Error(class) })
				t.Cleanup(handler.CloseIdleConnections)
				return handler
			})
			if got := testing.AllocsPerRun(200, exchange); got > test.most {
				t.Errorf("%v allocations, want %v at most", got, test.most)
			}
		})
	}
}

// BenchmarkExchange compares the proxy with a bare one.
func BenchmarkExchange(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		for name, handler := range map[string]func(*url.URL) http.Handler{
			"bare proxy": func(target *url.URL) http.Handler {
				transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: maxIdleConnections}
				b.Cleanup(transport.CloseIdleConnections)
				return &httputil.ReverseProxy{
					Transport: transport, BufferPool: newBufferPool(copyBufferBytes),
					Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) },
				}
			},
			"nobody watches": func(target *url.URL) http.Handler {
				return New(target, func(*http.Request) (Watcher, http.Header) { return nil, nil }, func(ErrorClass) {})
			},
			"with a watcher": func(target *url.URL) http.Handler {
				return New(target, func(*http.Request) (Watcher, http.Header) { return reader{}, nil }, func(ErrorClass) {})
			},
		} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, name), func(b *testing.B) {
				exchange := newWire(b, size, handler)
				b.ReportAllocs()
				for b.Loop() {
					exchange()
				}
			})
		}
	}
}

// newWire serves a handler between a client and a model that write and read
// bytes without a look at them, and gives what makes one exchange.
func newWire(t testing.TB, size int, handler func(target *url.URL) http.Handler) (exchange func()) {
	t.Helper()
	body := strings.Repeat("x", size) + "."
	request := []byte(fmt.Sprintf("POST /v1/models/m:predict HTTP/1.1\r\nHost: m.example.com\r\nUser-Agent: client\r\nContent-Type: application/json\r\nX-Request-Id: 1\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	end := []byte(".")
	if size == 0 {
		request = []byte("GET /v1/models/m HTTP/1.1\r\nHost: m.example.com\r\nUser-Agent: client\r\nX-Request-Id: 1\r\n\r\n")
		end = []byte("\r\n\r\n")
	}
	response := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))

	models, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { models.Close() })
	serving.Go(func() {
		for {
			connection, err := models.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer connection.Close()
				for buffer := make([]byte, 128<<10); readUntil(connection, buffer, end) == nil; {
					if _, err := connection.Write(response); err != nil {
						return
					}
				}
			})
		}
	})

	agents, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(handler(&url.URL{Scheme: "http", Host: models.Addr().String()}), log.New(io.Discard, "", 0))
	serving.Go(func() { _ = server.Serve(ListenForHeads(agents)) })
	t.Cleanup(func() { server.Close() })
	client, err := net.Dial("tcp", agents.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	buffer := make([]byte, 128<<10)
	return func() {
		if _, err := client.Write(request); err != nil {
			t.Fatal("write:", err)
		}
		if err := readUntil(client, buffer, []byte(".")); err != nil {
			t.Fatal("read:", err)
		}
	}
}

// readUntil reads until what came last is end.
func readUntil(from io.Reader, buffer, end []byte) error {
	for {
		n, err := from.Read(buffer)
		if err != nil || bytes.HasSuffix(buffer[:n], end) {
			return err
		}
	}
}
