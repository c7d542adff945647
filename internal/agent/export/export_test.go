/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package export

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidenote-dev/sidenote/internal/telemetry"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFailedExportIsCountedAndNamedByItsCause(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"deadline":         {context.DeadlineExceeded, "timeout"},
		"deadline of gRPC": {status.Error(codes.DeadlineExceeded, "secret"), "timeout"},
		"network timeout":  {&net.DNSError{IsTimeout: true}, "timeout"},
		"canceled":         {context.Canceled, "shutdown"},
		"canceled gRPC":    {status.Error(codes.Canceled, "secret"), "shutdown"},
		"no connection":    {&net.OpError{Op: "dial", Err: errors.New("secret")}, "unreachable"},
		"unavailable":      {status.Error(codes.Unavailable, "secret"), "unreachable"},
		"anything else":    {errors.New("secret"), "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			e := New(func(signal Signal, cause string) { told = append(told, string(signal)+" "+cause) })
			defer e.End()
			for _, signal := range []Signal{Metrics, Traces, Traces} {
				if err := e.do(t.Context(), signal, func(context.Context) error { return test.err }); !errors.Is(err, test.err) {
					t.Errorf("the exporter got %v", err)
				}
			}
			if err := e.do(t.Context(), Metrics, func(context.Context) error { return nil }); err != nil {
				t.Error("a success became", err)
			}
			if want := []string{"metrics " + test.want, "traces " + test.want, "traces " + test.want}; !reflect.DeepEqual(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
			if got, want := e.Failures(), map[string]uint64{"metrics": 1, "traces": 2}; !reflect.DeepEqual(got, want) {
				t.Errorf("counted %v, want %v", got, want)
			}
		})
	}
}

func TestAnExportEndsAtItsDeadlineOrWithTheAgent(t *testing.T) {
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	synctest.Test(t, func(t *testing.T) {
		cause := ""
		e := New(func(_ Signal, c string) { cause = c })
		begun := time.Now()
		if err := e.do(t.Context(), Metrics, hang); err == nil || cause != "timeout" || time.Since(begun) != timeout {
			t.Errorf("after %s it ended for %q: %v", time.Since(begun), cause, err)
		}
		begun = time.Now()
		time.AfterFunc(time.Second, e.End)
		if err := e.do(t.Context(), Traces, hang); err == nil || cause != "shutdown" || time.Since(begun) != time.Second {
			t.Errorf("after %s it ended for %q: %v", time.Since(begun), cause, err)
		}
	})
}

func TestTheClientFollowsNoRedirect(t *testing.T) {
	collector := agenttest.Serve(t, http.RedirectHandler("http://elsewhere.invalid/", http.StatusTemporaryRedirect))
	e := New(nil)
	defer e.End()
	response, err := e.client.Get(collector.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("the exporter got %s", response.Status)
	}
}

func TestTheEndClosesConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	e := New(nil)
	connection, err := e.client.Transport.(*http.Transport).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	// For a test that hangs.
	if err := accepted.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	e.End()
	if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the collector reads %v, want the connection's end", err)
	}
}

func TestNothingIsExportedUnlessAsked(t *testing.T) {
	e := New(nil)
	defer e.End()
	for _, protocol := range []telemetry.Protocol{"", telemetry.None, telemetry.Prometheus} {
		if reader, err := e.MetricReader(t.Context(), telemetry.Metrics{Protocol: protocol}); reader != nil || err != nil {
			t.Errorf("metrics by %q: %v, %v", protocol, reader, err)
		}
	}
	for _, protocol := range []telemetry.Protocol{"", telemetry.None, telemetry.GRPC, telemetry.HTTPProtobuf} {
		if spans, err := e.TracerProvider(t.Context(), telemetry.Traces{Protocol: protocol}, resource.Empty(), io.Discard); spans != nil || err != nil {
			t.Errorf("traces by %q without a sampling rate: %v, %v", protocol, spans, err)
		}
	}
}
