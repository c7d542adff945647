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
)

// generateStream responds to {"text_input": "…"} by a server-sent event for each
// of its words, so that a stream has as many messages as its client asks for.
func (m *model) generateStream(w http.ResponseWriter, r *http.Request) {
	var request struct {
		TextInput string `json:"text_input"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		writeError(w, http.StatusBadRequest, "the body must be like {\"text_input\": \"one two three\"}: %v", err)
		return
	}
	asked, err := readWishes(r.Header.Get)
	if err != nil {
		writeError(w, http.StatusBadRequest, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for i, word := range strings.Fields(request.TextInput) {
		if i > 0 && !sleep(r.Context(), asked.delay) {
			return
		}
		message, err := json.Marshal(map[string]string{"model_name": r.PathValue("name"), "text_output": word})
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", message); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
}
