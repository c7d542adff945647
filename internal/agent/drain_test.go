/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// fakeEnd is an ending over figures that a test sets.
type fakeEnd struct {
	begun  atomic.Uint64
	active atomic.Int64
	// closed says that the port is, and final that the last ledger event is out.
	closed, final, delivered atomic.Bool
	// late is a request that the server still has when its port closes.
	late time.Duration
}

func (f *fakeEnd) ending(timeout time.Duration) ending {
	return ending{
		begun:  f.begun.Load,
		active: f.active.Load,
		shutdown: func(ctx context.Context) error {
			f.closed.Store(true)
			select {
			case <-time.After(f.late):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		final:           func() { f.final.Store(true) },
		delivered:       f.delivered.Load,
		deliveryTimeout: timeout,
	}
}

// TestDrainWaitsForExchanges, and the time for the delivery begins only then.
func TestDrainWaitsForExchanges(t *testing.T) {
	for _, test := range []struct {
		name      string
		stream    time.Duration
		late      time.Duration
		delivered time.Duration
		want      time.Duration
	}{
		{name: "an hour's stream, and a delivery in time", stream: time.Hour, delivered: 29 * time.Second, want: time.Hour + quiet + 29*time.Second},
		{name: "an hour's stream, and no delivery", stream: time.Hour, delivered: 24 * time.Hour, want: time.Hour + quiet + 30*time.Second},
		{name: "a request that came as the port was closed", late: time.Hour, delivered: 29 * time.Second, want: quiet + time.Hour + 29*time.Second},
		{name: "nothing under way", delivered: 0, want: quiet},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeEnd{late: test.late}
				if test.stream > 0 {
					f.active.Store(1)
					time.AfterFunc(test.stream, func() {
						if f.closed.Load() || f.final.Load() {
							t.Error("the port was closed under the stream")
						}
						f.active.Store(0)
					})
				}
				begun := time.Now()
				end := f.ending(30 * time.Second)
				if !end.exchanges(context.Background()) {
					t.Fatal("the exchanges were given up")
				}
				if !f.final.Load() {
					t.Error("there is no final ledger event")
				}
				time.AfterFunc(test.delivered, func() { f.delivered.Store(true) })
				end.delivery(context.Background())
				if took := time.Since(begun); took < test.want-look || took > test.want+2*look {
					t.Errorf("the end took %s, want %s", took, test.want)
				}
			})
		})
	}
}

// TestSecondSignalEndsEachPhase at once.
func TestSecondSignalEndsEachPhase(t *testing.T) {
	for name, begin := range map[string]func(*fakeEnd) func(context.Context){
		"a stream is under way": func(f *fakeEnd) func(context.Context) {
			f.active.Store(1)
			return func(ctx context.Context) { f.ending(time.Hour).exchanges(ctx) }
		},
		"a request came as the port was closed": func(f *fakeEnd) func(context.Context) {
			f.late = time.Hour
			return func(ctx context.Context) { f.ending(time.Hour).exchanges(ctx) }
		},
		"events are left": func(f *fakeEnd) func(context.Context) {
			return func(ctx context.Context) { f.ending(time.Hour).delivery(ctx) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := new(fakeEnd)
				run := begin(f)
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(time.Minute, cancel)
				begun := time.Now()
				run(ctx)
				if took := time.Since(begun); took != time.Minute {
					t.Errorf("it ended after %s", took)
				}
				if f.final.Load() {
					t.Error("a final ledger event went out, with exchanges under way")
				}
			})
		})
	}
}

// TestStreamOutlastsDrainTimeout, and its events are still delivered.
func TestStreamOutlastsDrainTimeout(t *testing.T) {
	signalled := make(chan struct{})
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		w.Header().Set("Content-Type", "text/event-stream")
		write := func() error {
			_, err := w.Write([]byte("data: x\n\n"))
			return errors.Join(err, control.Flush())
		}
		if err := write(); err != nil {
			t.Error("the stream was cut before its time:", err)
		}
		<-signalled
		// Far longer than the agent waits for a delivery.
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			if err := write(); err != nil {
				t.Error("the stream was cut:", err)
				return
			}
		}
	})
	r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--drain-timeout=1ms", "--mode=response"))
	response, err := agenttest.HTTP1Client(t).Post(r.URL+"/v1/models/m:predict", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	r.Terminate()
	close(signalled)
	if got := strings.Count(agenttest.ReadAll(t, response), "data: x"); got != 101 {
		t.Errorf("the client got %d messages of 101", got)
	}
	r.Wait()
}

// stuck is a writer that never returns until it is let go.
type stuck struct{ let chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.let
	return len(p), nil
}

