/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sidenote-dev/sidenote/test/openinference"
)

type unaryCall struct {
	connection *grpc.ClientConn
	client     openinference.GRPCInferenceServiceClient
	request    *openinference.ModelInferRequest
}

// NewGRPC returns so many senders of unary calls with a tensor of a size.
func NewGRPC(address string, size, count int) ([]Sender, error) {
	request := &openinference.ModelInferRequest{ModelName: "m", Id: "6f1c4a52", RawInputContents: [][]byte{make([]byte, size)}}
	var senders []Sender
	var connection *grpc.ClientConn
	for i := range count {
		if i%streamsTogether == 0 {
			var err error
			if connection, err = grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
				return senders, fmt.Errorf("connecting: %w", err)
			}
		}
		senders = append(senders, &unaryCall{connection, openinference.NewGRPCInferenceServiceClient(connection), request})
	}
	return senders, nil
}

func (u *unaryCall) Exchange() error {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	response, err := u.client.ModelInfer(ctx, u.request)
	if err != nil {
		return fmt.Errorf("making a call: %w", err)
	}
	if got, want := len(response.GetRawOutputContents()[0]), len(u.request.GetRawInputContents()[0]); got != want {
		return fmt.Errorf("got a tensor of %d bytes, want %d", got, want)
	}
	return nil
}

// Close ends the connection, of which another sender may be the last.
func (u *unaryCall) Close() { u.connection.Close() }
