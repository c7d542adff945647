/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// bodyOf is the body of an exchange's request or response, another one for each.
func bodyOf(path, kind string) []byte {
	random := rand.NewChaCha8(sha256.Sum256([]byte(path + " " + kind)))
	body := make([]byte, 20_000+random.Uint64()%200_000)
	_, _ = random.Read(body)
	return body
}

// bodyChecks hold what sinks got against what the events' data were.
type bodyChecks struct {
	t *testing.T

	mu sync.Mutex
	// whole has the events that came whole, and count all that came.
	whole map[string]bool
	count int
}

func newBodyChecks(t *testing.T) *bodyChecks {
	return &bodyChecks{t: t, whole: make(map[string]bool)}
}

// got takes what a sink has read of one event's data.
func (c *bodyChecks) got(header http.Header, data []byte) {
	path, kind := header.Get("Ce-Subject"), strings.TrimPrefix(header.Get("Ce-Type"), event.TypePrefix)
	want := bodyOf(path, kind)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	if !bytes.HasPrefix(want, data) {
		c.t.Errorf("%s of %s has other bytes than its own", kind, path)
	}
	if len(data) == len(want) {
		c.whole[path+" "+kind] = true
	}
}

// sink reads the events whole, and responds with a status.
func (c *bodyChecks) sink(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		c.got(r.Header, data)
		w.WriteHeader(status)
	})
}

// observedBodies runs exchanges, each with its bodies, and one in three with
// compressed ones.
type observedBodies struct {
	p     *Pipeline
	count int
}

func (o *observedBodies) converse() {
	path := fmt.Sprintf("/m/%d", o.count)
	o.count++
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	pack := func(body []byte) []byte { return body }
	if o.count%3 == 0 {
		header.Set("Content-Encoding", "gzip")
		pack = func(body []byte) []byte {
			var packed bytes.Buffer
			writer := gzip.NewWriter(&packed)
			_, _ = writer.Write(body)
			_ = writer.Close()
			return packed.Bytes()
		}
	}
	request, response := pack(bodyOf(path, "request")), pack(bodyOf(path, "response"))
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(request))
	r.Header = header
	watching, _ := o.p.Begin(r, nil)
	watching.RequestBytes(request)
	watching.RequestDone()
	watching.ResponseHead(http.StatusOK, header, int64(len(response)))
	watching.ResponseBytes(response)
	watching.ResponseDone()
	watching.End(nil)
}

// runReuse returns a pipeline to sinks that run until the test's end.
func runReuse(t *testing.T, sinks ...*delivery.Sink) *observedBodies {
	budget := capture.NewBudget(256 << 20)
	settings := Settings{
		Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
		Builder:    &event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeBinary, MaxPayloadBytes: 1 << 20},
		Deadline:   time.Minute,
		Attributes: func() []metadata.Attribute { return nil },
	}
	var to []Sink
	for _, sink := range sinks {
		to = append(to, sink)
	}
	p := NewPipeline(settings, budget, to, new(ledger.Account))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	for _, sink := range sinks {
		running.Go(func() { sink.Run(ctx) })
		running.Go(func() { sink.RunSpool(ctx) })
	}
	t.Cleanup(func() {
		// As the agent does.
		budget.StopReuse()
		stop()
		running.Wait()
	})
	return &observedBodies{p: p}
}

// waitForEnds waits until every event has ended at every sink.
func (o *observedBodies) waitForEnds(t *testing.T) {
	t.Helper()
	for i := range o.p.outlets {
		sink := o.p.outlets[i].sink
		agenttest.Eventually(t, "every event has ended", func() bool {
			return o.p.Empty() && sink.Account().Snapshot().Pending == 0
		})
		if got := sink.Account().Snapshot(); got.DroppedTotal() > 0 {
			t.Fatalf("events were dropped: %+v", got)
		}
	}
}

// run has waves of exchanges: each takes the buffers of the one before it.
func (o *observedBodies) run(t *testing.T, waves int) {
	t.Helper()
	for range waves {
		for range 10 {
			o.converse()
		}
		o.waitForEnds(t)
	}
}

func (c *bodyChecks) mustBeWhole(events int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.whole) != events {
		c.t.Errorf("%d events came whole, want %d", len(c.whole), events)
	}
}

