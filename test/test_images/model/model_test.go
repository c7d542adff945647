/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sidenote-dev/sidenote/test/openinference"
)

// start serves a loaded model on loopback.
func start(t *testing.T) (*model, *httptest.Server) {
	t.Helper()
	m := newModel(slog.New(slog.DiscardHandler))
	m.load()
	server := httptest.NewUnstartedServer(m)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return m, server
}

func post(t *testing.T, url, body string, headers ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func read(t *testing.T, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const documented = `{"instances": [[1, 1], [-1, -1]]}`

func TestREST(t *testing.T) {
	_, server := start(t)
	for name, test := range map[string]struct {
		path, body string
		status     int
		want       string
	}{
		"V1 predicts the documented instances": {
			"/v1/models/m:predict", documented, 200, `{"predictions":[0.8,0.2]}`,
		},
		"V1 predicts other instances by the same weights": {
			"/v1/models/m:predict", `{"instances": [[0], [2, 1], [0.5, -0.5]]}`, 200, `{"predictions":[0.5,0.8888888888888888,0.5]}`,
		},
		"V1 refuses a body that is no list of numbers": {
			"/v1/models/m:predict", `{"instances": "x"}`, 400, `the body must be like`,
		},
		"V1 has no other verb": {
			"/v1/models/m:explain", documented, 404, `:predict`,
		},
		"V2 predicts from flat JSON": {
			"/v2/models/m/infer", `{"id": "7", "inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [1, 1, -1, -1]}]}`, 200,
			`{"model_name":"m","id":"7","outputs":[{"name":"predictions","datatype":"FP64","shape":[2],"data":[0.8,0.2]}]}`,
		},
		"V2 predicts from nested JSON": {
			"/v2/models/m/infer", `{"inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [[1, 1], [-1, -1]]}]}`, 200,
			`"data":[0.8,0.2]`,
		},
		"V2 refuses a shape that does not fit": {
			"/v2/models/m/infer", `{"inputs": [{"name": "x", "datatype": "FP64", "shape": [3, 2], "data": [1, 1]}]}`, 400, `does not fit`,
		},
		"V2 refuses a request without a tensor": {
			"/v2/models/m/infer", `{}`, 400, `at least one tensor`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			response := post(t, server.URL+test.path, test.body)
			body := read(t, response)
			if response.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("responded with %d %s, want %d with %s", response.StatusCode, body, test.status, test.want)
			}
		})
	}
}

func TestBinaryTensors(t *testing.T) {
	_, server := start(t)
	raw := string(encodeFP64([]float64{1, 1, -1, -1}))
	head := `{"inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 2], "parameters": {"binary_data_size": 32}}],
		"outputs": [{"name": "predictions", "parameters": {"binary_data": true}}]}`
	response := post(t, server.URL+"/v2/models/m/infer", head+raw, jsonLengthHeader, strconv.Itoa(len(head)))
	body := read(t, response)
	length, err := strconv.Atoi(response.Header.Get(jsonLengthHeader))
	if err != nil || length > len(body) {
		t.Fatalf("responded with %d %q with %v", response.StatusCode, body, response.Header)
	}
	predictions, err := decodeTensor("FP64", []byte(body[length:]))
	if err != nil || !slices.Equal(predictions, []float64{0.8, 0.2}) {
		t.Errorf("predicted %v, %v", predictions, err)
	}

	response = post(t, server.URL+"/v2/models/m/infer", head+raw[:16], jsonLengthHeader, strconv.Itoa(len(head)))
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("a tensor that is cut got %d", response.StatusCode)
	}
}

func TestLoading(t *testing.T) {
	m, server := start(t)
	m.loaded.Store(false)
	for path, want := range map[string]int{"/v2/health/live": 200, "/v2/health/ready": 503, "/v1/models/m": 503} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s responded with %d while loading, want %d", path, response.StatusCode, want)
		}
	}
}

func TestWishes(t *testing.T) {
	_, server := start(t)
	predict := server.URL + "/v1/models/m:predict"

	t.Run("a status", func(t *testing.T) {
		if response := post(t, predict, documented, "X-Model-Status", "503"); response.StatusCode != 503 {
			t.Errorf("responded with %d", response.StatusCode)
		}
	})
	t.Run("an abort", func(t *testing.T) {
		response := post(t, predict, documented, "X-Model-Abort", "5")
		body, err := io.ReadAll(response.Body)
		if string(body) != `{"pre` || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("read %q, %v", body, err)
		}
	})
	t.Run("a trailer", func(t *testing.T) {
		response := post(t, predict, documented, "X-Model-Trailer", "X-Checksum=abc")
		read(t, response)
		if got := response.Trailer.Get("X-Checksum"); got != "abc" {
			t.Errorf("trailers %v", response.Trailer)
		}
	})
	t.Run("an echo", func(t *testing.T) {
		response := post(t, server.URL+"/any/path", "bytes", "X-Model-Echo", "true", "Content-Type", "text/x")
		if body := read(t, response); body != "bytes" || response.Header.Get("Content-Type") != "text/x" {
			t.Errorf("responded with %q as %q", body, response.Header.Get("Content-Type"))
		}
	})
	t.Run("an unreadable delay", func(t *testing.T) {
		if response := post(t, predict, documented, "X-Model-Delay", "soon"); response.StatusCode != 400 {
			t.Errorf("responded with %d", response.StatusCode)
		}
	})
}

