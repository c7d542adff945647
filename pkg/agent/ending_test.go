/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestAStreamThatItsClientLeavesAtDoneIsOne, each time: the model's last chunk
// comes late, or never, because the agent tells it that the client has left.
func TestAStreamThatItsClientLeavesAtDoneIsOne(t *testing.T) {
	const streams = 20
	for name, clientOf := range agenttest.Clients {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				for n := range 5 {
					fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\n", n)
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.WriteString(w, "data: [DONE]\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}), "--events=request,response,stream,response.failure")
			client := clientOf(t)
			for range streams {
				ctx, leave := context.WithCancel(t.Context())
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url("/v1/chat/completions"), strings.NewReader(`{"stream":true}`))
				if err != nil {
					t.Fatal(err)
				}
				answer, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(answer.Body)
				for lines.Scan() && lines.Text() != "data: [DONE]" {
				}
				leave()
				answer.Body.Close()
			}
			// Each gives two events.
			for _, e := range r.sink.Await(2 * streams) {
				if kind := strings.TrimPrefix(e.Type(), "io.kubeflow.serving.inference."); kind != "request" && kind != "stream" {
					t.Errorf("a %s: %s", kind, e.Data())
				} else if kind == "stream" && !strings.HasSuffix(string(e.Data()), "data: [DONE]\n\n") {
					t.Errorf("a stream that ends with %q", e.Data())
				}
			}
		})
	}
}
