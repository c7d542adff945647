/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"math"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for path, want := range map[string]API{
		"/v1/chat/completions":                   Chat,
		"/openai/v1/chat/completions":            Chat,
		"/openai/deployments/d/chat/completions": Chat,
		"/v1/completions":                        Completions,
		"/openai/v1/completions":                 Completions,
		"/v1/responses":                          Responses,
		"/v1/messages":                           Messages,
		"/anthropic/v1/messages":                 Messages,
		"/v1/messages/batches":                   None,
		"/v1/messages/count_tokens":              None,
		"/v1/responses/resp_1":                   None,
		"/v1/models/m:predict":                   None,
		"/v2/models/m/infer":                     None,
		"/v1/embeddings":                         None,
		"/autocompletions":                       None,
		"":                                       None,
	} {
		if got := Of(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

// TestFacts of bodies as servers and clients send them, and of odd ones.
func TestFacts(t *testing.T) {
	request, response, stream := API.OfRequest, API.OfResponse, API.OfStream
	long := strings.Repeat("m", 1000)
	for name, test := range map[string]struct {
		api  API
		of   func(API, []byte) Facts
		body string
		want Facts
	}{
		"a request of chat":                  {Chat, request, `{"messages":[{"role":"user","content":"\"model\":\"no\""}],"model":"llama","stream":true}`, Facts{"llama", "", -1, -1, -1}},
		"a request with a nested model":      {Chat, request, ` { "metadata" : {"model":"no"} , "model" : "yes" } `, Facts{"yes", "", -1, -1, -1}},
		"a request of messages":              {Messages, request, `{"model":"claude-sonnet-4-5","max_tokens":1}`, Facts{"claude-sonnet-4-5", "", -1, -1, -1}},
		"a request of another API":           {None, request, `{"model":"m"}`, noFacts},
		"a model with escapes":               {Chat, request, `{"model":"a\/b\u00e9"}`, Facts{"a/bé", "", -1, -1, -1}},
		"a long model":                       {Chat, request, `{"model":"` + long + `"}`, Facts{long[:MaxTextBytes+1], "", -1, -1, -1}},
		"a model that is no text":            {Chat, request, `{"model":7}`, noFacts},
		"no JSON":                            {Chat, request, `model=llama`, noFacts},
		"an array":                           {Chat, request, `["model","llama"]`, noFacts},
		"half a request":                     {Chat, request, `{"model":"llama","messages":[{"role":"us`, Facts{"llama", "", -1, -1, -1}},
		"a response of vLLM":                 {Chat, response, `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"message":{"role":"assistant","content":"finish_reason","tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"service_tier":null,"usage":{"prompt_tokens":12,"total_tokens":20,"completion_tokens":8,"prompt_tokens_details":null},"prompt_logprobs":null}`, Facts{"Qwen/Qwen3-8B", "stop", 12, 8, -1}},
		"a response with cached tokens":      {Chat, response, `{"model":"m","usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0}}}`, Facts{"m", "", 2006, 300, 1920}},
		"a response of several choices":      {Chat, response, `{"choices":[{"index":1,"finish_reason":"length"},{"index":0,"finish_reason":"stop"}]}`, Facts{"", "stop,length", -1, -1, -1}},
		"a choice that has not finished":     {Chat, response, `{"choices":[{"index":0,"finish_reason":null},{"index":1,"finish_reason":"stop"},{"index":2}]}`, Facts{"", "error,stop,error", -1, -1, -1}},
		"choices without an index":           {Completions, response, `{"choices":[{"text":"a","finish_reason":"stop"},{"text":"b","finish_reason":"length"}]}`, Facts{"", "stop,length", -1, -1, -1}},
		"a choice with a large index":        {Chat, response, `{"choices":[{"index":99999999999,"finish_reason":"stop"}]}`, noFacts},
		"many choices":                       {Chat, response, `{"choices":[` + strings.Repeat(`{"finish_reason":"stop"},`, 200) + `{}]}`, Facts{"", strings.Repeat("stop,", 25) + "stop", -1, -1, -1}},
		"an error":                           {Chat, response, `{"error":{"message":"overloaded","code":500}}`, noFacts},
		"counts that are none":               {Chat, response, `{"usage":{"prompt_tokens":"12","completion_tokens":-1,"prompt_tokens_details":{"cached_tokens":1.5}}}`, noFacts},
		"a count beyond 64 bits":             {Chat, response, `{"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":9223372036854775808}}`, Facts{"", "", math.MaxInt64, math.MaxInt64, -1}},
		"a message of Anthropic":             {Messages, response, `{"type":"message","model":"claude","content":[{"type":"tool_use","input":{"model":"no","usage":{"input_tokens":9}}}],"stop_reason":"end_turn","usage":{"input_tokens":3,"cache_creation_input_tokens":20,"cache_read_input_tokens":100,"output_tokens":7}}`, Facts{"claude", "end_turn", 123, 7, 100}},
		"a message of vLLM":                  {Messages, response, `{"type":"message","model":"m","stop_reason":"max_tokens","usage":{"input_tokens":3,"output_tokens":7,"cache_creation_input_tokens":null,"cache_read_input_tokens":null}}`, Facts{"m", "max_tokens", 3, 7, -1}},
		"a response that failed":             {Responses, response, `{"model":"m","status":"failed","error":{},"incomplete_details":null}`, Facts{"m", "failed", -1, -1, -1}},
		"a stream without usage":             {Chat, stream, "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\ndata: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", Facts{"m", "stop", -1, -1, -1}},
		"a stream with an empty first frame": {Chat, stream, "data: {\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\ndata: {\"model\":\"gpt\",\"choices\":[]}\n\n", Facts{"gpt", "", -1, -1, -1}},
		"a stream that ends within a frame":  {Chat, stream, "data: {\"model\":\"m\",\"choices\":[]}\n\ndata: {\"model\":\"m\",\"cho", Facts{"m", "", -1, -1, -1}},
		"no stream":                          {Chat, stream, "<html>", noFacts},
	} {
		if got := test.of(test.api, []byte(test.body)); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
