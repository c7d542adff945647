/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// otherCoding is a coding of gRPC messages that no agent knows.
type otherCoding struct{}

func init() { encoding.RegisterCompressor(otherCoding{}) }

func (otherCoding) Name() string { return "other" }

func (otherCoding) Compress(w io.Writer) (io.WriteCloser, error) {
	_, err := io.WriteString(w, "other:")
	return openEnded{w}, err
}

func (otherCoding) Decompress(r io.Reader) (io.Reader, error) {
	_, err := io.ReadFull(r, make([]byte, len("other:")))
	return r, err
}

type openEnded struct{ io.Writer }

func (openEnded) Close() error { return nil }

func addGRPC(t *testing.T, outcomes map[string]*outcome) {
	t.Helper()
	marshal := func(message proto.Message) string {
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	// compressed frames a message as gRPC does in a coding.
	compressed := func(coding string, message proto.Message) string {
		var buffer bytes.Buffer
		w, err := encoding.GetCompressor(coding).Compress(&buffer)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, marshal(message))
		_ = w.Close()
		return framed(1, buffer.String())
	}
	// messages is what flows where each message is framed by itself.
	messages := func(all ...proto.Message) sample {
		s := sample{contentType: "application/grpc"}
		for _, message := range all {
			s.plain = marshal(message)
			s.wire += framed(0, s.plain)
		}
		s.part = s.wire
		return s
	}
	responded := func(s sample, status codes.Code) sample {
		s.attributes = map[string]string{"statuscode": "200", "grpcstatus": strconv.Itoa(int(status))}
		return s
	}
	in, out := &grpc_testing.SimpleRequest{Payload: payload("in")}, &grpc_testing.SimpleResponse{Payload: payload("in")}
	refused := &grpc_testing.SimpleRequest{ResponseStatus: &grpc_testing.EchoStatus{Code: int32(codes.NotFound)}}
	large := &grpc_testing.SimpleRequest{Payload: payload(strings.Repeat("x", contractCap+1))}
	unary := func(in *grpc_testing.SimpleRequest, want codes.Code, options ...grpc.CallOption) func(*testing.T, *outcome, *stage, *http.Client) {
		return func(t *testing.T, _ *outcome, s *stage, _ *http.Client) {
			if _, err := s.calls.UnaryCall(t.Context(), in, options...); status.Code(err) != want {
				t.Errorf("the client got %v", err)
			}
		}
	}
	outcomes["gRPC: unary"] = &outcome{
		request: messages(in), response: responded(messages(out), codes.OK), client: unary(in, codes.OK), scene: grpcServer,
	}
	outcomes["gRPC: unary, empty messages"] = &outcome{
		client: unary(&grpc_testing.SimpleRequest{}, codes.OK), scene: grpcServer,
	}
	inGzip := func(s sample) sample {
		s.attributes = map[string]string{"contentencoding": "gzip"}
		return s
	}
	outcomes["gRPC: unary, messages in gzip"] = &outcome{
		request: inGzip(messages(in)), response: inGzip(messages(out)), client: unary(in, codes.OK, grpc.UseCompressor(grpcgzip.Name)), scene: grpcServer,
	}
	outcomes["gRPC: unary, messages in another coding"] = &outcome{
		request:  sample{contentType: "application/grpc", wire: compressed("other", in)},
		response: sample{contentType: "application/grpc", wire: compressed("other", out)},
		client:   unary(in, codes.OK, grpc.UseCompressor("other")), scene: grpcServer,
	}
	outcomes["gRPC: unary, over the cap"] = &outcome{
		request: messages(large), response: messages(large), client: unary(large, codes.OK), scene: grpcServer,
	}
	outcomes["gRPC: unary, an error"] = &outcome{
		request: messages(refused), response: responded(messages(), codes.NotFound), client: unary(refused, codes.NotFound), scene: grpcServer,
	}

	// Of a plain model, for a gRPC server neither hangs nor breaks off.
	outcomes["gRPC: unary, aborted by the client"] = &outcome{request: messages(in), response: noResponse}
	invokeAndLeave(outcomes["gRPC: unary, aborted by the client"], in)
	outcomes["gRPC: unary, aborted by the model"] = &outcome{request: messages(in), response: noResponse}
	outcomes["gRPC: server streaming, aborted by the model"] = &outcome{request: messages(in), response: messages(out)}
	for _, name := range []string{"gRPC: unary, aborted by the model", "gRPC: server streaming, aborted by the model"} {
		o := outcomes[name]
		abort(o)
		o.client = func(t *testing.T, o *outcome, s *stage, _ *http.Client) {
			stream, err := s.connection.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, o.path)
			if err == nil {
				err = errors.Join(stream.SendMsg(in), stream.CloseSend())
			}
			for err == nil {
				err = stream.RecvMsg(new(grpc_testing.SimpleResponse))
			}
			if errors.Is(err, io.EOF) {
				t.Error("the client saw no abort")
			}
		}
	}

	response := &grpc_testing.StreamingOutputCallResponse{Payload: payload("a")}
	serverStream := func(n int, want codes.Code) *outcome {
		in := &grpc_testing.StreamingOutputCallRequest{
			Payload: payload("a"), ResponseParameters: make([]*grpc_testing.ResponseParameters, n),
			ResponseStatus: &grpc_testing.EchoStatus{Code: int32(want)},
		}
		for i := range in.ResponseParameters {
			in.ResponseParameters[i] = new(grpc_testing.ResponseParameters)
		}
		var responses []proto.Message
		for range n {
			responses = append(responses, response)
		}
		return &outcome{
			request: messages(in), response: responded(messages(responses...), want), scene: grpcServer,
			client: func(t *testing.T, _ *outcome, s *stage, _ *http.Client) {
				stream, err := s.calls.StreamingOutputCall(t.Context(), in)
				for err == nil {
					_, err = stream.Recv()
				}
				if errors.Is(err, io.EOF) {
					err = nil
				}
				if status.Code(err) != want {
					t.Errorf("the client got %v", err)
				}
			},
		}
	}
	outcomes["gRPC: server streaming"] = serverStream(3, codes.OK)
	outcomes["gRPC: server streaming, no messages"] = serverStream(0, codes.OK)
	outcomes["gRPC: server streaming, an error after one message"] = serverStream(1, codes.Aborted)
	outcomes["gRPC: server streaming, an error after several"] = serverStream(2, codes.Aborted)

	part := &grpc_testing.StreamingInputCallRequest{Payload: payload("abc")}
	clientStream := func(options ...grpc.CallOption) func(*testing.T, *outcome, *stage, *http.Client) {
		return func(t *testing.T, _ *outcome, s *stage, _ *http.Client) {
			stream, err := s.calls.StreamingInputCall(t.Context(), options...)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(stream.Send(part), stream.Send(part)); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.CloseAndRecv(); err != nil {
				t.Error(err)
			}
		}
	}
	sum := &grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: 6}
	outcomes["gRPC: client streaming"] = &outcome{
		request: messages(part, part), response: messages(sum), client: clientStream(), scene: grpcServer,
	}
	twice := compressed("gzip", part)
	outcomes["gRPC: client streaming, messages in gzip"] = &outcome{
		request: inGzip(sample{contentType: "application/grpc", wire: twice + twice}), response: inGzip(messages(sum)),
		client: clientStream(grpc.UseCompressor(grpcgzip.Name)), scene: grpcServer,
	}

	asked := &grpc_testing.StreamingOutputCallRequest{Payload: payload("a")}
	bothStream := func(finish bool) *outcome {
		return &outcome{
			request: messages(asked, asked), response: messages(response, response), scene: grpcServer,
			client: func(t *testing.T, _ *outcome, s *stage, _ *http.Client) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stream, err := s.calls.FullDuplexCall(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if err := stream.Send(asked); err != nil {
						t.Fatal(err)
					}
					if _, err := stream.Recv(); err != nil {
						t.Fatal(err)
					}
				}
				if !finish {
					return
				}
				if err := stream.CloseSend(); err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
					t.Errorf("no end: %v", err)
				}
			},
		}
	}
	outcomes["gRPC: bidirectional streaming"] = bothStream(true)
	outcomes["gRPC: bidirectional streaming, aborted by the client"] = bothStream(false)
	outcomes["gRPC: a health check"] = &outcome{client: func(t *testing.T, _ *outcome, s *stage, _ *http.Client) {
		if err := s.connection.Invoke(t.Context(), "/grpc.health.v1.Health/Check", in, new(grpc_testing.SimpleResponse)); err == nil {
			t.Error("the plain model responded")
		}
	}}
}

// invokeAndLeave is a gRPC client that goes away while the model thinks.
func invokeAndLeave(o *outcome, in proto.Message) {
	arrived := make(chan struct{})
	o.model = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	}
	o.client = func(t *testing.T, o *outcome, s *stage, _ *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		if err := s.connection.Invoke(ctx, o.path, in, new(grpc_testing.SimpleResponse)); status.Code(err) != codes.Canceled {
			t.Errorf("the client got %v", err)
		}
	}
}

func framed(flag byte, message string) string {
	n := len(message)
	return string([]byte{flag, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + message
}
