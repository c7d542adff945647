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
	"strings"
)

// maxBody bounds a request in bytes.
const maxBody = 1 << 20

// passedOn are the headers by which an exchange is known again.
var passedOn = []string{"Content-Type", "X-Request-Id", "Traceparent"}

type transformer struct{ predictor string }

func newTransformer(predictor string) http.Handler {
	t := transformer{predictor: predictor}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/models/{call}", t.predict)
	return mux
}

func (t transformer) predict(w http.ResponseWriter, r *http.Request) {
	body, err := numbers(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, fmt.Sprintf("the body must be like {\"instances\": [\"1 1\", \"-1 -1\"]}: %v", err), http.StatusBadRequest)
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://"+t.predictor+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, name := range passedOn {
		if value := r.Header.Get(name); value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}

// numbers reads instances of text and writes them as instances of numbers.
func numbers(body io.Reader) ([]byte, error) {
	var text struct {
		Instances []string `json:"instances"`
	}
	if err := json.NewDecoder(body).Decode(&text); err != nil {
		return nil, err
	}
	var number struct {
		Instances [][]float64 `json:"instances"`
	}
	for _, instance := range text.Instances {
		var values []float64
		for _, field := range strings.Fields(instance) {
			value, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		number.Instances = append(number.Instances, values)
	}
	return json.Marshal(number)
}
