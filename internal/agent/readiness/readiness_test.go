/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package readiness

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestState(t *testing.T) {
	readiness := &agentconfig.Probe{TCPSocket: &agentconfig.TCPSocket{Port: 1}, PeriodSeconds: 10, TimeoutSeconds: 1, SuccessThreshold: 2, FailureThreshold: 3, InitialDelaySeconds: 5}
	startup := &agentconfig.Probe{TCPSocket: &agentconfig.TCPSocket{Port: 2}, PeriodSeconds: 20, TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 2, InitialDelaySeconds: 7}
	type step struct {
		succeeds bool
		// after the result:
		ready bool
		pause time.Duration
		probe *agentconfig.Probe
	}
	for _, test := range []struct {
		name    string
		startup *agentconfig.Probe
		delay   time.Duration
		steps   []step
	}{
		{"ready after the success threshold, unready after the failure threshold", nil, 5 * time.Second, []step{
			{false, false, eager, readiness},
			{true, false, eager, readiness},
			{false, false, eager, readiness},
			{true, false, eager, readiness},
			{true, true, 10 * time.Second, readiness},
			{false, true, 10 * time.Second, readiness},
			{false, true, 10 * time.Second, readiness},
			{true, true, 10 * time.Second, readiness},
			{false, true, 10 * time.Second, readiness},
			{false, true, 10 * time.Second, readiness},
			{false, false, 10 * time.Second, readiness},
			{true, false, 10 * time.Second, readiness},
			{true, true, 10 * time.Second, readiness},
		}},
		{"the startup probe gates the other one, at its own period", startup, 7 * time.Second, []step{
			{false, false, 20 * time.Second, startup},
			{false, false, 20 * time.Second, startup},
			{false, false, 20 * time.Second, startup},
			{true, false, 5 * time.Second, readiness},
			{true, false, eager, readiness},
			{true, true, 10 * time.Second, readiness},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newState(test.startup, readiness)
			if s.delay() != test.delay {
				t.Errorf("the first probe is after %s", s.delay())
			}
			for i, step := range test.steps {
				s.record(step.succeeds)
				if s.ready != step.ready || s.pause() != step.pause || s.probe() != step.probe {
					t.Errorf("step %d: ready %v, pause %s, startup %v", i, s.ready, s.pause(), s.probe() == startup)
				}
			}
		})
	}
}