func sinkTo(t *testing.T, server string, change func(*delivery.HTTPOptions, *delivery.Options)) *delivery.Sink {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	sending := delivery.HTTPOptions{URL: to, MaxInFlight: 8, AllowLoopback: true}
	options := delivery.Options{
		Config:         delivery.Config{FirstInFlight: 8, MaxInFlight: 8, Random: func() float64 { return 0 }},
		AttemptTimeout: 30 * time.Second,
		BeginAttempt:   tellNobody,
	}
	if change != nil {
		change(&sending, &options)
	}
	return delivery.NewSink("default", senderTo(t, sending), options)
}

func tellNobody(ctx context.Context, _ *event.Event, _ int) (context.Context, func(delivery.Result)) {
	return ctx, func(delivery.Result) {}
}

func senderTo(t *testing.T, options delivery.HTTPOptions) *delivery.HTTPSender {
	t.Helper()
	sender, err := delivery.NewHTTPSender(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	return sender
}

// TestEveryEventHasItsOwnBytes, although the buffers of bodies are used again as
// soon as their events have ended.
func TestEveryEventHasItsOwnBytes(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		checks := newBodyChecks(t)
		server := httptest.NewServer(checks.sink(http.StatusAccepted))
		defer server.Close()
		bodies := runReuse(t, sinkTo(t, server.URL, nil))
		bodies.run(t, 6)
		checks.mustBeWhole(2 * bodies.count)
	})
	t.Run("two sinks, of which one is late", func(t *testing.T) {
		prompt, late := newBodyChecks(t), newBodyChecks(t)
		first := httptest.NewServer(prompt.sink(http.StatusAccepted))
		defer first.Close()
		ended := make(chan struct{})
		second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-ended
			late.sink(http.StatusAccepted).ServeHTTP(w, r)
		}))
		defer second.Close()
		sinks := []*delivery.Sink{sinkTo(t, first.URL, nil), sinkTo(t, second.URL, nil)}
		bodies := runReuse(t, sinks...)
		for range 4 {
			for range 10 {
				bodies.converse()
			}
			agenttest.Eventually(t, "the first sink has every event", func() bool {
				return sinks[0].Account().Snapshot().Delivered >= uint64(2*bodies.count)
			})
		}
		close(ended)
		bodies.run(t, 2)
		prompt.mustBeWhole(2 * bodies.count)
		late.mustBeWhole(2 * bodies.count)
	})
	t.Run("dead letters", func(t *testing.T) {
		refused, taken := newBodyChecks(t), newBodyChecks(t)
		first := httptest.NewServer(refused.sink(http.StatusBadRequest))
		defer first.Close()
		second := httptest.NewServer(taken.sink(http.StatusAccepted))
		defer second.Close()
		letters, err := url.Parse(second.URL)
		if err != nil {
			t.Fatal(err)
		}
		bodies := runReuse(t, sinkTo(t, first.URL, func(_ *delivery.HTTPOptions, o *delivery.Options) {
			o.DeadLetters = &delivery.DeadLetterOptions{
				Sender:       senderTo(t, delivery.HTTPOptions{URL: letters, MaxInFlight: 8, AllowLoopback: true}),
				Destination:  func() string { return first.URL },
				BeginAttempt: tellNobody,
			}
		}))
		bodies.run(t, 4)
		refused.mustBeWhole(2 * bodies.count)
		taken.mustBeWhole(2 * bodies.count)
	})
	t.Run("through the spool", testBytesThroughTheSpool)
}

func testBytesThroughTheSpool(t *testing.T) {
	const held = 2 << 20
	checks := newBodyChecks(t)
	spooled := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-spooled
		checks.sink(http.StatusAccepted).ServeHTTP(w, r)
	}))
	defer server.Close()
	directory := t.TempDir()
	sink := sinkTo(t, server.URL, func(_ *delivery.HTTPOptions, o *delivery.Options) {
		o.FirstInFlight, o.MaxInFlight, o.MaxBytes = 1, 1, held
		o.Spool = &delivery.SpoolOptions{
			Open:       func() (delivery.SpoolDirectory, error) { return spool.OpenDirectory(directory) },
			Log:        spool.Options{Limit: 64 << 20},
			QueueBytes: 1 << 20, WindowBytes: 4 << 20,
			Reserve: func(int64) (func(), bool) { return func() {}, true },
		}
	})
	bodies := runReuse(t, sink)
	for sink.Account().Snapshot().Spooled < 50 {
		agenttest.Eventually(t, "the sink has room", func() bool {
			return bodies.p.Empty() && sink.HeldBytes() <= held-600<<10
		})
		bodies.converse()
	}
	close(spooled)
	sink.ReadSpool()
	bodies.waitForEnds(t)
	checks.mustBeWhole(2 * bodies.count)
}

