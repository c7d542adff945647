/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/openinference"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// ServerSentEvents tests that a stream passes message by message, and gives one
// event with all of it.
func ServerSentEvents() *feature.Feature {
	const service, all = "stories", "every-event"
	const pause = 2 * time.Second
	f := feature.NewFeatureNamed("server-sent events")
	addBroker(f)
	addSubscriber(f, all)
	addService(f, service)
	f.Assert("each message passes as it comes, and the stream gives one event", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		model, err := modelURL(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		requestID := newRequestID()
		response, err := open(ctx, ingress.NewHTTPClient(), model, "/v2/models/m/generate_stream", `{"text_input": "once upon a"}`,
			map[string]string{requestIDHeader: requestID, "X-Model-Delay": pause.String()})
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := expect("Content-Type", response.Header.Get("Content-Type"), "text/event-stream"); err != nil {
			t.Error(err)
		}
		var (
			streamed strings.Builder
			arrivals []time.Time
		)
		lines := bufio.NewScanner(io.TeeReader(response.Body, &streamed))
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") {
				arrivals = append(arrivals, time.Now())
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		if len(arrivals) != 3 {
			t.Fatalf("%d messages came: %q", len(arrivals), streamed.String())
		}
		// The model pauses twice. A stream that something holds back until its
		// end arrives all at once.
		if spread := arrivals[2].Sub(arrivals[0]); spread < pause {
			t.Errorf("the messages came within %v, though the model pauses %v before each", spread, pause)
		}
		awaitTypes(ctx, t, all, requestID, []string{requestType, streamType})
		event := subscriber.Events(ctx, all, ofExchange(requestID), subscriber.WithType(streamType))[0]
		if err := errors.Join(
			expect("the stream event's data", string(event.Data()), streamed.String()),
			expect("its datacontenttype", event.DataContentType(), "text/event-stream"),
		); err != nil {
			t.Error(err)
		}
	})
	return f
}

// GRPC tests that unary and streaming calls of a real client pass, with status,
// messages and trailers, and give events with the bare messages.
func GRPC() *feature.Feature {
	const service, all = "calls", "every-event"
	const method = "/inference.GRPCInferenceService/ModelInfer"
	f := feature.NewFeatureNamed("gRPC")
	// Structured mode, without a Broker, which would make it binary again: of
	// an event in binary mode eventshub keeps the data as text, and so loses the
	// bytes of a protobuf message that aren't UTF-8.
	addDirectService(f, service, all, map[string]any{"contentMode": "structured"}, inferenceservice.WithH2C())
	f.Assert("calls pass, and their events carry the messages", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		calls := openCalls(ctx, t, service)
		defer calls.close()

		requestID := newRequestID()
		call := documentedCall()
		var trailer metadata.MD
		reply, err := calls.client.ModelInfer(
			metadata.AppendToOutgoingContext(ctx, requestIDHeader, requestID, "X-Model-Trailer", "x-cost=3"), call, grpc.Trailer(&trailer))
		if err != nil {
			t.Fatal(err)
		}
		checkResponse(t, reply)
		if !slices.Equal(trailer.Get("x-cost"), []string{"3"}) {
			t.Errorf("the trailers are %v", trailer)
		}

		awaitTypes(ctx, t, all, requestID, []string{requestType, responseType})
		request := subscriber.Events(ctx, all, ofExchange(requestID), subscriber.WithType(requestType))[0]
		response := subscriber.Events(ctx, all, ofExchange(requestID), subscriber.WithType(responseType))[0]
		gotCall, gotResponse := new(openinference.ModelInferRequest), new(openinference.ModelInferResponse)
		if err := errors.Join(
			proto.Unmarshal(request.Data(), gotCall),
			proto.Unmarshal(response.Data(), gotResponse),
			expect("the request event carries the call", proto.Equal(gotCall, call), true),
			expect("the response event carries the response", proto.Equal(gotResponse, reply), true),
			expect("datacontenttype", response.DataContentType(), "application/protobuf"),
			expect("subject", response.Subject(), method),
			expect("grpcstatus", subscriber.Attribute(response, "grpcstatus"), "0"),
		); err != nil {
			t.Error(err)
		}
	})
	f.Assert("a status of the model's passes", func(ctx context.Context, t feature.T) {
		calls := openCalls(ctx, t, service)
		defer calls.close()
		_, err := calls.client.ModelInfer(
			metadata.AppendToOutgoingContext(ctx, "X-Model-Status", "8"), documentedCall())
		if err := expect("the code", status.Code(err), codes.ResourceExhausted); err != nil {
			t.Error(err)
		}
	})
	f.Assert("a stream passes message by message in both directions", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		calls := openCalls(ctx, t, service)
		defer calls.close()
		requestID := newRequestID()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		stream := calls.stream(ctx, t, requestID)
		// Each response is awaited before the next request is sent, so nothing
		// between client and model may wait for a stream's end.
		for range 3 {
			stream.exchange(t)
		}
		stream.end(t)
		awaitTypes(ctx, t, all, requestID, []string{streamType})
	})
	return f
}

func documentedCall() *openinference.ModelInferRequest {
	return &openinference.ModelInferRequest{
		ModelName: "m",
		Inputs: []*openinference.ModelInferRequest_InferInputTensor{{
			Name: "instances", Datatype: "FP64", Shape: []int64{2, 2},
			Contents: &openinference.InferTensorContents{Fp64Contents: []float64{1, 1, -1, -1}},
		}},
	}
}

func checkResponse(t feature.T, response *openinference.ModelInferResponse) {
	if len(response.GetOutputs()) != 1 || !slices.Equal(response.GetOutputs()[0].GetContents().GetFp64Contents(), []float64{0.8, 0.2}) {
		t.Errorf("the model responded with %v", response)
	}
}
