/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

const (
	// jsonLengthHeader says how many bytes of a V2 body are JSON, where binary
	// tensors follow.
	jsonLengthHeader = "Inference-Header-Content-Length"

	inputName  = "instances"
	outputName = "predictions"
	outputType = "FP64"
)

type inferRequest struct {
	ID         string          `json:"id,omitempty"`
	Inputs     []requestTensor `json:"inputs"`
	Outputs    []requestOutput `json:"outputs,omitempty"`
	Parameters struct {
		BinaryDataOutput bool `json:"binary_data_output,omitempty"`
	} `json:"parameters,omitzero"`
}

type requestTensor struct {
	Name       string  `json:"name"`
	Datatype   string  `json:"datatype"`
	Shape      []int64 `json:"shape"`
	Parameters struct {
		BinaryDataSize int `json:"binary_data_size,omitempty"`
	} `json:"parameters,omitzero"`
	Data json.RawMessage `json:"data,omitempty"`
}

type requestOutput struct {
	Name       string `json:"name"`
	Parameters struct {
		BinaryData bool `json:"binary_data,omitempty"`
	} `json:"parameters,omitzero"`
}

type inferResponse struct {
	ModelName string           `json:"model_name"`
	ID        string           `json:"id,omitempty"`
	Outputs   []responseTensor `json:"outputs"`
}

type responseTensor struct {
	Name       string         `json:"name"`
	Datatype   string         `json:"datatype"`
	Shape      []int64        `json:"shape"`
	Parameters map[string]int `json:"parameters,omitempty"`
	Data       []float64      `json:"data,omitempty"`
}

func (m *model) v2ServerMetadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"name": "sidenote-test-model", "version": "1", "extensions": []string{"binary_tensor_data"}})
}

func (m *model) v2Metadata(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, map[string]any{
		"name":     r.PathValue("name"),
		"versions": []string{"1"},
		"platform": "go",
		"inputs":   []map[string]any{{"name": inputName, "datatype": outputType, "shape": []int64{-1, -1}}},
		"outputs":  []map[string]any{{"name": outputName, "datatype": outputType, "shape": []int64{-1}}},
	})
}

// v2Infer takes the first input as the instances, a tensor of two dimensions,
// as JSON or as bytes behind the JSON, and responds in the form asked for.
func (m *model) v2Infer(w http.ResponseWriter, r *http.Request) {
	request, instances, err := readInferRequest(r)
	if err != nil {
		writeError(w, http.StatusBadRequest, "%v", err)
		return
	}
	predictions := predict(instances)
	response := inferResponse{ModelName: r.PathValue("name"), ID: request.ID}
	output := responseTensor{Name: outputName, Datatype: outputType, Shape: []int64{int64(len(predictions))}}

	binary := request.Parameters.BinaryDataOutput
	for _, asked := range request.Outputs {
		binary = binary || asked.Parameters.BinaryData
	}
	if !binary {
		output.Data = predictions
		response.Outputs = []responseTensor{output}
		writeJSON(w, response)
		return
	}
	raw := encodeFP64(predictions)
	output.Parameters = map[string]int{"binary_data_size": len(raw)}
	response.Outputs = []responseTensor{output}
	head, err := json.Marshal(response)
	if err != nil {
		writeError(w, http.StatusInternalServerError, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(jsonLengthHeader, strconv.Itoa(len(head)))
	_, _ = w.Write(append(head, raw...))
}

func readInferRequest(r *http.Request) (*inferRequest, [][]float64, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, nil, err
	}
	head, raw := body, []byte(nil)
	if value := r.Header.Get(jsonLengthHeader); value != "" {
		length, err := strconv.Atoi(value)
		if err != nil || length < 0 || length > len(body) {
			return nil, nil, fmt.Errorf("%s: %q does not fit a body of %d bytes", jsonLengthHeader, value, len(body))
		}
		head, raw = body[:length], body[length:]
	}
	request := new(inferRequest)
	if err := json.NewDecoder(bytes.NewReader(head)).Decode(request); err != nil {
		return nil, nil, err
	}
	if len(request.Inputs) == 0 {
		return nil, nil, fmt.Errorf("inputs: at least one tensor is needed")
	}
	input := request.Inputs[0]
	var values []float64
	if size := input.Parameters.BinaryDataSize; size > 0 {
		if size > len(raw) {
			return nil, nil, fmt.Errorf("binary_data_size: %d bytes named, %d there", size, len(raw))
		}
		values, err = decodeTensor(input.Datatype, raw[:size])
	} else {
		values, err = flatten(input.Data)
	}
	if err != nil {
		return nil, nil, err
	}
	instances, err := rows(values, input.Shape)
	return request, instances, err
}
