/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// watched is a connection that tells of each write that begins, and counts them.
type watched struct {
	*net.TCPConn
	writes chan struct{}
	count  *atomic.Int64
}

// SetWriteDeadline is called before each write.
func (w watched) SetWriteDeadline(deadline time.Time) error {
	w.count.Add(1)
	select {
	case w.writes <- struct{}{}:
	default:
	}
	return w.TCPConn.SetWriteDeadline(deadline)
}

// scripted is a sink of which each connection does what a script says.
type scripted struct {
	url         *url.URL
	connections atomic.Int64
	// writes tells of writes to it that begin, and count is their number.
	writes chan struct{}
	count  atomic.Int64
	sender *HTTPSender
}

// newScripted returns a sink that runs script on the nth connection, from 1, and
// then closes it.
func newScripted(t *testing.T, script func(s *scripted, n int, peer *net.TCPConn, requests *bufio.Reader)) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{url: &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/in"}, writes: make(chan struct{}, 1)}
	s.sender, err = NewHTTPSender(HTTPOptions{URL: s.url, MaxInFlight: 4, AllowLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	dial := s.sender.dial
	s.sender.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return watched{TCPConn: connection.(*net.TCPConn), writes: s.writes, count: &s.count}, nil
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			n := int(s.connections.Add(1))
			serving.Go(func() {
				defer connection.Close()
				_ = connection.SetDeadline(time.Now().Add(time.Minute))
				script(s, n, connection.(*net.TCPConn), bufio.NewReader(connection))
			})
		}
	})
	t.Cleanup(func() {
		s.sender.Close()
		listener.Close()
		serving.Wait()
	})
	return s
}

// awaitBlockedWrite returns once a write has blocked for so long that the
// sender looks for a response.
func (s *scripted) awaitBlockedWrite() {
	for len(s.writes) > 0 {
		<-s.writes
	}
	<-s.writes
}

func (s *scripted) send(t *testing.T, bytes int) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return s.sender.Send(ctx, eventOf(t, bytes), 1)
}

// take reads one request in full, and reports whether there was one.
func take(requests *bufio.Reader) bool {
	request, err := http.ReadRequest(requests)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, request.Body)
	return err == nil
}

func say(peer io.Writer, text string) { _, _ = io.WriteString(peer, text) }

const (
	accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
	tooLarge = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	// large is more than the sockets on both sides hold.
	large = 32 << 20
)

// response says something, reads nothing, and returns once the sender has closed
// the connection, after so many more writes at most.
func (s *scripted) response(t *testing.T, peer *net.TCPConn, text string, most int64) {
	before := s.count.Load()
	say(peer, text)
	// A write to a connection that its peer has closed meets a reset.
	for err := error(nil); err == nil; _, err = io.WriteString(peer, "x") {
		time.Sleep(time.Millisecond)
	}
	if more := s.count.Load() - before; more > most {
		t.Errorf("%d more writes after the response", more)
	}
}

