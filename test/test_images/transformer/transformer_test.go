/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTransformer(t *testing.T) {
	var got struct{ path, body, requestID string }
	predictor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got.path, got.body, got.requestID = r.URL.Path, string(body), r.Header.Get("X-Request-Id")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, `{"predictions":[0.8]}`)
	}))
	defer predictor.Close()
	handler := newTransformer("m", strings.TrimPrefix(predictor.URL, "http://"))

	request := httptest.NewRequest(http.MethodPost, "/v1/models/m:predict", strings.NewReader(`{"instances": ["1 -2.5", "", [3]]}`))
	request.Header.Set("X-Request-Id", "r-1")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)

	if got.path != "/v1/models/m:predict" || got.body != `{"instances":[[1,-2.5],[],[3]]}` || got.requestID != "r-1" {
		t.Errorf("the predictor got %+v", got)
	}
	if recorder.Code != http.StatusTeapot || recorder.Body.String() != `{"predictions":[0.8]}` || recorder.Header().Get("Content-Type") != "application/json" ||
		recorder.Header().Get("X-Transformed") != "m" {
		t.Errorf("the response is %d %q with the headers %v", recorder.Code, recorder.Body, recorder.Header())
	}
}

func TestTransformerRefusesOtherBodies(t *testing.T) {
	handler := newTransformer("m", "predictor.invalid")
	for _, body := range []string{"", "{", `{"instances": ["1 one"]}`} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/v1/models/m:predict", strings.NewReader(body)))
		if recorder.Code != http.StatusBadRequest {
			t.Errorf("%s: the response is %d %q", body, recorder.Code, recorder.Body)
		}
	}
}