// earlySink is a server over TLS that responds to each event before it has read
// its data, and reads on.
type earlySink struct {
	checks *bodyChecks
	server *httptest.Server
	// serving are its connections. early counts responses before the data's end.
	serving sync.WaitGroup
	early   atomic.Int64
}

// newEarlySink has serve speak a protocol on each connection.
func newEarlySink(t *testing.T, protocol string, serve func(*earlySink, net.Conn)) *earlySink {
	s := &earlySink{checks: newBodyChecks(t)}
	// The server only lends its certificate.
	s.server = httptest.NewTLSServer(http.NotFoundHandler())
	config := s.server.TLS.Clone()
	config.NextProtos = []string{protocol}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// Less than an event fits into the socket.
			_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
			s.serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
				serve(s, tls.Server(conn, config))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.serving.Wait()
		s.server.Close()
	})
	s.server.URL = "https://" + listener.Addr().String()
	return s
}

func (s *earlySink) http1(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		// Without a body net/http would wait for the end of the request.
		if _, err := io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
		s.early.Add(1)
		data, err := io.ReadAll(request.Body)
		s.checks.got(request.Header, data)
		if err != nil {
			return
		}
	}
}

// http2 has windows that hold no event up, so that its data may go out for as
// long as the client's goroutine lives.
func (s *earlySink) http2(conn net.Conn) {
	type stream struct {
		header http.Header
		data   []byte
	}
	streams := make(map[uint32]*stream)
	defer func() {
		for _, open := range streams {
			s.checks.got(open.header, open.data)
		}
	}()
	reader := bufio.NewReader(conn)
	if _, err := io.ReadFull(reader, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, reader)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var head bytes.Buffer
	_ = hpack.NewEncoder(&head).WriteField(hpack.HeaderField{Name: ":status", Value: "202"})
	if framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}) != nil || framer.WriteWindowUpdate(0, 1<<30) != nil {
		return
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		id := frame.Header().StreamID
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = framer.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			header := make(http.Header)
			for _, field := range frame.RegularFields() {
				header.Add(field.Name, field.Value)
			}
			streams[id] = &stream{header: header}
			s.early.Add(1)
			err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true})
		case *http2.DataFrame:
			open := streams[id]
			if open == nil {
				continue
			}
			open.data = append(open.data, frame.Data()...)
			if frame.StreamEnded() {
				s.checks.got(open.header, open.data)
				delete(streams, id)
			}
		case *http2.RSTStreamFrame:
			if open := streams[id]; open != nil {
				s.checks.got(open.header, open.data)
				delete(streams, id)
			}
		}
		if err != nil {
			return
		}
	}
}

// TestAnEarlyResponseEndsTheReadingOfAnEvent: net/http still sends an event to a
// sink over TLS when its response is there and the event has ended. What it sends
// are the event's own bytes, although its buffer is another body's by then.
func TestAnEarlyResponseEndsTheReadingOfAnEvent(t *testing.T) {
	for _, test := range []struct {
		protocol string
		serve    func(*earlySink, net.Conn)
	}{
		{"http/1.1", (*earlySink).http1},
		{"h2", (*earlySink).http2},
	} {
		t.Run(test.protocol, func(t *testing.T) {
			server := newEarlySink(t, test.protocol, test.serve)
			authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.server.Certificate().Raw})
			bodies := runReuse(t, sinkTo(t, server.server.URL, func(o *delivery.HTTPOptions, _ *delivery.Options) { o.CACerts = authority }))
			bodies.run(t, 12)
			if server.early.Load() < int64(bodies.count) {
				t.Errorf("%d of %d responses were early", server.early.Load(), 2*bodies.count)
			}
			server.checks.mu.Lock()
			defer server.checks.mu.Unlock()
			t.Logf("%d responses were early, %d of %d events came whole", server.early.Load(), len(server.checks.whole), server.checks.count)
		})
	}
}
