/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// thriftySink accepts every event, and allocates nothing for it.
func thriftySink(t testing.TB) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer connection.Close()
				reader := bufio.NewReader(connection)
				response := []byte("HTTP/1.1 202 Accepted\r\nDate: Wed, 25 Nov 2026 12:00:00 GMT\r\nContent-Length: 0\r\n\r\n")
				for {
					length := 0
					for {
						line, err := reader.ReadSlice('\n')
						if err != nil {
							return
						}
						if len(line) == 2 {
							break
						}
						if value, found := bytesAfter(line, "Content-Length: "); found {
							for _, digit := range value {
								if digit >= '0' && digit <= '9' {
									length = length*10 + int(digit-'0')
								}
							}
						}
					}
					if _, err := reader.Discard(length); err != nil {
						return
					}
					if _, err := connection.Write(response); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/in"}
}

func bytesAfter(line []byte, prefix string) ([]byte, bool) {
	if len(line) < len(prefix) || string(line[:len(prefix)]) != prefix {
		return nil, false
	}
	return line[len(prefix):], true
}

func eventOf(t testing.TB, bytes int) *event.Event {
	t.Helper()
	builder := event.Builder{Identity: event.Identity{Source: "my-model"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 20}
	built, err := builder.Build(&event.Observation{
		Exchange: &event.Exchange{CorrelationID: "c", Path: "/v1/models/m:predict", Received: time.Now()},
		Side:     event.Request, Coding: event.Coding{ContentType: "application/octet-stream"},
		Body: event.Body{Data: make([]byte, bytes), Size: int64(bytes)}, Complete: true, At: time.Now(),
	}, agentconfig.KindRequest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// TestAllocationsOfAnAttempt, with the event's wire form. The body is never
// copied, so its size doesn't count.
func TestAllocationsOfAnAttempt(t *testing.T) {
	// Under the race detector, a sync.Pool drops a part of what it is given.
	const most, mostBytes, runs = 20, 16 << 10, 100
	for _, bytes := range []int{1 << 10, 64 << 10} {
		sender, err := NewHTTPSender(HTTPOptions{URL: thriftySink(t), MaxInFlight: 1, AllowLoopback: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sender.Close)
		e := eventOf(t, bytes)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := testing.AllocsPerRun(runs, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			result := sender.post(ctx, sender.where(time.Now()), outgoing{event: e, sequence: 1, body: e.Body(1)}, false)
			if result.Status != http.StatusAccepted {
				t.Fatalf("got %+v", result)
			}
		})
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / runs; got > most || each > mostBytes {
			t.Errorf("%d bytes: %v allocations of %d bytes, want %d of %d at most", bytes, got, each, most, mostBytes)
		}
	}
}

// BenchmarkAttempt is what one attempt costs with a sink that takes the event.
func BenchmarkAttempt(b *testing.B) {
	for _, bytes := range []int{1 << 10, 64 << 10} {
		for _, arm := range []string{"plain", "net/http"} {
			b.Run(fmt.Sprintf("%dKiB/%s", bytes>>10, arm), func(b *testing.B) {
				sender, err := NewHTTPSender(HTTPOptions{URL: thriftySink(b), MaxInFlight: 1, AllowLoopback: true})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(sender.Close)
				e := eventOf(b, bytes)
				b.ReportAllocs()
				began := processTime(b)
				for b.Loop() {
					var result Result
					if arm == "plain" {
						result = sender.Send(b.Context(), e, 1)
					} else {
						result, _, _ = sender.postByTransport(b.Context(), sender.options.URL, outgoing{event: e, sequence: 1}, "")
					}
					if result.Status != http.StatusAccepted {
						b.Fatalf("got %+v", result)
					}
				}
				b.ReportMetric(float64((processTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkPair is what both events of an exchange cost, from the queue to the
// sink's response.
func BenchmarkPair(b *testing.B) {
	for _, bytes := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", bytes>>10), func(b *testing.B) {
			sender, err := NewHTTPSender(HTTPOptions{URL: thriftySink(b), MaxInFlight: 32, AllowLoopback: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(sender.Close)
			sink := NewSink("default", sender, Options{
				Config:         Config{FirstInFlight: 4, MaxInFlight: 32, HangsAfter: 10 * time.Second, Random: rand.Float64},
				AttemptTimeout: 30 * time.Second,
				BeginAttempt: func(ctx context.Context, _ *event.Event, _ int) (context.Context, func(Result)) {
					return ctx, func(Result) {}
				},
			})
			ctx, cancel := context.WithCancel(b.Context())
			var running sync.WaitGroup
			running.Go(func() { sink.Run(ctx) })
			b.Cleanup(func() {
				cancel()
				running.Wait()
			})
			e := eventOf(b, bytes)
			ended := make(chan struct{}, 2)
			b.ReportAllocs()
			began := processTime(b)
			for b.Loop() {
				now := time.Now()
				for range 2 {
					sink.Enqueue(&Item{
						Event: e, Sequence: sink.Account().Observe(), Observed: now, Deadline: now.Add(agentconfig.EventDeadline),
						Bytes: OverheadBytes, Release: func() { ended <- struct{}{} },
					})
				}
				<-ended
				<-ended
			}
			b.ReportMetric(float64((processTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
			if s := sink.Account().Snapshot(); s.Delivered != s.Observed {
				b.Errorf("the ledger says %+v", s)
			}
		})
	}
}

func processTime(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