func TestDrainIgnoresBlockedStdout(t *testing.T) {
	let := make(chan struct{})
	r := newRigIn(t, Environment{Stdout: stuck{let}}, agenttest.With("--sink=stdout", "--drain-timeout=0s"))
	t.Cleanup(func() { close(let) })
	r.Post("/", "{}")
	r.Signal(syscall.SIGTERM)
	r.Wait()
	if counts := r.ledger(); counts.Pending == 0 {
		t.Errorf("the ledger says %+v", counts)
	}
}

// TestDrainServesAndDelivers: after SIGTERM what is in flight ends, what comes
// is still served, and what was observed is delivered.
func TestDrainServesAndDelivers(t *testing.T) {
	goOn := make(chan struct{})
	r := newRig(t, agenttest.InFrontOf(agenttest.Holding("/slow", goOn)))
	slow := make(chan int)
	go func() {
		response, err := http.Get(r.URL + "/slow")
		if err != nil {
			slow <- 0
			return
		}
		response.Body.Close()
		slow <- response.StatusCode
	}()
	agenttest.Eventually(t, "the slow exchange is under way", func() bool { return r.agent.handler.Active() == 1 })
	r.Terminate()
	if status, _ := r.Post("/", "{}"); status != http.StatusOK {
		t.Errorf("while draining the client got %d", status)
	}
	close(goOn)
	if status := <-slow; status != http.StatusOK {
		t.Errorf("the slow client got %d", status)
	}
	r.Wait()
	counts := r.ledger()
	if counts.Observed != 4 || counts.Delivered != 4 || len(r.Sink.Events()) != 4 {
		t.Errorf("the ledger says %+v, the subscriber has %d", counts, len(r.Sink.Events()))
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestDrainWaitsForTheSink: an event that is on its way when the agent has
// become idle still arrives.
func TestDrainWaitsForTheSink(t *testing.T) {
	r := newRig(t, agenttest.With("--mode=response"))
	closed := make(chan struct{})
	r.Sink.Respond(func(_ agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		<-closed
		w.WriteHeader(http.StatusAccepted)
	})
	r.Post("/", "{}")
	r.Signal(syscall.SIGTERM)
	agenttest.Eventually(t, "the agent takes no more requests", func() bool { return !r.Listens() })
	close(closed)
	r.Wait()
	if counts := r.ledger(); counts.Delivered != 1 {
		t.Errorf("the ledger says %+v", counts)
	}
}

func TestDrainTimeoutDropsEvents(t *testing.T) {
	r := newRig(t, agenttest.With("--sink=http://127.0.0.1:1", "--drain-timeout=1s"))
	r.Post("/", "{}")
	r.Signal(syscall.SIGTERM)
	r.Wait()
	if counts := r.ledger(); counts.Dropped[ledger.ReasonShutdown] != 2 || counts.Pending != 0 {
		t.Errorf("the ledger says %+v", counts)
	}
	if !strings.Contains(r.Logs.String(), `"agent ends"`) {
		t.Errorf("not logged: %s", r.Logs)
	}
}

func TestSecondSignalEndsTheAgent(t *testing.T) {
	r := newRig(t, agenttest.With("--sink=http://127.0.0.1:1", "--drain-timeout=1h"))
	r.Post("/", "{}")
	r.Terminate()
	r.Signal(syscall.SIGTERM)
	r.Wait()
}

// TestDrainSendsTheOldestFirst: what failed before goes before what came
// later.
func TestDrainSendsTheOldestFirst(t *testing.T) {
	var hang atomic.Pointer[chan struct{}]
	r := newRig(t, agenttest.SinkResponding(func(_ agenttest.Attempt, w http.ResponseWriter, request *http.Request) {
		if hanging := hang.Load(); hanging != nil {
			select {
			case <-*hanging:
			case <-request.Context().Done():
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	// Two successes: then 16 may be in flight.
	taken := r.observe(1, "{}")
	r.settled()
	released := make(chan struct{})
	hang.Store(&released)
	old := taken + r.observe(8, "{}")
	agenttest.Eventually(t, "all are in flight", func() bool { return r.agent.sinks[0].Oldest().IsZero() && r.agent.pipeline.Empty() })
	n := old + r.observe(8, "{}")
	r.Terminate()
	hang.Store(nil)
	close(released)
	r.Wait()
	came := r.Sink.Events()
	if len(came) != n {
		t.Fatalf("%d of %d events came", len(came), n)
	}
	for _, e := range came[taken : taken+3] {
		if place, _ := strconv.Atoi(e.Attribute("agentsequence")); place > old {
			t.Errorf("event %d came before older ones", place)
		}
	}
}