// TestAResponseBeforeTheEndOfTheRequest counts, whatever becomes of the rest.
func TestAResponseBeforeTheEndOfTheRequest(t *testing.T) {
	untilClosed := func(peer io.Reader) { _, _ = io.Copy(io.Discard, peer) }
	for name, test := range map[string]struct {
		script func(s *scripted, peer *net.TCPConn, requests *bufio.Reader)
		want   int
	}{
		"a failure, and nothing is read after it": {func(s *scripted, peer *net.TCPConn, _ *bufio.Reader) {
			s.awaitBlockedWrite()
			s.response(t, peer, tooLarge, 2)
		}, http.StatusRequestEntityTooLarge},
		"a failure and a reset": {func(s *scripted, peer *net.TCPConn, _ *bufio.Reader) {
			s.awaitBlockedWrite()
			say(peer, tooLarge)
		}, http.StatusRequestEntityTooLarge},
		"a success, and nothing is read after it": {func(s *scripted, peer *net.TCPConn, _ *bufio.Reader) {
			s.awaitBlockedWrite()
			s.response(t, peer, accepted, unreadAfterSuccess+2)
		}, http.StatusAccepted},
		"a success, and all is read after it": {func(s *scripted, peer *net.TCPConn, requests *bufio.Reader) {
			s.awaitBlockedWrite()
			say(peer, accepted)
			s.awaitBlockedWrite()
			if !take(requests) {
				t.Error("the event is cut off")
			}
			untilClosed(requests)
		}, http.StatusAccepted},
		"an interim one": {func(s *scripted, peer *net.TCPConn, requests *bufio.Reader) {
			s.awaitBlockedWrite()
			say(peer, "HTTP/1.1 102 Processing\r\n\r\n")
			s.awaitBlockedWrite()
			if !take(requests) {
				t.Error("the event is cut off")
			}
			say(peer, accepted)
			untilClosed(requests)
		}, http.StatusAccepted},
		"none, and a reset": {func(s *scripted, peer *net.TCPConn, _ *bufio.Reader) {
			s.awaitBlockedWrite()
			_ = peer.SetLinger(0)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, func(s *scripted, _ int, peer *net.TCPConn, requests *bufio.Reader) { test.script(s, peer, requests) })
			if got := s.send(t, large); got.Status != test.want || got.Unsendable {
				t.Errorf("got %+v, want status %d", got, test.want)
			}
			s.sender.Close()
		})
	}
}

// TestConnectionEnds, and what doesn't: the response to the first event
// decides whether the second goes out on the same one.
func TestConnectionEnds(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	long := strings.Repeat("x", maxResponseBytes)
	for name, test := range map[string]struct {
		response string
		reused   bool
	}{
		"no body":                     {accepted, true},
		"status 204":                  {"HTTP/1.1 204 No Content\r\n\r\n", true},
		"a length":                    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true},
		"chunks":                      {chunked + "2\r\nok\r\n0\r\n\r\n", true},
		"a failure with a body":       {"HTTP/1.1 503 X\r\nContent-Length: 2000\r\n\r\n" + long[:2000], true},
		"interim responses":           {"HTTP/1.1 103 X\r\nLink: x\r\n\r\nHTTP/1.1 102 X\r\n\r\n" + accepted, true},
		"HTTP/1.0 that keeps it":      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", true},
		"HTTP/1.0":                    {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false},
		"Connection: close":           {"HTTP/1.1 202 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false},
		"another protocol":            {"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false},
		"more than the response":      {accepted + "HTTP/1.1 500 X\r\n\r\n", false},
		"a body that is too long":     {"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + long + "x", false},
		"chunks that end in a defect": {chunked + "2\r\nok\r\nx\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, func(_ *scripted, n int, peer *net.TCPConn, requests *bufio.Reader) {
				if n == 1 && take(requests) {
					say(peer, test.response)
				}
				for take(requests) {
					say(peer, accepted)
				}
			})
			if first := s.send(t, 10); first.Status == 0 {
				t.Errorf("the first event got %+v", first)
			}
			if second := s.send(t, 10); second.Status != http.StatusAccepted {
				t.Errorf("the second event got %+v", second)
			}
			if got := s.connections.Load() == 1; got != test.reused {
				t.Errorf("%d connections", s.connections.Load())
			}
			s.sender.Close()
		})
	}
}

// TestAConnectionThatEndsAsTheEventArrivesIsReplaced, once: it may have been
// closed as idle at that moment.
func TestAConnectionThatEndsAsTheEventArrivesIsReplaced(t *testing.T) {
	for name, test := range map[string]struct {
		// last is what the first connection has for the second event, and others
		// what other connections have for each.
		last, others string
		want         int
		connections  int64
	}{
		"nothing":                     {"", accepted, http.StatusAccepted, 2},
		"nothing on a new one either": {"", "", 0, 2},
		"a part of a response":        {"HTTP/1.1 2", accepted, 0, 1},
		"an interim response":         {"HTTP/1.1 102 X\r\n\r\n", accepted, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, func(_ *scripted, n int, peer *net.TCPConn, requests *bufio.Reader) {
				if n == 1 && take(requests) {
					say(peer, accepted)
					if take(requests) {
						say(peer, test.last)
					}
				} else if take(requests) {
					say(peer, test.others)
				}
			})
			s.send(t, 10)
			if got := s.send(t, 10); got.Status != test.want || s.connections.Load() != test.connections {
				t.Errorf("got %+v on %d connections, want %d on %d", got, s.connections.Load(), test.want, test.connections)
			}
			s.sender.Close()
		})
	}
}

