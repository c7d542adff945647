/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Transformer stands in front of a predictor, as a custom transformer of KServe:
// it takes the arguments that KServe gives, passes each request on and adds the
// header X-Transformed to the response.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	model := flag.String("model_name", "", "name of the InferenceService")
	predictor := flag.String("predictor_host", "", "host of the predictor")
	port := flag.String("http_port", "8080", "port to listen on")
	flag.Parse()
	if *predictor == "" {
		log.Fatal("--predictor_host is missing")
	}

	proxy := &httputil.ReverseProxy{
		// The ingress finds the predictor by the host.
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: *predictor}) },
		ModifyResponse: func(response *http.Response) error {
			response.Header.Set("X-Transformed", *model)
			return nil
		},
	}
	server := &http.Server{Addr: ":" + *port, Handler: proxy, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() {
		// The kubelet bounds the end of the pod.
		_ = server.Shutdown(context.Background())
	})
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-ctx.Done()
}
