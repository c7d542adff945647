/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TestAnAttemptEndsAtItsTimeout over http and https, whether the sink hangs
// after it has read the event, or reads nothing.
func TestAnAttemptEndsAtItsTimeout(t *testing.T) {
	over := make(chan struct{})
	hang := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over })
	plain, secure := httptest.NewServer(hang), httptest.NewTLSServer(hang)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	t.Cleanup(func() {
		close(over)
		plain.Close()
		secure.Close()
		silent.Close()
	})
	for name, test := range map[string]struct {
		sink  string
		bytes int
	}{
		"http":          {plain.URL, 10},
		"http, silent":  {"http://" + silent.Addr().String(), 1 << 20},
		"https":         {secure.URL, 10},
		"https, silent": {"https://" + silent.Addr().String(), 10},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := url.Parse(test.sink)
			if err != nil {
				t.Fatal(err)
			}
			sender, err := NewHTTPSender(HTTPOptions{URL: to, MaxInFlight: 1, AllowLoopback: true, CACerts: authority})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sender.Close)
			results := make(chan Result, 1)
			r := runRig(t, sender, func(o *Options) {
				o.Spool, o.MaxBytes, o.AttemptTimeout = nil, 0, 50*time.Millisecond
				o.Schedule.Retries = new(int)
				o.BeginAttempt = func(ctx context.Context, _ *event.Event, _ int) (context.Context, func(Result)) {
					return ctx, func(result Result) { results <- result }
				}
			})
			defer r.end()
			now := time.Now()
			r.Enqueue(&Item{
				Event: eventOf(t, test.bytes), Sequence: r.Account().Observe(), Observed: now, Deadline: now.Add(agentconfig.EventDeadline),
				Bytes: OverheadBytes, Release: func() {},
			})
			if result := <-results; Judge(result) != Retry {
				t.Errorf("the attempt gives %+v", result)
			}
		})
	}
}

// TestAnUntimedContext is over at its deadline and with its parent. What is made
// of it by timed is done then, too.
func TestAnUntimedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, end := context.WithCancel(t.Context())
		defer end()
		ctx := untimed{parent, time.Now().Add(time.Second)}
		other, cancel := timed(ctx)
		defer cancel()
		if ctx.Err() != nil || other.Err() != nil {
			t.Error("a context is over at once")
		}
		<-other.Done()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !time.Now().Equal(ctx.deadline) {
			t.Errorf("%v at %v, want the deadline, %v", ctx.Err(), time.Now(), ctx.deadline)
		}
		ctx.deadline = ctx.deadline.Add(time.Hour)
		another, cancel := timed(ctx)
		defer cancel()
		end()
		<-another.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%v after the end of its parent", ctx.Err())
		}
	})
}
