/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/exchange"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const (
	budgetBytes = 1 << 20
	sinkBytes   = budgetBytes / 2
	itemBytes   = 4 << 10
)

// sinkState is how a sink does when an exchange begins, and goes on.
type sinkState struct {
	name string
	// response and letters are what becomes of an attempt at the sink, and at its
	// dead letter sink.
	response, letters response
	// closes says that the sink has failed before, and is left alone.
	closes bool
	// ended says that nothing is delivered, or built, any more.
	ended bool
	// hangingSpool says that the disk for what overflows doesn't respond.
	hangingSpool bool
}

type response func(ctx context.Context) delivery.Result

func responds(result delivery.Result) response {
	return func(context.Context) delivery.Result { return result }
}

func hangs(ctx context.Context) delivery.Result {
	<-ctx.Done()
	return delivery.NoResponse
}

// slow takes an event after longer than any exchange lasts.
func slow(ctx context.Context) delivery.Result {
	select {
	case <-time.After(time.Minute):
		return delivery.Result{Status: http.StatusAccepted}
	case <-ctx.Done():
		return delivery.NoResponse
	}
}

var sinkStates = []sinkState{
	{name: "accepting", response: responds(delivery.Result{Status: http.StatusAccepted})},
	{name: "refusing connections", response: responds(delivery.NoResponse)},
	{name: "refusing events", response: responds(delivery.Result{Status: http.StatusBadRequest})},
	{name: "hanging", response: hangs},
	{name: "slow", response: slow},
	{name: "left alone", response: responds(delivery.Result{Status: http.StatusServiceUnavailable, RetryAfter: 20 * time.Second}), closes: true},
	{name: "with a dead letter sink that hangs", response: responds(delivery.Result{Status: http.StatusBadRequest}), letters: hangs},
	{name: "with a spool that hangs", response: hangs, hangingSpool: true},
	{name: "ended", response: responds(delivery.Result{Status: http.StatusAccepted}), ended: true},
}

// queueFill is what waits when an exchange begins.
type queueFill struct {
	name string
	// items wait for the sink; rest is what they leave of the agent's budget,
	// below 0 all of it.
	items int
	rest  int64
	// idle says that nobody builds events, so that observations pile up.
	idle bool
}

var queueFills = []queueFill{
	{name: "nothing waits", rest: -1},
	{name: "half of the sink's share waits", items: sinkBytes / itemBytes / 2, rest: -1},
	{name: "all of the sink's share waits", items: sinkBytes / itemBytes, rest: -1},
	{name: "the budget has room for half an event", items: 10, rest: itemBytes / 2},
	{name: "the budget is used up", items: sinkBytes / itemBytes, rest: 0},
	{name: "nobody builds events", rest: -1, idle: true},
}

// TestNoExchangeWaitsForASink (P6): whatever a sink does and whatever waits for
// it, an exchange ends while not a moment passes. Time is virtual, and passes
// only when all goroutines wait: an exchange that waits for anything but its
// client and its model would have it pass, or be found to wait forever. One
// that waits while others want its lock shows as a test that hangs, for time
// stands still then.
func TestNoExchangeWaitsForASink(t *testing.T) {
	for _, state := range sinkStates {
		for _, fill := range queueFills {
			t.Run("sink "+state.name+", "+fill.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, state, fill)
					for _, client := range []*http.Client{s.client(t, false), s.client(t, true)} {
						for _, exchanged := range exchangeKinds {
							begun := time.Now()
							exchanged.run(t, client)
							if waited := time.Since(begun); waited != 0 {
								t.Errorf("%s: the client waited for %s", exchanged.name, waited)
							}
						}
					}
					if observed := s.sink.Account().Snapshot().Observed; observed < 2*2*uint64(len(exchangeKinds)) {
						t.Errorf("only %d events were observed", observed)
					}
				})
			})
		}
	}
}

