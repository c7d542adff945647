/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// predictionEventType is the type of the CloudEvent that responds to a CloudEvent.
const predictionEventType = "dev.sidenote.test.prediction"

func (m *model) v1Metadata(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, map[string]any{"name": r.PathValue("name"), "ready": true})
}

// v1Predict responds to {"instances": [[…], …]} by {"predictions": […]}.
func (m *model) v1Predict(w http.ResponseWriter, r *http.Request) {
	name, verb, _ := strings.Cut(r.PathValue("call"), ":")
	if verb != "predict" {
		writeError(w, http.StatusNotFound, "post to /v1/models/%s:predict", name)
		return
	}
	var request struct {
		Instances [][]float64 `json:"instances"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		writeError(w, http.StatusBadRequest, "the body must be like {\"instances\": [[1, 1], [-1, -1]]}: %v", err)
		return
	}
	if r.Header.Get("Ce-Specversion") != "" {
		w.Header().Set("Ce-Specversion", "1.0")
		w.Header().Set("Ce-Id", uuid.NewString())
		w.Header().Set("Ce-Type", predictionEventType)
		w.Header().Set("Ce-Source", fmt.Sprintf("/v1/models/%s", name))
	}
	writeJSON(w, map[string][]float64{"predictions": predict(request.Instances)})
}
