/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracescollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// collector receives metrics and spans by OTLP, over gRPC and over HTTP.
type collector struct {
	metricscollector.UnimplementedMetricsServiceServer
	tracescollector.UnimplementedTraceServiceServer
	t *testing.T
	// grpc and http are its URLs.
	grpc, http string

	mu      sync.Mutex
	spans   []span
	metrics map[string]*metricspb.Metric
	// resource is that of the last export.
	resource map[string]string
	// all is every message that came, as text.
	all []string
}

// span is one as it came, with its identifiers in hexadecimal.
type span struct {
	*tracepb.Span
	trace, id, parent string
	attributes        map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, metrics: make(map[string]*metricspb.Metric)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	metricscollector.RegisterMetricsServiceServer(server, c)
	tracescollector.RegisterTraceServiceServer(server, traceReceiver{c})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	c.grpc = "http://" + listener.Addr().String()

	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		request := new(tracescollector.ExportTraceServiceRequest)
		c.read(r, request)
		c.takeSpans(request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		request := new(metricscollector.ExportMetricsServiceRequest)
		c.read(r, request)
		c.takeMetrics(request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	c.http = agenttest.Serve(t, mux).URL
	return c
}

func (c *collector) read(r *http.Request, into proto.Message) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(body, into)
	}
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("no OTLP over HTTP: %v %v", r.Header, err)
	}
}

func (c *collector) Export(_ context.Context, request *metricscollector.ExportMetricsServiceRequest) (*metricscollector.ExportMetricsServiceResponse, error) {
	c.takeMetrics(request)
	return &metricscollector.ExportMetricsServiceResponse{}, nil
}

// traceReceiver is the collector as a receiver of spans, whose method has the
// same name.
type traceReceiver struct{ *collector }

func (c traceReceiver) Export(_ context.Context, request *tracescollector.ExportTraceServiceRequest) (*tracescollector.ExportTraceServiceResponse, error) {
	c.takeSpans(request)
	return &tracescollector.ExportTraceServiceResponse{}, nil
}

func (c *collector) takeSpans(request *tracescollector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, request.String())
	for _, resource := range request.GetResourceSpans() {
		c.resource = textOf(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{
					Span:       s,
					trace:      hex.EncodeToString(s.GetTraceId()),
					id:         hex.EncodeToString(s.GetSpanId()),
					parent:     hex.EncodeToString(s.GetParentSpanId()),
					attributes: textOf(s.GetAttributes()),
				})
			}
		}
	}
}

func (c *collector) takeMetrics(request *metricscollector.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, request.String())
	for _, resource := range request.GetResourceMetrics() {
		c.resource = textOf(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				c.metrics[metric.GetName()] = metric
			}
		}
	}
}

func textOf(attributes []*commonpb.KeyValue) map[string]string {
	text := make(map[string]string, len(attributes))
	for _, attribute := range attributes {
		text[attribute.GetKey()] = valueOf(attribute.GetValue())
	}
	return text
}

// spansOf gives the spans of a kind that have come.
func (c *collector) spansOf(kind tracepb.Span_SpanKind) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []span
	for _, s := range c.spans {
		if s.GetKind() == kind {
			found = append(found, s)
		}
	}
	return found
}

// await waits for n spans of a kind.
func (c *collector) await(n int, kind tracepb.Span_SpanKind) []span {
	c.t.Helper()
	agenttest.Eventually(c.t, "the spans have come", func() bool { return len(c.spansOf(kind)) >= n })
	return c.spansOf(kind)
}

func (c *collector) metric(name string) *metricspb.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.metrics[name]
}
