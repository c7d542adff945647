/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"io"
	"net/http"
)

// Prediction is the response of Predictor.
const Prediction = `{"predictions":[0.8,0.2]}`

// Predictor is a model that responds to every request with Prediction.
func Predictor() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, Prediction)
	})
}
