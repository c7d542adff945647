/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Model is a small model server for the samples and the tests. It predicts by
// a logistic regression (see predict) and speaks, on one port, HTTP/1.1 and
// HTTP/2 with prior knowledge:
//
//	POST /v1/models/NAME:predict           V1 REST
//	POST /v2/models/NAME/infer             V2 REST, with binary tensors
//	POST /v2/models/NAME/generate_stream   server-sent events, one per word
//	GET /echo                              a WebSocket that gives each message back
//	inference.GRPCInferenceService         V2 gRPC, ModelStreamInfer included
//	grpc.health.v1.Health                  gRPC health
//
// and the protocols' health and metadata paths. Every model name is served.
// A V1 request that is itself a CloudEvent in binary mode gets one,
// of type dev.sidenote.test.prediction, so that a Trigger may name the model
// as its subscriber.
//
// The environment says how it starts:
//
//	PORT                where to listen, 8080
//	MODEL_LISTEN_DELAY  a duration without a listener, as of a large import
//	MODEL_LOAD_DELAY    a duration after that with everything but liveness
//	                    responded with 503 (gRPC: UNAVAILABLE), as of large weights
//	MODEL_DIR           a folder in which something must be, as of a storage
//	                    initializer; without it there are no files
//
// A request selects its response by headers that are gRPC metadata alike:
//
//	X-Model-Delay    a duration to wait before the response, and in a stream
//	                 before each message
//	X-Model-Status   the HTTP status (gRPC: the code) to respond with
//	X-Model-Abort    the number of body bytes after which to break off
//	X-Model-Trailer  name=value, to be sent as a trailer
//	X-Model-Echo     "true": respond with the request's own body and
//	                 Content-Type, on any path
//
// A request with X-Model-Body dictates the whole response, on any path and for
// gRPC alike, and the headers above mean this:
//
//	X-Model-Body           the response's body in base64
//	X-Model-Header         name=value, a header of the response; may be repeated
//	X-Model-Status         the HTTP status
//	X-Model-Trailer        name=value, a trailer
//	X-Model-Request-Bytes  how many bytes of the request are read; otherwise all
//	X-Model-Hint           "true": respond with 103 when these are read
//	X-Model-Delay          a duration to wait before the response's head
//	X-Model-Stay           a duration to wait between the body and its end
//	X-Model-Abort          "head": break off before the response's head;
//	                       "body": break off after the body
//
// Each request is logged as a JSON line with its method, path and status.
//
// After SIGTERM it goes on with what is in flight, WebSockets included, for as
// long as that takes.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal ends it at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, log); err != nil {
		log.Error("the model server ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	listenDelay, err := durationFromEnv("MODEL_LISTEN_DELAY")
	if err != nil {
		return err
	}
	loadDelay, err := durationFromEnv("MODEL_LOAD_DELAY")
	if err != nil {
		return err
	}
	if err := lookForModel(os.Getenv("MODEL_DIR")); err != nil {
		return err
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}

	if !sleep(ctx, listenDelay) {
		return nil
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	m := newModel(log)
	server := &http.Server{Handler: m, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Info("listening", "address", listener.Addr().String())
	if sleep(ctx, loadDelay) {
		m.load()
		log.Info("loaded")
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// Open exchanges end when they end. What takes longer than the pod may take
	// to end, the kubelet kills.
	if err := server.Shutdown(context.Background()); err != nil {
		return err
	}
	m.tunnels.Wait()
	return nil
}

func durationFromEnv(name string) (time.Duration, error) {
	value := os.Getenv(name)
	if value == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%s: %w; write it as 10s or 500ms", name, err)
	}
	return d, nil
}

// lookForModel returns an error if a folder is named and nothing is in it.
func lookForModel(folder string) error {
	if folder == "" {
		return nil
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("MODEL_DIR: %w", err)
	}
	if len(files) == 0 {
		return fmt.Errorf("MODEL_DIR: %s is empty; a storage initializer should have filled it", folder)
	}
	return nil
}

// sleep waits for d and says whether it was waited for in full.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
