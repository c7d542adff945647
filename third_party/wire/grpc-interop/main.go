/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Grpc-interop is the server and the client of gRPC's interoperability tests.
//
//	grpc-interop serve            # prints the address that it serves on
//	grpc-interop ADDRESS [CASE]…  # runs these cases, or all
//
// It writes a line for each case, and ends with 1 at the first that fails.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// cases are those that need no credentials (grpc/doc/interop-test-descriptions.md).
var cases = []struct {
	name string
	run  func(context.Context, *grpc.ClientConn)
}{
	{"empty_unary", service(interop.DoEmptyUnaryCall)},
	{"large_unary", service(interop.DoLargeUnaryCall)},
	{"client_streaming", service(interop.DoClientStreaming)},
	{"server_streaming", service(interop.DoServerStreaming)},
	{"ping_pong", service(interop.DoPingPong)},
	{"empty_stream", service(interop.DoEmptyStream)},
	{"timeout_on_sleeping_server", service(interop.DoTimeoutOnSleepingServer)},
	{"cancel_after_begin", service(interop.DoCancelAfterBegin)},
	{"cancel_after_first_response", service(interop.DoCancelAfterFirstResponse)},
	{"custom_metadata", service(interop.DoCustomMetadata)},
	{"status_code_and_message", service(interop.DoStatusCodeAndMessage)},
	{"special_status_message", service(interop.DoSpecialStatusMessage)},
	{"unimplemented_method", func(ctx context.Context, connection *grpc.ClientConn) {
		interop.DoUnimplementedMethod(ctx, connection)
	}},
	{"unimplemented_service", func(ctx context.Context, connection *grpc.ClientConn) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(connection))
	}},
}

func service(run func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
	return func(ctx context.Context, connection *grpc.ClientConn) {
		run(ctx, testgrpc.NewTestServiceClient(connection))
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "grpc-interop:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("write serve, or an address and cases")
	}
	if arguments[0] == "serve" {
		return serve()
	}
	connection, err := grpc.NewClient("passthrough:///"+arguments[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", arguments[0], err)
	}
	defer connection.Close()
	for _, c := range cases {
		if len(arguments) > 1 && !slices.Contains(arguments[1:], c.name) {
			continue
		}
		// A case that fails ends the process and says why.
		fmt.Printf("%s ", c.name)
		c.run(context.Background(), connection)
		fmt.Println("passed")
	}
	return nil
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	fmt.Println(listener.Addr())
	return server.Serve(listener)
}
