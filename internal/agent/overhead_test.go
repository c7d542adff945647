/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// BenchmarkOverhead compares ways to reach a model, in CPU time of the whole
// process per exchange: client, model and sink are in it, so the arms are to be
// compared with each other, less the direct one.
func BenchmarkOverhead(b *testing.B) {
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	defer model.Close()
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer sink.Close()
	bare := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme, p.Out.URL.Host = "http", model.Listener.Addr().String()
	}})
	defer bare.Close()

	for _, size := range []int{1 << 10, 64 << 10} {
		body := bytes.Repeat([]byte("x"), size)
		for _, arm := range []struct {
			name string
			url  func(b *testing.B) string
		}{
			{"direct", func(*testing.B) string { return model.URL }},
			{"bare proxy", func(*testing.B) string { return bare.URL }},
			{"nothing selected", func(b *testing.B) string {
				return benchmarkAgent(b, model.URL, "--events=response.failure", "--sink="+sink.URL)
			}},
			{"sink up", func(b *testing.B) string { return benchmarkAgent(b, model.URL, "--sink="+sink.URL) }},
			{"sink up, traced", func(b *testing.B) string {
				return benchmarkAgent(b, model.URL, "--sink="+sink.URL,
					"--tracing-protocol=http/protobuf", "--tracing-endpoint="+sink.URL, "--tracing-sampling-rate=1")
			}},
			{"sink dead", func(b *testing.B) string { return benchmarkAgent(b, model.URL, "--sink=http://127.0.0.1:1") }},
		} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, arm.name), func(b *testing.B) {
				url := arm.url(b)
				client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
				defer client.CloseIdleConnections()
				before := cpu(b)
				b.ResetTimer()
				for b.Loop() {
					answer, err := client.Post(url, "application/json", bytes.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

func benchmarkAgent(b *testing.B, target string, line ...string) string {
	b.Helper()
	given, err := agentconfig.Parse(append(line, "--target="+target))
	if err != nil {
		b.Fatal(err)
	}
	given.Port, given.AdminPort = 0, 0
	agent, err := New(given, Environment{Stdout: io.Discard, Logger: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{agent: agent, signals: make(chan os.Signal, 2), ended: make(chan error, 1)}
	go func() { r.ended <- agent.Run(r.signals) }()
	b.Cleanup(r.kill)
	return "http://" + agent.Addr()
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