// exchangeKinds are how an exchange may go: the events that each gives differ.
var exchangeKinds = []struct {
	name string
	run  func(*testing.T, *http.Client)
}{
	{"a prediction", func(t *testing.T, c *http.Client) { echo(t, c, "/", strings.NewReader(`{"instances":[1]}`)) }},
	{"large bodies in chunks", func(t *testing.T, c *http.Client) {
		echo(t, c, "/", io.MultiReader(bytes.NewReader(make([]byte, 100_000)), bytes.NewReader(make([]byte, 50_000))))
	}},
	{"bodies over the cap", func(t *testing.T, c *http.Client) { echo(t, c, "/", bytes.NewReader(make([]byte, 300_000))) }},
	{"a model's error", func(t *testing.T, c *http.Client) { echo(t, c, "/error", strings.NewReader("{}")) }},
	{"a model that breaks off", func(t *testing.T, c *http.Client) {
		response, err := c.Post("http://model/abort", "application/json", strings.NewReader("{}"))
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if err == nil {
			t.Error("the client doesn't see that the model broke off")
		}
	}},
	{"several at a time", func(t *testing.T, c *http.Client) {
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() { echo(t, c, "/", strings.NewReader("{}")) })
		}
		clients.Wait()
	}},
}

func echo(t *testing.T, c *http.Client, path string, body io.Reader) {
	var sent bytes.Buffer
	response, err := c.Post("http://model"+path, "application/json", io.TeeReader(body, &sent))
	if err != nil {
		t.Error("post:", err)
		return
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(got, sent.Bytes()) || (response.StatusCode == http.StatusOK) != (path == "/") {
		t.Errorf("the client got %d with %d bytes of %d: %v", response.StatusCode, len(got), sent.Len(), err)
	}
}

func model(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/abort":
		_, _ = io.WriteString(w, "half of")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/error":
		w.WriteHeader(http.StatusInternalServerError)
	}
	body, _ := io.ReadAll(r.Body)
	_, _ = w.Write(body)
}

// stage is the path of a request, from a client to a model, with all that
// becomes of its events behind it, in a bubble of virtual time.
type stage struct {
	listener *memoryListener
	sink     *delivery.Sink
}

// sender is a sink as it responds.
type sender struct{ response response }

func (s sender) Send(ctx context.Context, _ *event.Event, _ uint64) delivery.Result {
	return s.response(ctx)
}

func newStage(t *testing.T, state sinkState, fill queueFill) *stage {
	t.Helper()
	noSpans := func(ctx context.Context, _ *event.Event, _ int) (context.Context, func(delivery.Result)) {
		return ctx, func(delivery.Result) {}
	}
	options := delivery.Options{
		Config:         delivery.Config{FirstInFlight: 4, MaxInFlight: 128, MaxBytes: sinkBytes, Random: func() float64 { return 0.5 }},
		AttemptTimeout: 30 * time.Second,
		BeginAttempt:   noSpans,
	}
	if state.letters != nil {
		options.DeadLetters = &delivery.DeadLetterOptions{Sender: sender{state.letters}, Destination: func() string { return "http://sink" }, BeginAttempt: noSpans}
	}
	responded := make(chan struct{})
	if state.hangingSpool {
		options.Spool = &delivery.SpoolOptions{
			Open: func() (delivery.SpoolDirectory, error) {
				<-responded
				return nil, errors.New("the disk is gone")
			},
			QueueBytes: sinkBytes / 4, WindowBytes: sinkBytes / 4,
			Reserve: func(int64) (func(), bool) { return nil, false },
		}
	}
	sink := delivery.NewSink("default", sender{state.response}, options)
	budget := capture.NewBudget(budgetBytes)
	builder := &event.Builder{
		Identity:        event.Identity{Source: "m-predictor-default", AgentInstance: "i"},
		ContentMode:     agentconfig.ContentModeAuto,
		MaxPayloadBytes: 200_000,
	}
	pipeline := exchange.NewPipeline(exchange.Settings{
		Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
		Builder:    builder,
		Deadline:   agentconfig.EventDeadline,
		Attributes: func() []metadata.Attribute { return nil },
	}, budget, []exchange.Sink{sink}, new(ledger.Account))

	fillQueue(t, sink, budget, builder, fill)
	runDelivery(t, sink, pipeline, state, fill)
	t.Cleanup(func() { close(responded) })

	listener := newMemoryListener()
	target := serve(t, http.HandlerFunc(model))
	handler := proxy.New(&url.URL{Scheme: "http", Host: "model"}, func(r *http.Request) (proxy.Watcher, http.Header) {
		return pipeline.Begin(r, nil)
	}, func(proxy.ErrorClass) {})
	handler.DialBy(target.Dial)
	serveOn(t, proxy.NewServer(handler, quiet), listener)
	t.Cleanup(handler.CloseIdleConnections)
	return &stage{listener: listener, sink: sink}
}

