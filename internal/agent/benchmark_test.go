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
	"net/http/httputil"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// BenchmarkOverhead compares ways to reach a model, in CPU time of the whole
// process per exchange: client, model and sink are in it, so the arms are to be
// compared with each other, less the direct one.
func BenchmarkOverhead(b *testing.B) {
	model := agenttest.Serve(b, agenttest.Echo("Content-Type"))
	sink := agenttest.Serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	bare := agenttest.Serve(b, &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme, p.Out.URL.Host = "http", model.Address
	}})

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
					response, err := client.Post(url, "application/json", bytes.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

func benchmarkAgent(b *testing.B, target string, line ...string) string {
	b.Helper()
	launch := agenttest.InProcess(func(line []string, _ io.Writer) (agenttest.Instance, error) {
		return newAgent(line, Environment{Stdout: io.Discard, Logger: zap.NewNop()})
	})
	return launch(b, append(line, "--target="+target)).URL
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
