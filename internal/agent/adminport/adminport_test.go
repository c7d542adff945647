/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package adminport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener of connections in memory, whose callers have the addresses
// that a test gives them.
type pipes struct {
	come   chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns the caller's end of a connection.
func (p *pipes) dial(from string) net.Conn {
	near, far := net.Pipe()
	p.come <- &addressed{far, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}
	return near
}

type addressed struct {
	net.Conn
	from net.Addr
}

func (a *addressed) RemoteAddr() net.Addr { return a.from }

const stranger, neighbour = "10.0.0.9:4000", "127.0.0.1:4000"

// serving runs a server of the admin port in a bubble.
func serving(t *testing.T, handler http.Handler, use func(t *testing.T, callers *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		callers := &pipes{come: make(chan net.Conn), closed: make(chan struct{})}
		server := NewServer(handler, log.New(io.Discard, "", 0))
		var group sync.WaitGroup
		group.Go(func() { _ = server.Serve(Listen(callers)) })
		use(t, callers)
		server.Close()
		group.Wait()
	})
}

// isClosed reports whether the other end has closed a connection, once nothing
// moves any more.
func isClosed(c net.Conn) bool {
	synctest.Wait()
	_ = c.SetReadDeadline(time.Now())
	_, err := c.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Time{})
	return errors.Is(err, io.EOF)
}

// get asks for a page on a connection, and gives the status.
func get(t *testing.T, c net.Conn, path string) *http.Response {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		t.Fatal("asking:", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal("reading the response:", err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// TestConnectionsHaveABound: further ones wait, and then are closed. Those of
// the pod are served whatever strangers do, and a stranger who waits is served
// when one who says nothing has lost its place.
func TestConnectionsHaveABound(t *testing.T) {
	serving(t, http.HandlerFunc(ok), func(t *testing.T, callers *pipes) {
		var silent []net.Conn
		for range maxServed + maxWaiting - 1 {
			silent = append(silent, callers.dial(stranger))
		}
		asking := callers.dial(stranger)
		tooMany := callers.dial(stranger)
		if !isClosed(tooMany) {
			t.Error("there is no bound")
		}
		if isClosed(silent[len(silent)-1]) || isClosed(asking) {
			t.Error("a connection within the bound is closed")
		}
		if response := get(t, callers.dial(neighbour), "/"); response.StatusCode != http.StatusOK {
			t.Errorf("a probe of the pod gets %d", response.StatusCode)
		}
		begun := time.Now()
		if response := get(t, asking, "/"); response.StatusCode != http.StatusOK {
			t.Errorf("who waited gets %d", response.StatusCode)
		}
		if waited := time.Since(begun); waited > (maxWaiting/maxServed+1)*headTimeout {
			t.Errorf("who waited did so for %s", waited)
		}
		if !isClosed(silent[0]) {
			t.Error("who says nothing keeps its place")
		}
		for _, c := range append(silent, asking, tooMany) {
			c.Close()
		}
	})
}

// TestAPlaceIsGivenOn after a response, and by a connection that only waits for
// its next request.
func TestAPlaceIsGivenOn(t *testing.T) {
	serving(t, http.HandlerFunc(ok), func(t *testing.T, callers *pipes) {
		var kept []net.Conn
		for range maxServed {
			c := callers.dial(stranger)
			if response := get(t, c, "/"); response.Close {
				t.Error("a connection is closed though nobody waits")
			}
			kept = append(kept, c)
		}
		if response := get(t, callers.dial(stranger), "/"); response.StatusCode != http.StatusOK {
			t.Errorf("one more gets %d", response.StatusCode)
		}
		closed := 0
		for _, c := range kept {
			if isClosed(c) {
				closed++
			}
			c.Close()
		}
		if closed != 1 {
			t.Errorf("%d connections were closed for one", closed)
		}
	})
}

// TestIdleConnectionsEnd, and so do heads and bodies that don't come.
func TestIdleConnectionsEnd(t *testing.T) {
	serving(t, http.HandlerFunc(ok), func(t *testing.T, callers *pipes) {
		silent, kept, slow := callers.dial(stranger), callers.dial(stranger), callers.dial(stranger)
		get(t, kept, "/")
		if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"); err != nil {
			t.Fatal(err)
		}
		_, _ = http.ReadResponse(bufio.NewReader(slow), nil)
		time.Sleep(headTimeout)
		if !isClosed(silent) || isClosed(kept) {
			t.Error("a head has another time than it should")
		}
		time.Sleep(timeout)
		if !isClosed(slow) {
			t.Error("a body may take for ever")
		}
		time.Sleep(idleTimeout)
		if !isClosed(kept) {
			t.Error("a connection may be idle for ever")
		}
		for _, c := range []net.Conn{silent, kept, slow} {
			c.Close()
		}
	})
}

// TestRequestsHaveAPace: strangers wait for their turn, and take none of the
// pod's.
func TestRequestsHaveAPace(t *testing.T) {
	serving(t, http.HandlerFunc(ok), func(t *testing.T, callers *pipes) {
		var responded atomic.Int64
		var group sync.WaitGroup
		stopped := make(chan struct{})
		for range maxServed {
			c := callers.dial(stranger)
			group.Go(func() {
				defer c.Close()
				reader := bufio.NewReader(c)
				for {
					select {
					case <-stopped:
						return
					default:
					}
					if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
						return
					}
					response, err := http.ReadResponse(reader, nil)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					responded.Add(1)
				}
			})
		}
		time.Sleep(10 * time.Second)
		begun := time.Now()
		probe := callers.dial(neighbour)
		get(t, probe, "/readyz")
		probe.Close()
		if waited := time.Since(begun); waited > 0 {
			t.Errorf("a probe of the pod waited for %s", waited)
		}
		close(stopped)
		group.Wait()
		if n, most := responded.Load(), int64(50+50*10+2*maxServed); n > most || n < 400 {
			t.Errorf("%d requests got responses in 10 s", n)
		}
	})
}

// TestAPageIsMadeByOneAtATime, for everybody who asks while it is fresh.
func TestAPageIsMadeByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made, making atomic.Int64
		page := Page(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if making.Add(1) > 1 {
				t.Error("two make it")
			}
			defer making.Add(-1)
			runtime.Gosched()
			if len(r.Header) > 0 {
				t.Error("the page depends on who asks")
			}
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, made.Add(1))
		}), time.Second)
		ask := func() string {
			asked := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			asked.Header.Set("Accept-Encoding", "gzip")
			response := httptest.NewRecorder()
			page.ServeHTTP(response, asked)
			if response.Header().Get("Content-Type") != "text/plain" {
				t.Error("the page's headers are lost")
			}
			return response.Body.String()
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if got := ask(); got != "1" {
					t.Errorf("at once: the page %s", got)
				}
			})
		}
		group.Wait()
		time.Sleep(time.Second)
		if got := ask(); got != "2" {
			t.Errorf("later: the page %s", got)
		}
	})
}