// fillQueue has events wait, and takes of the budget what they hold and more.
func fillQueue(t *testing.T, sink *delivery.Sink, budget *capture.Budget, builder *event.Builder, fill queueFill) {
	t.Helper()
	built, err := builder.Ledger(ledger.Statement{}, "waiting", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for range fill.items {
		lease := budget.Lease()
		if !lease.Grow(itemBytes) {
			t.Fatal("the budget has no room for what is to wait")
		}
		now := time.Now()
		sink.Enqueue(&delivery.Item{
			Event: built, Sequence: sink.Account().Observe(), Bytes: itemBytes,
			Observed: now, Deadline: now.Add(agentconfig.EventDeadline), Release: lease.Release,
		})
	}
	if fill.rest >= 0 && !budget.Lease().Grow(budget.Usage().BufferLimit-budget.Used()-fill.rest) {
		t.Fatal("the budget has no room")
	}
}

// runDelivery begins all that goes on behind the request path.
func runDelivery(t *testing.T, sink *delivery.Sink, pipeline *exchange.Pipeline, state sinkState, fill queueFill) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { sink.Run(ctx) })
	running.Go(func() { sink.RunSpool(ctx) })
	if !fill.idle {
		running.Go(func() { pipeline.Run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	if state.closes {
		now := time.Now()
		built, err := (&event.Builder{Identity: event.Identity{Source: "s", AgentInstance: "i"}}).Ledger(ledger.Statement{}, "first", now)
		if err != nil {
			t.Fatal(err)
		}
		sink.Enqueue(&delivery.Item{
			Event: built, Sequence: sink.Account().Observe(),
			Observed: now, Deadline: now.Add(agentconfig.EventDeadline), Release: func() {},
		})
		synctest.Wait()
	}
	if state.ended {
		stop()
		synctest.Wait()
	}
}

var quiet = log.New(io.Discard, "", 0)

// client speaks HTTP/1.1 or HTTP/2 to the stage.
func (s *stage) client(t *testing.T, http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport := &http.Transport{Protocols: protocols, DialContext: s.listener.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	// In virtual time, so that a wait without end is told as well.
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// serve runs a handler, and gives where to dial it.
func serve(t *testing.T, handler http.Handler) *memoryListener {
	listener := newMemoryListener()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	serveOn(t, &http.Server{Handler: handler, Protocols: protocols, ErrorLog: quiet}, listener)
	return listener
}

func serveOn(t *testing.T, server *http.Server, listener net.Listener) {
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Error("serve:", err)
		}
	})
	t.Cleanup(func() {
		server.Close()
		running.Wait()
	})
}

// memoryListener is a network of pipes: nothing in it waits for the machine.
type memoryListener struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{connections: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case connection := <-l.connections:
		return connection, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// Dial connects to the listener, whatever the address.
func (l *memoryListener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.connections <- far:
		return near, nil
	case <-l.closed:
		return nil, fmt.Errorf("dial: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
