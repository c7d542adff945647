/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package ingress reaches a model's URL from the machine that runs the tests,
// by HTTP and by gRPC. The environment variable SIDENOTE_INGRESS, as
// http://127.0.0.1:8080, names the cluster's ingress where a model's host
// doesn't resolve to it; every connection is then made to that address, with
// the URL and its host as they are.
package ingress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"knative.dev/pkg/apis"
)

const addressVariable = "SIDENOTE_INGRESS"

// Dial connects to the ingress where one is named, and to address otherwise.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if named := os.Getenv(addressVariable); named != "" {
		ingress, err := url.Parse(named)
		if err != nil || ingress.Host == "" {
			return nil, fmt.Errorf("%s %q: write it as http://127.0.0.1:8080", addressVariable, named)
		}
		address = ingress.Host
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// NewHTTPClient returns a client with connections of its own. It follows no
// redirect and adds no header, so that a test sees what the ingress responds.
func NewHTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: Dial, DisableCompression: true, MaxIdleConnsPerHost: 16},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// NewGRPCConnection returns a connection to the model at a URL, without TLS.
func NewGRPCConnection(model *apis.URL) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+net.JoinHostPort(model.Host, "80"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority(model.Host),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return Dial(ctx, "tcp", address)
		}))
}