func portOf(t *testing.T, address string) int32 {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

func TestHTTPProbe(t *testing.T) {
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/500", http.StatusFound)
		case "/away":
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		case "/header":
			if r.Host != "model.example.com" || r.Header.Get("X-A") != "b" || r.URL.RawQuery != "q=1" {
				w.WriteHeader(http.StatusBadRequest)
			}
		case "/%zz":
		case "/twice":
			if len(r.Header.Values("X-A")) != 2 || r.Header.Get("Accept") != "text/plain" || r.Header.Get("User-Agent") != userAgent {
				w.WriteHeader(http.StatusBadRequest)
			}
		case "/hang":
			<-r.Context().Done()
		default:
			status, _ := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
			w.WriteHeader(status)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	headers := []agentconfig.HTTPHeader{{Name: "Host", Value: "model.example.com"}, {Name: "X-A", Value: "b"}}
	for _, test := range []struct {
		name   string
		server *httptest.Server
		get    agentconfig.HTTPGet
		ready  bool
	}{
		{"200", plain, agentconfig.HTTPGet{Path: "/200"}, true},
		{"399", plain, agentconfig.HTTPGet{Path: "/399"}, true},
		{"400", plain, agentconfig.HTTPGet{Path: "/400"}, false},
		{"503", plain, agentconfig.HTTPGet{Path: "/503"}, false},
		{"no slash", plain, agentconfig.HTTPGet{Path: "200"}, true},
		{"a redirect is followed", plain, agentconfig.HTTPGet{Path: "/redirect"}, false},
		{"but not to elsewhere", plain, agentconfig.HTTPGet{Path: "/away"}, true},
		{"headers, host and query", plain, agentconfig.HTTPGet{Path: "/header?q=1", HTTPHeaders: headers}, true},
		{"a header twice, and one that there is a default for", plain, agentconfig.HTTPGet{Path: "/twice", HTTPHeaders: []agentconfig.HTTPHeader{{Name: "X-A", Value: "b"}, {Name: "x-a", Value: "c"}, {Name: "accept", Value: "text/plain"}}}, true},
		{"a path that can't be parsed", plain, agentconfig.HTTPGet{Path: "/%zz"}, true},
		{"TLS without a known authority", secure, agentconfig.HTTPGet{Path: "/200", Scheme: "HTTPS"}, true},
		{"a model that hangs", plain, agentconfig.HTTPGet{Path: "/hang"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			get := test.get
			parsed, _ := url.Parse(test.server.URL)
			get.Port = portOf(t, parsed.Host)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err := newProber("127.0.0.1").run(ctx, &agentconfig.Probe{HTTPGet: &get})
			if (err == nil) != test.ready {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestGRPCProbe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	status := health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, status)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	status.SetServingStatus("model", grpc_health_v1.HealthCheckResponse_SERVING)
	status.SetServingStatus("other", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	for service, ready := range map[string]bool{"": true, "model": true, "other": false, "unknown": false} {
		err := newProber("127.0.0.1").run(t.Context(), &agentconfig.Probe{GRPC: &agentconfig.GRPC{Port: portOf(t, listener.Addr().String()), Service: &service}})
		if (err == nil) != ready {
			t.Errorf("service %q: %v", service, err)
		}
	}
}

func TestDialProbe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	probe := agentconfig.DialProbe(portOf(t, listener.Addr().String()))
	if err := newProber("127.0.0.1").run(t.Context(), probe); err != nil {
		t.Error("a model that listens:", err)
	}
	listener.Close()
	if err := newProber("127.0.0.1").run(t.Context(), probe); err == nil {
		t.Error("a model that is gone is ready")
	}
}

// TestAColdStartIsSeenAtOnce: /readyz waits a moment for a model that is just
// getting ready, and never runs two probes at a time.
func TestAColdStartIsSeenAtOnce(t *testing.T) {
	var ready atomic.Bool
	var running atomic.Int32
	changes := make(chan bool, 10)
	checker := NewChecker("127.0.0.1", nil, agentconfig.DialProbe(1), Observer{Changed: func(ready bool) { changes <- ready }})
	checker.run = func(context.Context, *agentconfig.Probe) error {
		if running.Add(1) > 1 {
			t.Error("two probes at a time")
		}
		defer running.Add(-1)
		if !ready.Load() {
			return errors.New("not yet")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { checker.Run(ctx); close(ended) }()
	ask := func() int {
		recorder := httptest.NewRecorder()
		checker.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return recorder.Code
	}
	if status := ask(); status != http.StatusServiceUnavailable {
		t.Errorf("before: %d", status)
	}
	ready.Store(true)
	if !<-changes {
		t.Error("the change is to unready")
	}
	if status := ask(); status != http.StatusOK {
		t.Errorf("after: %d", status)
	}
	cancel()
	<-ended
}

// TestAModelThatDoesNotStart: the startup probe runs after its delay and at
// its period, and that it failed as often as its threshold says is told once.
func TestAModelThatDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		startup, err := agentconfig.ParseProbe(`{"tcpSocket":{"port":1},"initialDelaySeconds":60,"periodSeconds":20,"failureThreshold":3}`)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var probed, notStarted []time.Duration
		observer := Observer{
			Changed:    func(bool) { t.Error("it became ready") },
			NotStarted: func(int32) { notStarted = append(notStarted, time.Since(begun)) },
		}
		checker := NewChecker("127.0.0.1", startup, agentconfig.DialProbe(2), observer)
		checker.run = func(_ context.Context, probe *agentconfig.Probe) error {
			if probe != startup {
				t.Error("the readiness probe runs before the startup probe has succeeded")
			}
			probed = append(probed, time.Since(begun)/time.Second)
			return errors.New("not yet")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		checker.Run(ctx)
		if want := []time.Duration{60, 80, 100, 120, 140}; !slices.Equal(probed, want) {
			t.Errorf("probes after %d s, want %d", probed, want)
		}
		if want := []time.Duration{100 * time.Second}; !slices.Equal(notStarted, want) {
			t.Errorf("told after %s, want %s", notStarted, want)
		}
		recorder := httptest.NewRecorder()
		checker.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if body := recorder.Body.String(); !strings.Contains(body, "its startup probe failed 5 times, its failureThreshold is 3") {
			t.Errorf("/readyz says %q", body)
		}
	})
}

// TestAProbeThatPanicsHasFailed, and is not the last one.
func TestAProbeThatPanicsHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := make(chan panics.Place, 10)
		changes := make(chan bool, 10)
		checker := NewChecker("127.0.0.1", nil, agentconfig.DialProbe(1), Observer{
			Changed: func(ready bool) { changes <- ready },
			Panics:  panics.Handler{OnEvent: func(place panics.Place) { places <- place }},
		})
		first := true
		checker.run = func(context.Context, *agentconfig.Probe) error {
			if first {
				first = false
				panic("the model's response")
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { checker.Run(ctx); close(ended) }()
		if place := <-places; !strings.Contains(string(place), "readiness.") || strings.Contains(string(place), "answer") {
			t.Errorf("told %q", place)
		}
		if !<-changes {
			t.Error("the next probe did not count")
		}
		cancel()
		<-ended
	})
}
