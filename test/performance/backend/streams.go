/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package backend

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/sidenote-dev/sidenote/test/openinference"
	"github.com/sidenote-dev/sidenote/test/performance/load"
)

// ChunkInterval is the pace of a stream's chunks: a proxy gets one at a time, as
// it does from a model that makes words.
const ChunkInterval = 4 * time.Millisecond

// Streams is a model that speaks HTTP/1.1, HTTP/2, server-sent events and
// WebSockets.
type Streams struct {
	listener net.Listener
	server   *http.Server
}

// NewStreams starts one.
func NewStreams() (*Streams, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a model: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+load.PredictPath, predict)
	mux.HandleFunc("POST "+load.GeneratePath, generate)
	mux.HandleFunc("GET "+load.EchoPath, echo)
	s := &Streams{listener: listener, server: &http.Server{Handler: mux, Protocols: new(http.Protocols), IdleTimeout: idleTimeout, ReadHeaderTimeout: responseTimeout}}
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Address is where it listens.
func (s *Streams) Address() string { return s.listener.Addr().String() }

// Close ends it.
func (s *Streams) Close() { s.server.Close() }

func predict(w http.ResponseWriter, r *http.Request) {
	length, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(load.Body(int(length)))
}

func generate(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(ChunkInterval)
	defer ticker.Stop()
	for range load.Chunks {
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
		if _, err := io.WriteString(w, load.Chunk); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
	}
}

// echo sends back what it gets on a WebSocket. Nobody looks at the handshake.
func echo(w http.ResponseWriter, _ *http.Request) {
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, load.Switching); err != nil {
		return
	}
	_, _ = io.Copy(connection, buffered)
}

// GRPC is a model that speaks gRPC.
type GRPC struct {
	listener net.Listener
	server   *grpc.Server
}

// NewGRPC starts one.
func NewGRPC() (*GRPC, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a model: %w", err)
	}
	g := &GRPC{listener: listener, server: grpc.NewServer()}
	openinference.RegisterGRPCInferenceServiceServer(g.server, inferrer{})
	go func() { _ = g.server.Serve(listener) }()
	return g, nil
}

// Address is where it listens.
func (g *GRPC) Address() string { return g.listener.Addr().String() }

// Close ends it.
func (g *GRPC) Close() { g.server.Stop() }

type inferrer struct {
	openinference.UnimplementedGRPCInferenceServiceServer
}

// ModelInfer responds with the tensors of the request.
func (inferrer) ModelInfer(_ context.Context, r *openinference.ModelInferRequest) (*openinference.ModelInferResponse, error) {
	return &openinference.ModelInferResponse{ModelName: r.GetModelName(), RawOutputContents: r.GetRawInputContents()}, nil
}
