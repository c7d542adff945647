/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sidenote-dev/sidenote/test/openinference"
)

// model responds to all protocols. It refuses predictions until load is called.
type model struct {
	log    *slog.Logger
	loaded atomic.Bool
	rest   http.Handler
	grpc   *grpc.Server
	health *health.Server
	// tunnels are the open WebSockets, which the server doesn't know of.
	tunnels sync.WaitGroup
}

func newModel(log *slog.Logger) *model {
	m := &model{log: log, health: health.NewServer()}
	m.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)

	m.grpc = grpc.NewServer(
		grpc.UnaryInterceptor(m.interceptUnary),
		grpc.StreamInterceptor(m.interceptStream),
		grpc.MaxRecvMsgSize(maxBody),
	)
	openinference.RegisterGRPCInferenceServiceServer(m.grpc, &inferenceService{model: m})
	healthpb.RegisterHealthServer(m.grpc, m.health)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models/{name}", m.v1Metadata)
	mux.HandleFunc("POST /v1/models/{call}", m.v1Predict)
	mux.HandleFunc("GET /v2", m.v2ServerMetadata)
	mux.HandleFunc("GET /v2/health/live", m.live)
	mux.HandleFunc("GET /v2/health/ready", m.ready)
	mux.HandleFunc("GET /v2/models/{name}", m.v2Metadata)
	mux.HandleFunc("GET /v2/models/{name}/ready", m.ready)
	mux.HandleFunc("POST /v2/models/{name}/infer", m.v2Infer)
	mux.HandleFunc("POST /v2/models/{name}/generate_stream", m.generateStream)
	// Without a Handshake of its own it takes any origin.
	mux.HandleFunc("GET /echo", func(w http.ResponseWriter, r *http.Request) {
		m.tunnels.Add(1)
		defer m.tunnels.Done()
		websocket.Server{Handler: echo}.ServeHTTP(w, r)
	})
	m.rest = mux
	return m
}

func (m *model) load() {
	m.loaded.Store(true)
	m.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
}

// ServeHTTP hands gRPC to the gRPC server and everything else, once the model
// is loaded and the request's wishes are taken in, to the REST handlers.
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		m.log.Info("answered", "method", r.Method, "path", r.URL.Path, "protocol", r.Proto,
			"status", recorder.status, "duration", time.Since(start).String())
	}()
	_, scripted := r.Header[scriptHeader]
	switch {
	case scripted:
		s, err := readScript(r.Header)
		if err != nil {
			writeError(recorder, http.StatusBadRequest, "%v", err)
			return
		}
		s.serve(recorder, r)
	case r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		m.grpc.ServeHTTP(abortAsWished(recorder, r), r)
	case !m.loaded.Load() && r.URL.Path != "/v2/health/live":
		writeError(recorder, http.StatusServiceUnavailable, "the model is loading")
	default:
		m.serveAsWished(recorder, r)
	}
}

// echo gives each message back, until the client ends the connection.
func echo(connection *websocket.Conn) {
	_, _ = io.Copy(connection, connection)
}

func (m *model) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]bool{"live": true})
}

func (m *model) ready(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]bool{"ready": true})
}

// statusRecorder remembers the status for the log.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Flush is what the gRPC server asks a response writer for.
func (s *statusRecorder) Flush() {
	_ = http.NewResponseController(s.ResponseWriter).Flush()
}

// Hijack is what a WebSocket asks a response writer for.
func (s *statusRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.status = http.StatusSwitchingProtocols
	return http.NewResponseController(s.ResponseWriter).Hijack()
}

func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 20

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func writeError(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf(format, args...)})
}
