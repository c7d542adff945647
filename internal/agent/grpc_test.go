/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// grpcModel is a model that speaks gRPC in all four ways.
type grpcModel struct {
	grpc_testing.UnimplementedTestServiceServer
	canceled chan struct{}
}

func (m *grpcModel) UnaryCall(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	if in.GetResponseStatus().GetCode() != 0 {
		return nil, status.Error(codes.Code(in.GetResponseStatus().GetCode()), "the model says no")
	}
	if in.GetResponseSize() < 0 {
		<-ctx.Done()
		close(m.canceled)
		return nil, ctx.Err()
	}
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "from the model"))
	return &grpc_testing.SimpleResponse{Payload: in.GetPayload()}, nil
}

func (m *grpcModel) StreamingOutputCall(in *grpc_testing.StreamingOutputCallRequest, out grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	for range in.GetResponseParameters() {
		if err := out.Send(&grpc_testing.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
	if code := in.GetResponseStatus().GetCode(); code != 0 {
		return status.Error(codes.Code(code), "the model says no")
	}
	return nil
}

func (m *grpcModel) StreamingInputCall(in grpc.ClientStreamingServer[grpc_testing.StreamingInputCallRequest, grpc_testing.StreamingInputCallResponse]) error {
	size := 0
	for {
		message, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return in.SendAndClose(&grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)})
		}
		if err != nil {
			return err
		}
		size += len(message.GetPayload().GetBody())
	}
}

func (m *grpcModel) FullDuplexCall(both grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
	for {
		in, err := both.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := both.Send(&grpc_testing.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
}

func newGRPCRig(t *testing.T, arguments ...string) (*rig, *grpcModel, grpc_testing.TestServiceClient) {
	t.Helper()
	checkGoroutines(t)
	model := &grpcModel{canceled: make(chan struct{})}
	server := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(server, model)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	r := newRig(t, agenttest.InFrontOf(http.NotFoundHandler()), agenttest.With(append(arguments, "--target=http://"+listener.Addr().String())...))
	t.Cleanup(func() {
		server.Stop()
		group.Wait()
	})
	return r, model, grpc_testing.NewTestServiceClient(r.dialGRPC())
}

func (r *rig) dialGRPC() *grpc.ClientConn {
	r.t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+r.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { connection.Close() })
	return connection
}

func payload(text string) *grpc_testing.Payload {
	return &grpc_testing.Payload{Body: []byte(text)}
}

// TestUnaryGRPCEventHasNoFraming: the events carry the messages themselves.
func TestUnaryGRPCEventHasNoFraming(t *testing.T) {
	for _, test := range []struct {
		name    string
		options []grpc.CallOption
		coding  string
	}{
		{"plain", nil, ""},
		{"compressed", []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, "gzip"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _, client := newGRPCRig(t)
			var trailer metadata.MD
			in := &grpc_testing.SimpleRequest{Payload: payload("hello")}
			out, err := client.UnaryCall(t.Context(), in, append(test.options, grpc.Trailer(&trailer))...)
			if err != nil {
				t.Fatal(err)
			}
			if string(out.GetPayload().GetBody()) != "hello" || trailer.Get("x-trailer")[0] != "from the model" {
				t.Errorf("the client got %v with trailer %v", out, trailer)
			}
			for kind, want := range map[string]proto.Message{"request": in, "response": out} {
				event := r.Sink.Of(kind)
				got := want.ProtoReflect().New().Interface()
				if err := proto.Unmarshal(event.Data(), got); err != nil || !proto.Equal(got, want) {
					t.Errorf("%s: %v, %v", kind, got, err)
				}
				if event.DataContentType() != "application/protobuf" || event.Subject() != "/grpc.testing.TestService/UnaryCall" ||
					event.Attribute("contentencoding") != test.coding {
					t.Errorf("unexpected event: %v", event)
				}
			}
			if response := r.Sink.Of("response"); response.Attribute("grpcstatus") != "0" || response.Attribute("statuscode") != "200" {
				t.Errorf("unexpected event: %v", response)
			}
		})
	}
}

