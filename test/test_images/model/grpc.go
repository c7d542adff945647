/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sidenote-dev/sidenote/test/openinference"
)

type inferenceService struct {
	openinference.UnimplementedGRPCInferenceServiceServer
	model *model
}

func (s *inferenceService) ServerLive(context.Context, *openinference.ServerLiveRequest) (*openinference.ServerLiveResponse, error) {
	return &openinference.ServerLiveResponse{Live: true}, nil
}

func (s *inferenceService) ServerReady(context.Context, *openinference.ServerReadyRequest) (*openinference.ServerReadyResponse, error) {
	return &openinference.ServerReadyResponse{Ready: s.model.loaded.Load()}, nil
}

func (s *inferenceService) ServerMetadata(context.Context, *openinference.ServerMetadataRequest) (*openinference.ServerMetadataResponse, error) {
	return &openinference.ServerMetadataResponse{Name: "sidenote-test-model", Version: "1"}, nil
}

func (s *inferenceService) ModelReady(context.Context, *openinference.ModelReadyRequest) (*openinference.ModelReadyResponse, error) {
	return &openinference.ModelReadyResponse{Ready: s.model.loaded.Load()}, nil
}

func (s *inferenceService) ModelMetadata(_ context.Context, request *openinference.ModelMetadataRequest) (*openinference.ModelMetadataResponse, error) {
	return &openinference.ModelMetadataResponse{
		Name:     request.GetName(),
		Versions: []string{"1"},
		Platform: "go",
		Inputs:   []*openinference.ModelMetadataResponse_TensorMetadata{{Name: inputName, Datatype: outputType, Shape: []int64{-1, -1}}},
		Outputs:  []*openinference.ModelMetadataResponse_TensorMetadata{{Name: outputName, Datatype: outputType, Shape: []int64{-1}}},
	}, nil
}

func (s *inferenceService) ModelInfer(_ context.Context, request *openinference.ModelInferRequest) (*openinference.ModelInferResponse, error) {
	return infer(request)
}

// ModelStreamInfer responds to each request of the stream as it comes.
func (s *inferenceService) ModelStreamInfer(stream grpc.BidiStreamingServer[openinference.ModelInferRequest, openinference.ModelStreamInferResponse]) error {
	asked, err := wishesOf(stream.Context())
	if err != nil {
		return err
	}
	for responded := 0; ; responded++ {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if responded > 0 && !sleep(stream.Context(), asked.delay) {
			return stream.Context().Err()
		}
		response, err := infer(request)
		reply := &openinference.ModelStreamInferResponse{InferResponse: response}
		if err != nil {
			reply.ErrorMessage = status.Convert(err).Message()
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
}

// infer responds in the form that the request has: raw contents by raw ones.
func infer(request *openinference.ModelInferRequest) (*openinference.ModelInferResponse, error) {
	if len(request.GetInputs()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "inputs: at least one tensor is needed")
	}
	input := request.GetInputs()[0]
	raw := len(request.GetRawInputContents()) > 0
	values, err := contents(input.GetContents()), error(nil)
	if raw {
		values, err = decodeTensor(input.GetDatatype(), request.GetRawInputContents()[0])
	}
	var instances [][]float64
	if err == nil {
		instances, err = rows(values, input.GetShape())
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	predictions := predict(instances)
	output := &openinference.ModelInferResponse_InferOutputTensor{
		Name: outputName, Datatype: outputType, Shape: []int64{int64(len(predictions))},
	}
	response := &openinference.ModelInferResponse{
		ModelName: request.GetModelName(),
		Id:        request.GetId(),
		Outputs:   []*openinference.ModelInferResponse_InferOutputTensor{output},
	}
	if raw {
		response.RawOutputContents = [][]byte{encodeFP64(predictions)}
	} else {
		output.Contents = &openinference.InferTensorContents{Fp64Contents: predictions}
	}
	return response, nil
}

func contents(typed *openinference.InferTensorContents) []float64 {
	values := append([]float64(nil), typed.GetFp64Contents()...)
	for _, value := range typed.GetFp32Contents() {
		values = append(values, float64(value))
	}
	for _, value := range typed.GetInt64Contents() {
		values = append(values, float64(value))
	}
	for _, value := range typed.GetIntContents() {
		values = append(values, float64(value))
	}
	return values
}

func (m *model) interceptUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	trailer := func(md metadata.MD) error { return grpc.SetTrailer(ctx, md) }
	if err := m.prepareCall(ctx, info.FullMethod, trailer); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (m *model) interceptStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	trailer := func(md metadata.MD) error { stream.SetTrailer(md); return nil }
	if err := m.prepareCall(stream.Context(), info.FullMethod, trailer); err != nil {
		return err
	}
	return handler(service, stream)
}

// prepareCall does what a call's metadata asks for before its handler runs.
func (m *model) prepareCall(ctx context.Context, method string, setTrailer func(metadata.MD) error) error {
	if strings.HasPrefix(method, "/grpc.health.v1.") {
		return nil
	}
	if !m.loaded.Load() {
		return status.Error(codes.Unavailable, "the model is loading")
	}
	asked, err := wishesOf(ctx)
	if err != nil {
		return err
	}
	if !sleep(ctx, asked.delay) {
		return ctx.Err()
	}
	if asked.trailerName != "" {
		if err := setTrailer(metadata.Pairs(asked.trailerName, asked.trailerValue)); err != nil {
			return err
		}
	}
	if asked.status != 0 {
		return status.Error(codes.Code(asked.status), fmt.Sprintf("code %d was asked for", asked.status))
	}
	return nil
}

func wishesOf(ctx context.Context) (wishes, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	asked, err := readWishes(func(header string) string {
		if values := md.Get(header); len(values) > 0 {
			return values[0]
		}
		return ""
	})
	if err != nil {
		return wishes{}, status.Error(codes.InvalidArgument, err.Error())
	}
	return asked, nil
}
