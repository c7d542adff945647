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

type transformer struct{ name, predictor string }

func newTransformer(name, predictor string) http.Handler {
	t := transformer{name: name, predictor: predictor}
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
	w.Header().Set("X-Transformed", t.name)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}

// numbers writes the instances of text as instances of numbers, and leaves all
// others.
func numbers(body io.Reader) ([]byte, error) {
	var request struct {
		Instances []any `json:"instances"`
	}
	if err := json.NewDecoder(body).Decode(&request); err != nil {
		return nil, err
	}
	for i, instance := range request.Instances {
		text, isText := instance.(string)
		if !isText {
			continue
		}
		values := []float64{}
		for _, field := range strings.Fields(text) {
			value, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		request.Instances[i] = values
	}
	return json.Marshal(request)
}
