/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// decodeTensor reads a tensor's raw form: its elements, little-endian, in
// row-major order.
func decodeTensor(datatype string, raw []byte) ([]float64, error) {
	sizes := map[string]int{"FP64": 8, "INT64": 8, "FP32": 4, "INT32": 4}
	size, known := sizes[datatype]
	if !known {
		return nil, fmt.Errorf("datatype %q: write FP64, FP32, INT64 or INT32", datatype)
	}
	if len(raw)%size != 0 {
		return nil, fmt.Errorf("%d bytes are no whole number of %s", len(raw), datatype)
	}
	values := make([]float64, 0, len(raw)/size)
	for ; len(raw) > 0; raw = raw[size:] {
		switch datatype {
		case "FP64":
			values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
		case "INT64":
			values = append(values, float64(int64(binary.LittleEndian.Uint64(raw))))
		case "FP32":
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		case "INT32":
			values = append(values, float64(int32(binary.LittleEndian.Uint32(raw))))
		}
	}
	return values, nil
}

func encodeFP64(values []float64) []byte {
	raw := make([]byte, 0, 8*len(values))
	for _, value := range values {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(value))
	}
	return raw
}

// flatten reads a tensor's JSON form, flat or nested, in row-major order.
func flatten(data json.RawMessage) ([]float64, error) {
	var nested []json.RawMessage
	if json.Unmarshal(data, &nested) != nil {
		var value float64
		if err := json.Unmarshal(data, &value); err != nil {
			return nil, fmt.Errorf("data: numbers, or lists of them: %w", err)
		}
		return []float64{value}, nil
	}
	var values []float64
	for _, element := range nested {
		inner, err := flatten(element)
		if err != nil {
			return nil, err
		}
		values = append(values, inner...)
	}
	return values, nil
}

// rows cuts a tensor's values into instances by its shape, [instances, features].
func rows(values []float64, shape []int64) ([][]float64, error) {
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > int64(len(values)) ||
		shape[1] != int64(len(values))/shape[0] || shape[0]*shape[1] != int64(len(values)) {
		return nil, fmt.Errorf("shape %v does not fit %d values: write [instances, features]", shape, len(values))
	}
	instances := make([][]float64, shape[0])
	for i := range instances {
		instances[i] = values[int64(i)*shape[1]:][:shape[1]]
	}
	return instances, nil
}
