/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Transformer is a small transformer for the samples and the tests: the part
// of an InferenceService that prepares requests for its predictor. It takes
// the arguments that KServe gives to a transformer:
//
//	--predictor_host  the host of the predictor; default: PREDICTOR_HOST
//	--http_port       where to listen; default: PORT, else 8080
//	--model_name      the name of the InferenceService
//	--workers         accepted and not used
//
// An instance may be text with numbers between spaces. The predictor gets it as
// numbers:
//
//	POST /v1/models/NAME:predict   {"instances": ["1 1", "-1 -1"]}
//	                            -> {"instances": [[1, 1], [-1, -1]]}
//
// The response is that of the predictor, with the header X-Transformed: NAME.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if err := run(log); err != nil {
		log.Error("the transformer ended", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	predictor := flag.String("predictor_host", os.Getenv("PREDICTOR_HOST"), "host of the predictor")
	port := flag.String("http_port", cmp.Or(os.Getenv("PORT"), "8080"), "port to listen on")
	name := flag.String("model_name", "", "name of the InferenceService")
	flag.String("workers", "", "not used")
	flag.Parse()
	if *predictor == "" {
		return errors.New("no predictor: set --predictor_host or PREDICTOR_HOST")
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":" + *port, Handler: newTransformer(*name, *predictor), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	log.Info("listening", "address", server.Addr, "predictor", *predictor)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// Open exchanges end when they end. What takes longer than the pod may take
	// to end, the kubelet kills.
	return server.Shutdown(context.Background())
}