func TestCloudEventGetsACloudEvent(t *testing.T) {
	_, server := start(t)
	response := post(t, server.URL+"/v1/models/m:predict", documented, "Ce-Specversion", "1.0", "Ce-Id", "1")
	if response.Header.Get("Ce-Type") != predictionEventType || response.Header.Get("Ce-Id") == "" {
		t.Errorf("headers %v", response.Header)
	}
}

func TestGenerateStreamSendsEachWordAsItComes(t *testing.T) {
	_, server := start(t)
	response := post(t, server.URL+"/v2/models/m/generate_stream", `{"text_input": "one two"}`)
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	var words []string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		var message struct {
			TextOutput string `json:"text_output"`
		}
		if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
			if err := json.Unmarshal([]byte(data), &message); err != nil {
				t.Fatal(err)
			}
			words = append(words, message.TextOutput)
		}
	}
	if !slices.Equal(words, []string{"one", "two"}) {
		t.Errorf("streamed %q", words)
	}
}

func dial(t *testing.T, server *httptest.Server) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(server.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

func documentedCall() *openinference.ModelInferRequest {
	return &openinference.ModelInferRequest{
		ModelName: "m",
		Inputs: []*openinference.ModelInferRequest_InferInputTensor{{
			Name: "x", Datatype: "FP64", Shape: []int64{2, 2},
			Contents: &openinference.InferTensorContents{Fp64Contents: []float64{1, 1, -1, -1}},
		}},
	}
}

func TestGRPC(t *testing.T) {
	_, server := start(t)
	connection := dial(t, server)
	client := openinference.NewGRPCInferenceServiceClient(connection)
	want := []float64{0.8, 0.2}

	t.Run("predicts", func(t *testing.T) {
		response, err := client.ModelInfer(t.Context(), documentedCall())
		if got := response.GetOutputs()[0].GetContents().GetFp64Contents(); err != nil || !slices.Equal(got, want) {
			t.Errorf("predicted %v, %v", got, err)
		}
	})
	t.Run("responds to raw contents with raw ones", func(t *testing.T) {
		call := documentedCall()
		call.Inputs[0].Contents = nil
		call.RawInputContents = [][]byte{encodeFP64([]float64{1, 1, -1, -1})}
		response, err := client.ModelInfer(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeTensor("FP64", response.GetRawOutputContents()[0]); err != nil || !slices.Equal(got, want) {
			t.Errorf("predicted %v, %v", got, err)
		}
	})
	t.Run("responds to a stream message by message", func(t *testing.T) {
		stream, err := client.ModelStreamInfer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := stream.Send(documentedCall()); err != nil {
				t.Fatal(err)
			}
			response, err := stream.Recv()
			if got := response.GetInferResponse().GetOutputs()[0].GetContents().GetFp64Contents(); err != nil || !slices.Equal(got, want) {
				t.Errorf("predicted %v, %v", got, err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("the stream ended with %v", err)
		}
	})
	t.Run("gives the code and the trailer asked for", func(t *testing.T) {
		var trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), "X-Model-Status", "8", "X-Model-Trailer", "x-cost=3")
		_, err := client.ModelInfer(ctx, documentedCall(), grpc.Trailer(&trailer))
		if status.Code(err) != codes.ResourceExhausted || !slices.Equal(trailer.Get("x-cost"), []string{"3"}) {
			t.Errorf("ended with %v and %v", err, trailer)
		}
	})
	t.Run("breaks off", func(t *testing.T) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "X-Model-Abort", "3")
		if _, err := client.ModelInfer(ctx, documentedCall()); err == nil {
			t.Error("the call succeeded")
		}
		if _, err := client.ModelInfer(t.Context(), documentedCall()); err != nil {
			t.Errorf("the next call failed: %v", err)
		}
	})
	t.Run("says that it serves", func(t *testing.T) {
		response, err := healthpb.NewHealthClient(connection).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || response.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("said %v, %v", response.GetStatus(), err)
		}
	})
}

func TestAWebSocketGivesEachMessageBack(t *testing.T) {
	_, server := start(t)
	connection, err := websocket.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/echo", "", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for _, message := range []string{"hello", "again"} {
		var response string
		if err := errors.Join(websocket.Message.Send(connection, message), websocket.Message.Receive(connection, &response)); err != nil {
			t.Fatal(err)
		}
		if response != message {
			t.Errorf("%q came back as %q", message, response)
		}
	}
}

func TestTheServerEndsWithItsContext(t *testing.T) {
	t.Setenv("PORT", "0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

// TestScript tests that a request can dictate the response.
func TestScript(t *testing.T) {
	_, server := start(t)
	response := post(t, server.URL+"/any", "ignored",
		"X-Model-Body", "aGVsbG8=", "X-Model-Header", "Content-Encoding=other", "X-Model-Status", "207", "X-Model-Trailer", "Cost=3")
	if body := read(t, response); response.StatusCode != http.StatusMultiStatus || body != "hello" {
		t.Errorf("%s with %q", response.Status, body)
	}
	if response.Header.Get("Content-Encoding") != "other" || response.Header.Get("Content-Type") != "" || response.Trailer.Get("Cost") != "3" {
		t.Errorf("the head is %v, the trailer %v", response.Header, response.Trailer)
	}
	response = post(t, server.URL+"/any", "ignored", "X-Model-Body", "aGVsbG8=", "X-Model-Abort", "body")
	if body, err := io.ReadAll(response.Body); err == nil || string(body) != "hello" {
		t.Errorf("a response that breaks off ended with %q, %v", body, err)
	}
	if response := post(t, server.URL+"/any", "", "X-Model-Body", "!"); response.StatusCode != http.StatusBadRequest {
		t.Errorf("a script that can't be read gives %s", response.Status)
	}
}
