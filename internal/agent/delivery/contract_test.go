/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// rawSink responds to each request by the bytes that response gives for the nth, and
// closes the connection. It sees what a sink sees, and nothing of net/http's
// server is between.
type rawSink struct {
	url      *url.URL
	requests atomic.Int64
}

func newRawSink(t *testing.T, response func(n int, w io.Writer)) *rawSink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sink := &rawSink{url: &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/in"}}
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() {
				defer connection.Close()
				_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
				request, err := http.ReadRequest(bufio.NewReader(connection))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, request.Body)
				response(int(sink.requests.Add(1)), connection)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		connections.Wait()
	})
	return sink
}

func status(code int, lines ...string) func(io.Writer) {
	return func(w io.Writer) {
		fmt.Fprintf(w, "HTTP/1.1 %03d Response\r\nContent-Length: 0\r\nConnection: close\r\n%s\r\n", code, strings.Join(append(lines, ""), "\r\n"))
	}
}

// anEvent is one as an agent builds it.
func anEvent(t *testing.T) *event.Event {
	t.Helper()
	builder := event.Builder{Identity: event.Identity{Source: "my-model"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1000}
	built, err := builder.Build(&event.Observation{
		Exchange: &event.Exchange{CorrelationID: "c", Path: "/", Received: time.Now()},
		Side:     event.Request, Complete: true, At: time.Now(),
	}, agentconfig.KindRequest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// deliver gives one event to a sink and waits for its end.
func deliver(t *testing.T, target *url.URL, changes ...func(*delivery.HTTPOptions)) ledger.Snapshot {
	t.Helper()
	options := delivery.HTTPOptions{URL: target, MaxInFlight: 1, RetryAfterMax: time.Millisecond, AllowLoopback: true}
	for _, change := range changes {
		change(&options)
	}
	sender, err := delivery.NewHTTPSender(options)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	sink := delivery.NewSink("default", sender, delivery.Options{
		Config:         delivery.Config{FirstInFlight: 1, MaxInFlight: 1, Random: func() float64 { return 0 }},
		AttemptTimeout: 10 * time.Second,
		BeginAttempt: func(ctx context.Context, _ *event.Event, _ int) (context.Context, func(delivery.Result)) {
			return ctx, func(delivery.Result) {}
		},
	})
	over := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { sink.Run(ctx) })
	now := time.Now()
	sink.Enqueue(&delivery.Item{
		Event: anEvent(t), Sequence: sink.Account().Observe(), Observed: now, Deadline: now.Add(15 * time.Second),
		Release: func() { close(over) },
	})
	<-over
	cancel()
	running.Wait()
	return sink.Account().Snapshot()
}

// TestEveryStatusOfTheContract (knative/specs, eventing/data-plane.md, "Event
// Delivery"), from a real sink: what is tried again is delivered by the second
// attempt.
func TestEveryStatusOfTheContract(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	type outcome struct{ requests, delivered, rejected int }
	const (
		taken = iota
		again
		refused
	)
	outcomes := map[int]outcome{taken: {1, 1, 0}, again: {2, 1, 0}, refused: {1, 0, 1}}
	t.Run("", func(t *testing.T) {
		for code := 100; code <= 599; code++ {
			want := refused
			switch {
			case code >= 200 && code <= 299:
				want = taken
			case code == 404, code == 408, code == 409, code == 429, code >= 500:
				want = again
			case code < 200 && code != 101:
				// An interim response, and no other after it: none at all.
				want = again
			}
			t.Run(fmt.Sprint(code), func(t *testing.T) {
				t.Parallel()
				sink := newRawSink(t, func(n int, w io.Writer) {
					if n == 1 {
						status(code, "Location: "+other.URL, "Retry-After: 1")(w)
					} else {
						status(202)(w)
					}
				})
				s := deliver(t, sink.url)
				got := outcome{int(sink.requests.Load()), int(s.Delivered), int(s.Dropped[ledger.ReasonRejected])}
				if got != outcomes[want] || s.Pending != 0 {
					t.Errorf("got %+v, want %+v; the ledger says %+v", got, outcomes[want], s)
				}
			})
		}
	})
	if elsewhere.Load() != 0 {
		t.Errorf("%d redirects were followed", elsewhere.Load())
	}
}

// TestEachSinkResponse, and each time the event is delivered in the end.
func TestEachSinkResponse(t *testing.T) {
	// What goes out before the agent hangs up, with what the sockets hold.
	const most = 32 << 20
	endless := func(head string) func(io.Writer) {
		return func(w io.Writer) {
			if _, err := io.WriteString(w, head); err != nil {
				return
			}
			chunk := []byte(strings.Repeat("x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 1000))
			for written := 0; ; written += len(chunk) {
				if _, err := w.Write(chunk); err != nil {
					return
				}
				if written > most {
					t.Errorf("after %q the agent reads on and on", head)
					return
				}
			}
		}
	}
	for name, test := range map[string]struct {
		first    func(io.Writer)
		requests int64
	}{
		"nothing at all":                {func(io.Writer) {}, 2},
		"something else than HTTP":      {func(w io.Writer) { _, _ = io.WriteString(w, "SSH-2.0-OpenSSH\r\n") }, 2},
		"half a status line":            {func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 2") }, 2},
		"a status of four digits":       {func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 2000 X\r\n\r\n") }, 2},
		"an unlisted status":            {status(700), 2},
		"a status of 0":                 {status(0), 2},
		"an endless body of a failure":  {endless("HTTP/1.1 503 X\r\n\r\n"), 2},
		"an endless body of a success":  {endless("HTTP/1.1 200 X\r\n\r\n"), 1},
		"endless headers":               {endless("HTTP/1.1 200 X\r\n"), 2},
		"a body shorter than announced": {func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 202 X\r\nContent-Length: 10\r\n\r\nx") }, 1},
		"a negative length":             {func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 202 X\r\nContent-Length: -1\r\n\r\n") }, 2},
		"Retry-After in a far future":   {status(503, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"), 2},
		"Retry-After in the past":       {status(503, "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"), 2},
		"Retry-After of many digits":    {status(503, "Retry-After: 99999999999999999999999999"), 2},
		"Retry-After of nine digits":    {status(429, "Retry-After: 999999999"), 2},
		"a negative Retry-After":        {status(503, "Retry-After: -5"), 2},
		"no words of a Retry-After":     {status(429, "Retry-After: soon\x80"), 2},
		"two Retry-Afters":              {status(503, "Retry-After: 1", "Retry-After: 1000"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := newRawSink(t, func(n int, w io.Writer) {
				if n == 1 {
					test.first(w)
				} else {
					status(202)(w)
				}
			})
			s := deliver(t, sink.url)
			if s.Delivered != 1 || sink.requests.Load() != test.requests {
				t.Errorf("%d requests, want %d; the ledger says %+v", sink.requests.Load(), test.requests, s)
			}
		})
	}
}

func TestSinkAtAForbiddenAddressGetsNothing(t *testing.T) {
	sink := newRawSink(t, func(_ int, w io.Writer) { status(202)(w) })
	for _, host := range []string{"localhost", "127.0.0.1"} {
		target := *sink.url
		target.Host = host + ":" + sink.url.Port()
		var told delivery.AddressClass
		s := deliver(t, &target, func(options *delivery.HTTPOptions) {
			options.AllowLoopback = false
			options.OnRefused = func(class delivery.AddressClass) { told = class }
		})
		if s.Dropped[ledger.ReasonAddress] != 1 || told != delivery.AddressLoopback || sink.requests.Load() != 0 {
			t.Errorf("%s: told %q, %d requests, the ledger says %+v", host, told, sink.requests.Load(), s)
		}
	}
}

// TestForbiddenNameIsNotResolvedForEachEvent, for a name server has enough to
// do.
func TestForbiddenNameIsNotResolvedForEachEvent(t *testing.T) {
	told := 0
	sender, err := delivery.NewHTTPSender(delivery.HTTPOptions{
		URL: &url.URL{Scheme: "http", Host: "localhost:1"}, OnRefused: func(delivery.AddressClass) { told++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	for range 3 {
		if got := sender.Send(t.Context(), anEvent(t), 1); got.Refused != delivery.AddressLoopback {
			t.Errorf("got %+v", got)
		}
	}
	if told != 1 {
		t.Errorf("the name was asked for %d times", told)
	}
}

// TestANewAuthorityIsTrustedWithoutARestart, from a file and from a directory.
func TestANewAuthorityIsTrustedWithoutARestart(t *testing.T) {
	_, old := agenttest.NewCertificate(t, time.Now().Add(time.Hour))
	pair, authority := agenttest.NewCertificate(t, time.Now().Add(time.Hour))
	for name, place := range map[string]func(directory string) (string, func(*delivery.HTTPOptions)){
		"a file": func(directory string) (string, func(*delivery.HTTPOptions)) {
			path := filepath.Join(directory, "ca.pem")
			return path, func(o *delivery.HTTPOptions) { o.CACertsFile = path }
		},
		"a directory": func(directory string) (string, func(*delivery.HTTPOptions)) {
			return filepath.Join(directory, "bundle"), func(o *delivery.HTTPOptions) { o.CACertsDir = directory }
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, option := place(t.TempDir())
			write := func(content string) {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Error(err)
				}
			}
			write(old)
			var handshakes atomic.Int64
			sink := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			sink.Config.ErrorLog = log.New(io.Discard, "", 0)
			sink.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				switch handshakes.Add(1) {
				case 2:
					write("half written")
				case 3:
					write(old + authority)
				}
				return &tls.Config{Certificates: []tls.Certificate{*pair}}, nil
			}}
			sink.StartTLS()
			defer sink.Close()
			target, err := url.Parse(sink.URL)
			if err != nil {
				t.Fatal(err)
			}
			if s := deliver(t, target, option); s.Delivered != 1 || handshakes.Load() < 3 {
				t.Errorf("%d handshakes, the ledger says %+v", handshakes.Load(), s)
			}
		})
	}
}

func TestInvalidCertificateIsRefusedAtTheStart(t *testing.T) {
	target := &url.URL{Scheme: "https", Host: "sink"}
	for name, options := range map[string]delivery.HTTPOptions{
		"as text":             {URL: target, CACerts: []byte("none")},
		"a file that is none": {URL: target, CACertsFile: "contract_test.go"},
		"a missing file":      {URL: target, CACertsFile: "missing"},
	} {
		if _, err := delivery.NewHTTPSender(options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := delivery.NewHTTPSender(delivery.HTTPOptions{URL: target, CACertsDir: "missing"}); err != nil {
		t.Errorf("a directory that may come later: %v", err)
	}
}

// TestDeadLetterAttributes is what Eventing's own dispatcher would.
func TestDeadLetterAttributes(t *testing.T) {
	body := strings.Repeat("\x00<é>\r\n", 1000)
	for name, test := range map[string]struct {
		failure    event.Failure
		code, data string
	}{
		"a response with a body": {event.Failure{Destination: "http://sink/in", Status: 400, Body: []byte("no, \r\n\"never\"")}, "400", base64.StdEncoding.EncodeToString([]byte("no, \r\n\"never\""))},
		"a long one":             {event.Failure{Destination: "http://sink/in", Status: 500, Body: []byte(body)}, "500", base64.StdEncoding.EncodeToString([]byte(body))[:1024]},
		"none":                   {event.Failure{Destination: "http://sink/in"}, "-1", ""},
	} {
		e := anEvent(t)
		letter, err := e.DeadLetter(test.failure)
		if err != nil {
			t.Fatal(err)
		}
		message := letter.Message(1)
		if got := message.Header; got.Get("Ce-Knativeerrordest") != "http://sink/in" || got.Get("Ce-Knativeerrorcode") != test.code ||
			got.Get("Ce-Knativeerrordata") != test.data || got.Get("Ce-Id") != e.ID() {
			t.Errorf("%s: %v", name, got)
		}
		if before := e.Message(1); before.Header.Get("Ce-Knativeerrordest") != "" {
			t.Errorf("%s: the event itself changed: %v", name, before.Header)
		}
	}
}