// TestANewConnectionThatEndsFailsTheAttempt: it was not closed as idle, so the
// sink may have taken the event.
func TestANewConnectionThatEndsFailsTheAttempt(t *testing.T) {
	s := newScripted(t, func(_ *scripted, _ int, _ *net.TCPConn, requests *bufio.Reader) { take(requests) })
	if got := s.send(t, 10); Judge(got) != Retry || s.connections.Load() != 1 {
		t.Errorf("got %+v on %d connections, want a failure on one", got, s.connections.Load())
	}
}

func TestAnAttemptThatIsCutOffEndsItsConnection(t *testing.T) {
	arrived, closed := make(chan struct{}), make(chan struct{})
	s := newScripted(t, func(_ *scripted, _ int, peer *net.TCPConn, requests *bufio.Reader) {
		take(requests)
		close(arrived)
		_, _ = peer.Read(make([]byte, 1))
		close(closed)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if got := s.sender.Send(ctx, eventOf(t, 10), 1); got.Status != 0 {
		t.Errorf("got %+v", got)
	}
	<-closed
}

func TestAnAttemptThatPanicsEndsItsConnection(t *testing.T) {
	closed := make(chan struct{})
	s := newScripted(t, func(_ *scripted, _ int, peer *net.TCPConn, _ *bufio.Reader) {
		_, _ = peer.Read(make([]byte, 1))
		close(closed)
	})
	told := newTold()
	s.sender.options.Panics = told.handler()
	// There is no event whose header could be written.
	if got := s.sender.post(t.Context(), s.sender.where(time.Now()), outgoing{}, false); !got.Unsendable {
		t.Errorf("got %+v", got)
	}
	<-closed
	told.mustName(t, "event.")
}

// TestARequestIsTheSameWithoutNetHTTP, whatever the sink's URL is.
func TestARequestIsTheSameWithoutNetHTTP(t *testing.T) {
	// The race detector doesn't see that a writev comes before the read of it.
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprintf("%s %s %s %s %d %q %v %v", r.Method, r.RequestURI, r.Host, r.Proto, r.ContentLength, body,
			r.TransferEncoding, maps.Clone(r.Header)))
	}))
	defer server.Close()
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	for _, spanContext := range []trace.SpanContext{{}, parent} {
		for _, rest := range []string{"", "/", "/a/b?c=d&e=%20f", "/%2F/é", "?x", "/#fragment"} {
			for _, user := range []string{"", "user:password@"} {
				for _, token := range []string{"", "a.token"} {
					for _, bytes := range []int{0, 100, 100_000} {
						to, err := url.Parse("http://" + user + server.Listener.Addr().String() + rest)
						if err != nil {
							t.Fatal(err)
						}
						sender, err := NewHTTPSender(HTTPOptions{URL: to, MaxInFlight: 1, AllowLoopback: true})
						if err != nil {
							t.Fatal(err)
						}
						ctx := trace.ContextWithSpanContext(t.Context(), spanContext)
						e := eventOf(t, bytes)
						out := outgoing{e, 7, e.Body(7)}
						mu.Lock()
						got = nil
						mu.Unlock()
						if _, err := sender.where(time.Now()).plain.post(ctx, out, token); err != nil {
							t.Fatal(err)
						}
						if _, _, err := sender.postByTransport(ctx, to, out, token); err != nil {
							t.Fatal(err)
						}
						mu.Lock()
						if len(got) != 2 || got[0] != got[1] {
							t.Errorf("%s: got\n%s", to, strings.Join(got, "\n"))
						}
						mu.Unlock()
						sender.Close()
					}
				}
			}
		}
	}
}
