/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// chatModel streams the words of an answer, in gzip if it is asked to.
func chatModel(words ...string) http.Handler {
	const frame = `data: {"id":"c-1","object":"chat.completion.chunk","created":1753800000,"model":"llama-8b","choices":[%s]%s}` + "\n\n"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		body, flush := io.Writer(w), func() { _ = http.NewResponseController(w).Flush() }
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			encoder := gzip.NewWriter(w)
			defer encoder.Close()
			body, flush = encoder, func() { _ = encoder.Flush() }
		}
		for _, word := range words {
			fmt.Fprintf(body, frame, fmt.Sprintf(`{"index":0,"delta":{"content":%q},"finish_reason":null}`, word), "")
			flush()
		}
		fmt.Fprintf(body, frame, `{"index":0,"delta":{},"finish_reason":"stop"}`, "")
		fmt.Fprintf(body, frame, "", `,"usage":{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}`)
		_, _ = io.WriteString(body, "data: [DONE]\n\n")
	})
}

// TestChatWithALanguageModel: the client gets every frame, and the subscriber the
// merged response, with its attributes.
func TestChatWithALanguageModel(t *testing.T) {
	for _, coding := range []string{"identity", "gzip"} {
		t.Run(coding, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(chatModel("Hel", "lo ", "you")), agenttest.With("--streams=merged"))
			request, err := http.NewRequest(http.MethodPost, r.URL+"/openai/v1/chat/completions", strings.NewReader(`{"model":"llama","messages":[],"stream":true}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Accept-Encoding", coding)
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body := io.Reader(response.Body)
			if coding == "gzip" {
				if body, err = gzip.NewReader(response.Body); err != nil {
					t.Fatal(err)
				}
			}
			frames, err := io.ReadAll(body)
			if err != nil || strings.Count(string(frames), "data: ") != 6 {
				t.Errorf("the client got %q, %v", frames, err)
			}

			if asked := r.Sink.Of("request"); asked.Attribute("genairequestmodel") != "llama" || asked.Attribute("genaioperation") != "chat" {
				t.Errorf("the request's attributes: %v", asked.Extensions())
			}
			stream := r.Sink.Of("stream")
			const want = `{"object":"chat.completion","id":"c-1","created":1753800000,"model":"llama-8b",` +
				`"choices":[{"index":0,"message":{"content":"Hello you"},"finish_reason":"stop"}],` +
				`"usage":{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}`
			if got := string(stream.Data()); got != want || stream.DataContentType() != "application/json" {
				t.Errorf("the stream's data: %s %s", stream.DataContentType(), got)
			}
			for name, want := range map[string]string{
				"genaioperation": "chat", "genairesponsemodel": "llama-8b", "genaifinishreasons": "stop",
				"genaiinputtokens": "12", "genaioutputtokens": "3", "genaicachedtokens": "8", "replaced": "",
			} {
				if got := stream.Attribute(name); got != want {
					t.Errorf("%s is %q, and not %q", name, got, want)
				}
			}
			if stream.Attribute("genaifirstchunkms") == "" {
				t.Errorf("no time to the first chunk: %v", stream.Extensions())
			}
		})
	}
}

// TestAStreamStaysFramesByDefault, with the same attributes.
func TestAStreamStaysFramesByDefault(t *testing.T) {
	r := newRig(t, agenttest.InFrontOf(chatModel("Hello")))
	_, frames := r.Post("/v1/chat/completions", `{"model":"llama"}`)
	stream := r.Sink.Of("stream")
	if got := string(stream.Data()); got != frames || stream.DataContentType() != "text/event-stream" {
		t.Errorf("the stream's data: %s %s", stream.DataContentType(), got)
	}
	if got := stream.Attribute("genaioutputtokens"); got != "3" {
		t.Errorf("the attributes: %v", stream.Extensions())
	}
}