func TestStreamingGRPCEventsHaveAllMessages(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(context.Context, grpc_testing.TestServiceClient) error
		// response is the kind of the response's event.
		response string
		// messages in the request's event, or 0 for an unframed one.
		messages int
	}{
		{
			"server", func(ctx context.Context, client grpc_testing.TestServiceClient) error {
				stream, err := client.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{
					Payload: payload("a"), ResponseParameters: make([]*grpc_testing.ResponseParameters, 3),
				})
				if err != nil {
					return err
				}
				for range 3 {
					if _, err := stream.Recv(); err != nil {
						return err
					}
				}
				if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
					return fmt.Errorf("no end: %w", err)
				}
				return nil
			}, "stream", 0,
		},
		{
			"client", func(ctx context.Context, client grpc_testing.TestServiceClient) error {
				stream, err := client.StreamingInputCall(ctx)
				if err != nil {
					return err
				}
				for range 3 {
					if err := stream.Send(&grpc_testing.StreamingInputCallRequest{Payload: payload("abc")}); err != nil {
						return err
					}
				}
				out, err := stream.CloseAndRecv()
				if err == nil && out.GetAggregatedPayloadSize() != 9 {
					return fmt.Errorf("the client got %v", out)
				}
				return err
			}, "response", 3,
		},
		{
			"bidirectional", func(ctx context.Context, client grpc_testing.TestServiceClient) error {
				stream, err := client.FullDuplexCall(ctx)
				if err != nil {
					return err
				}
				for i := range 3 {
					// In step: a proxy that reads ahead would lock up here.
					text := fmt.Sprint("message ", i)
					if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: payload(text)}); err != nil {
						return err
					}
					if out, err := stream.Recv(); err != nil || string(out.GetPayload().GetBody()) != text {
						return fmt.Errorf("the client got %v, %w", out, err)
					}
				}
				if err := stream.CloseSend(); err != nil {
					return err
				}
				if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
					return fmt.Errorf("no end: %w", err)
				}
				return nil
			}, "stream", 3,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _, client := newGRPCRig(t)
			if err := test.call(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			response := r.Sink.Of(test.response)
			if response.Attribute("grpcstatus") != "0" {
				t.Errorf("unexpected event: %v", response)
			}
			request := r.Sink.Of("request")
			if test.messages > 0 {
				if got := frames(request.Data()); got != test.messages || request.DataContentType() != "application/grpc" {
					t.Errorf("%d messages of %s", got, request.DataContentType())
				}
			}
			if test.response == "stream" {
				if got := frames(response.Data()); got != 3 || response.DataContentType() != "application/grpc" {
					t.Errorf("%d messages of %s", got, response.DataContentType())
				}
			}
		})
	}
}

func frames(body []byte) int {
	count := 0
	for len(body) >= 5 {
		length := int(body[1])<<24 | int(body[2])<<16 | int(body[3])<<8 | int(body[4])
		if len(body) < 5+length {
			return -1
		}
		body = body[5+length:]
		count++
	}
	return count
}

func TestGRPCErrorGivesFailureEvent(t *testing.T) {
	r, _, client := newGRPCRig(t, "--events=request,response,stream,response.failure")
	_, err := client.UnaryCall(t.Context(), &grpc_testing.SimpleRequest{
		ResponseStatus: &grpc_testing.EchoStatus{Code: int32(codes.NotFound)},
	})
	if status.Code(err) != codes.NotFound || status.Convert(err).Message() != "the model says no" {
		t.Errorf("the client got %v", err)
	}
	event := r.Sink.Of("response.failure")
	if event.Attribute("grpcstatus") != "5" || event.Attribute("statuscode") != "200" {
		t.Errorf("unexpected event: %v, %s", event, base64.StdEncoding.EncodeToString(event.Data()))
	}
}

func TestGRPCDeadlineReachesModel(t *testing.T) {
	r, model, client := newGRPCRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{ResponseSize: -1})
	// Internal where the model's own deadline was the first: net/http resets
	// a stream with no other code.
	if code := status.Code(err); code != codes.DeadlineExceeded && code != codes.Internal {
		t.Errorf("the client got %v", err)
	}
	<-model.canceled
	if counts := r.settled(); counts.Observed != 1 {
		t.Errorf("the ledger says %+v", counts)
	}
}

// TestEarlyGRPCResponseCompletesTheRequest has read every message, so the
// request is complete, although its end never came through.
func TestEarlyGRPCResponseCompletesTheRequest(t *testing.T) {
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 6))
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(w, "\x00\x00\x00\x00\x01n")
		w.Header().Set("Grpc-Status", "0")
	})
	r := newRig(t, agenttest.InFrontOf(model))
	reader, writer := io.Pipe()
	defer writer.Close()
	request, err := http.NewRequest(http.MethodPost, r.URL+"/", reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	go func() { _, _ = io.WriteString(writer, "\x00\x00\x00\x00\x01m") }()
	response, err := agenttest.HTTP2Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if got := string(r.Sink.Of("request").Data()); got != "m" {
		t.Errorf("request data: %q", got)
	}
	if got := string(r.Sink.Of("response").Data()); got != "n" {
		t.Errorf("response data: %q", got)
	}
}
