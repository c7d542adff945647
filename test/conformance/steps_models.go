/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// modelAPI is an API of language models, with a call of it.
type modelAPI struct {
	path string
	// response is the body without streaming, frames are the data of the same stream.
	response string
	frames   []string
	// asked and answered are the attributes of the two events, without those of a stream
	// only.
	asked, answered string
}

// modelRequest is the body of a request to any of the APIs.
const modelRequest = `{"model":"llama","stream":true}`

const (
	askedChat  = "genaioperation=chat genairequestmodel=llama"
	streamOnly = "genaifirstchunkms"
)

var (
	chatAPI = modelAPI{
		path: "/v1/chat/completions",
		response: `{"id":"c-1","object":"chat.completion","created":1,"model":"llama-8b","choices":[` +
			`{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"},` +
			`{"index":1,"message":{"role":"assistant","content":"Hi"},"finish_reason":"length"}],` +
			`"usage":{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}`,
		frames: []string{
			`{"id":"c-1","object":"chat.completion.chunk","created":1,"model":"llama-8b","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}],"obfuscation":"a1"}`,
			`{"id":"c-1","object":"chat.completion.chunk","created":2,"model":"llama-8b","choices":[{"index":1,"delta":{"role":"assistant","content":"Hi"},"finish_reason":"length"}],"obfuscation":"b"}`,
			`{"id":"c-1","object":"chat.completion.chunk","created":3,"model":"llama-8b","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}`,
			`{"id":"c-1","object":"chat.completion.chunk","created":3,"model":"llama-8b","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}`,
			"[DONE]",
		},
		asked:    askedChat,
		answered: "genaicachedtokens=8 genaifinishreasons=stop,length genaiinputtokens=12 genaioperation=chat genaioutputtokens=3 genairesponsemodel=llama-8b",
	}
	completionsAPI = modelAPI{
		path:     "/v1/completions",
		response: `{"object":"text_completion","model":"opt","choices":[{"index":0,"text":" fun and","finish_reason":"length"}],"usage":{"prompt_tokens":6,"completion_tokens":2}}`,
		frames: []string{
			`{"object":"text_completion","model":"opt","choices":[{"index":0,"text":" fun","finish_reason":null}]}`,
			`{"object":"text_completion","model":"opt","choices":[{"index":0,"text":" and","finish_reason":"length"}]}`,
			`{"object":"text_completion","model":"opt","choices":[],"usage":{"prompt_tokens":6,"completion_tokens":2}}`,
			"[DONE]",
		},
		asked:    "genaioperation=text_completion genairequestmodel=llama",
		answered: "genaifinishreasons=length genaiinputtokens=6 genaioperation=text_completion genaioutputtokens=2 genairesponsemodel=opt",
	}
	responsesAPI = modelAPI{
		path: "/v1/responses",
		response: `{"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"gpt","output":[],` +
			`"usage":{"input_tokens":37,"input_tokens_details":{"cached_tokens":5},"output_tokens":11}}`,
		frames: []string{
			`{"type":"response.created","response":{"object":"response","status":"in_progress","model":"gpt","output":[]}}`,
			`{"type":"response.output_text.delta","delta":"Hi"}`,
			`{"type":"response.incomplete","response":{"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"gpt","output":[],` +
				`"usage":{"input_tokens":37,"input_tokens_details":{"cached_tokens":5},"output_tokens":11}}}`,
		},
		asked:    askedChat,
		answered: "genaicachedtokens=5 genaifinishreasons=max_output_tokens genaiinputtokens=37 genaioperation=chat genaioutputtokens=11 genairesponsemodel=gpt",
	}
	messagesAPI = modelAPI{
		path: "/v1/messages",
		response: `{"type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn",` +
			`"usage":{"input_tokens":3,"cache_creation_input_tokens":20,"cache_read_input_tokens":100,"output_tokens":7}}`,
		frames: []string{
			`{"type":"message_start","message":{"type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,` +
				`"usage":{"input_tokens":3,"cache_creation_input_tokens":20,"cache_read_input_tokens":100,"output_tokens":1}}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}`,
			`{"type":"content_block_stop","index":0}`,
			`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}`,
			`{"type":"message_stop"}`,
		},
		asked:    askedChat,
		answered: "genaicachedtokens=100 genaifinishreasons=end_turn genaiinputtokens=123 genaioperation=chat genaioutputtokens=7 genairesponsemodel=claude",
	}
	modelAPIs = []modelAPI{chatAPI, completionsAPI, responsesAPI, messagesAPI}
)

// answers is an exchange in which a model gives a body.
func answers(path, response string) exchange {
	return exchange{path: path, request: jsonBody(modelRequest), response: jsonBody(response)}
}

// streams is an exchange in which a model gives frames.
func streams(path string, frames ...string) exchange {
	var wire strings.Builder
	for _, data := range frames {
		fmt.Fprintf(&wire, "data: %s\n\n", data)
	}
	x := answers(path, wire.String())
	x.response.contentType = "text/event-stream"
	return x
}

// generated are the attributes of an event that say something of a call of a model. The
// time to the first chunk is there by its name.
func generated(e agenttest.Event) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(e.Extensions())) {
		if name == streamOnly {
			all = append(all, name)
		} else if strings.HasPrefix(name, "genai") {
			all = append(all, name+"="+e.Attribute(name))
		}
	}
	return strings.Join(all, " ")
}

// ofStreamed is generated for the event of a stream.
func ofStreamed(answered string) string {
	return strings.Replace(answered, " genaiinputtokens", " "+streamOnly+" genaiinputtokens", 1)
}

// expectJSON compares data as JSON.
func (s *Stage) expectJSON(what string, got []byte, want string) {
	var gotValue, wantValue any
	if err := json.Unmarshal([]byte(want), &wantValue); err != nil {
		s.Fatalf("%s: %v", want, err)
	}
	if err := json.Unmarshal(got, &gotValue); err != nil || !reflect.DeepEqual(gotValue, wantValue) {
		s.Errorf("%s is %s, want %s", what, got, want)
	}
}

// expectFrames compares an event of a stream with the frames that the model sent.
func (s *Stage) expectFrames(what string, x exchange, e agenttest.Event) {
	s.expect("datacontenttype of "+what, e.DataContentType(), "text/event-stream")
	s.expect("the data of "+what, string(e.Data()), s.AsReceived(x.response.wire))
}

var extensionName = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// modelSteps are the section "Language models".
func modelSteps() []Step {
	return slices.Concat(callSteps(), streamSteps())
}

// callSteps are about the attributes of a call of a language model.
func callSteps() []Step {
	return []Step{
		{
			Name: "the path selects the API of a language model", Logger: Generations,
			Statements: statements(
				"The agent reads the bodies of four APIs by which language models are served.",
				"The end of the request's path selects the API.",
				"A prefix, such as `/openai`, doesn't matter:",
				"`/chat/completions` | OpenAI's chat completions",
				"`/completions` | OpenAI's completions",
				"`/responses` | OpenAI's Responses API",
				"`/v1/messages` | Anthropic's messages",
				"Events of these exchanges have attributes that follow the [semantic conventions of OpenTelemetry for generative AI](https://github.com/open-telemetry/semantic-conventions-genai).",
				"A name of CloudEvents has at most 20 characters of `a` to `z` and `0` to `9`.",
				"`genaioperation` | `gen_ai.operation.name`",
				"`genairequestmodel` | `gen_ai.request.model`",
				"`genairesponsemodel` | `gen_ai.response.model`",
				"`genaiinputtokens` | `gen_ai.usage.input_tokens`",
				"`genaioutputtokens` | `gen_ai.usage.output_tokens`",
				"`genaicachedtokens` | `gen_ai.usage.cache_read.input_tokens`",
				"`genaifinishreasons` | `gen_ai.response.finish_reasons`",
				"There is no counterpart of `gen_ai.provider.name`, because many servers have OpenAI's API.",
			),
			Run: func(s *Stage) {
				for _, api := range modelAPIs {
					for _, path := range []string{api.path, "/openai" + api.path} {
						events := s.events(answers(path, api.response), "request", "response")
						request, response := events["request"], events["response"]
						s.expect("what the request to "+path+" says", generated(request), api.asked)
						s.expect("what the response of "+path+" says", generated(response), api.answered)
						s.expect("the response's correlationid", response.Attribute("correlationid"), request.Attribute("correlationid"))
						for name := range response.Extensions() {
							if !extensionName.MatchString(name) {
								s.Errorf("an attribute has the name %s", name)
							}
						}
					}
				}
				completed := answers(responsesAPI.path, `{"status":"completed"}`)
				s.expect("what a complete response says", generated(s.events(completed, "request", "response")["response"]), "genaifinishreasons=completed genaioperation=chat")
				for _, path := range []string{"/v1/embeddings", "/autocompletions", "/v1/responses/1", "/v1/messages/batches", "/v1/chat/completions/1"} {
					for kind, e := range s.events(answers(path, chatAPI.response), "request", "response") {
						s.expect("what the "+kind+" of "+path+" says", generated(e), "")
					}
				}
			},
		},
		{
			Name: "an owner's names beside those of a language model",
			Statements: statements(
				"An annotation can't have one of these names; names such as `model` are still yours.",
			),
			Alone: func(t *testing.T, start Start) {
				// The admission refuses such an annotation. An agent whose file has it keeps
				// its last valid metadata.
				directory := t.TempDir()
				if err := os.WriteFile(filepath.Join(directory, "attributes.json"), []byte(`{"genaicachedtokens":"mine"}`), 0o600); err != nil {
					t.Fatal(err)
				}
				r := start(t, agenttest.With("--metadata=model=mine", "--metadata-dir="+directory))
				answers(completionsAPI.path, completionsAPI.response).through(r)
				for kind, want := range map[string]string{"request": completionsAPI.asked, "response": completionsAPI.answered} {
					e := r.Sink.Of(kind)
					if got := generated(e); got != want || e.Attribute("model") != "mine" {
						t.Errorf("the %s has the model %q and %s, want %s", kind, e.Attribute("model"), got, want)
					}
				}
			},
		},
		{
			Name: "a body of a language model without some values", Logger: Generations,
			Statements: statements(
				"An attribute is absent if the body doesn't have its value.",
				"If the body has none of the other values, `genaioperation` is absent, too.",
				"The values come from the client and the model.",
				"The agent checks that an event can carry them, not that they are true.",
			),
			Run: func(s *Stage) {
				for body, want := range map[string]string{
					`{}`:                                 "",
					`{"error":{"message":"overloaded"}}`: "",
					`{"model":"m"}`:                      "genaioperation=chat genairesponsemodel=m",
					`{"usage":{"completion_tokens":0}}`:  "genaioperation=chat genaioutputtokens=0",
					`{"usage":{"prompt_tokens":"1","completion_tokens":1.5}}`:                                   "",
					`{"model":"a lie","choices":[{"finish_reason":"bored"}],"usage":{"prompt_tokens":1000000}}`: "genaifinishreasons=bored genaiinputtokens=1000000 genaioperation=chat genairesponsemodel=a lie",
				} {
					s.expect("what "+body+" says", generated(s.events(answers(chatAPI.path, body), "request", "response")["response"]), want)
				}
				x := answers(chatAPI.path, `{}`)
				x.request = jsonBody(`{"messages":[]}`)
				s.expect("what a request without a model says", generated(s.events(x, "request", "response")["request"]), "")
			},
		},
		{
			Name: "only complete bodies of a language model are read", Logger: Everything,
			Statements: statements(
				"Only complete bodies of JSON or server-sent events with a 2xx status are read, after decoding: not those of `failure`, `oversize` and `encoded` types.",
			),
			Run: func(s *Stage) {
				inGzipJSON := coded("gzip", "", inGzip(chatAPI.response))
				inGzipJSON.contentType = "application/json"
				noGzip := coded("gzip", "", chatAPI.response)
				plain := jsonBody(chatAPI.response)
				plain.contentType = "text/plain"
				failed := answers(chatAPI.path, chatAPI.response)
				failed.status = http.StatusInternalServerError
				aborted := streams(chatAPI.path, chatAPI.frames...)
				aborted.response.part, aborted.ends = aborted.response.wire, modelBreaksOff
				aborted.response.part = strings.TrimSuffix(aborted.response.part, "data: [DONE]\n\n")
				with := func(response body) exchange {
					return exchange{path: chatAPI.path, request: jsonBody(modelRequest), response: response}
				}
				for _, test := range []struct {
					kind string
					of   exchange
					want string
				}{
					{"response", with(jsonBody(chatAPI.response)), chatAPI.answered},
					{"response", with(inGzipJSON), chatAPI.answered},
					{"response", with(plain), ""},
					{"response.encoded", with(noGzip), ""},
					{"response.oversize", with(jsonBody(chatAPI.response[:len(chatAPI.response)-1] + `,"padding":"` + strings.Repeat("x", payloadCap) + `"}`)), ""},
					{"response.failure", failed, ""},
					{"response.failure", aborted, ""},
				} {
					e := s.events(test.of, "request", test.kind)[test.kind]
					s.expect("what the "+test.kind+" says", generated(e), test.want)
				}
			},
		},
		{
			Name: "a value of a language model that an event can't carry", Logger: Generations,
			Statements: statements(
				"`genairequestmodel`, `genairesponsemodel`, `genaifinishreasons` | it is longer than 128 bytes, or has bytes that a CloudEvents String can't have",
				"`genaiinputtokens`, `genaioutputtokens`, `genaicachedtokens` | it exceeds an Integer's 32 bits",
			),
			Run: func(s *Stage) {
				long := strings.Repeat("m", 129)
				// An eventshub ends at JSON that isn't UTF-8, so the odd byte is an escape.
				for _, value := range []string{long, `a\u0000b`} {
					x := answers(chatAPI.path, `{"model":"`+value+`","choices":[{"finish_reason":"`+value+`"}]}`)
					x.request = jsonBody(`{"model":"` + value + `"}`)
					events := s.events(x, "request", "response")
					s.expect("what the request says", generated(events["request"]), "genaioperation=chat")
					s.expect("what the response says", generated(events["response"]), "genaioperation=chat")
					s.expect("replaced of the request", events["request"].Attribute("replaced"), "genairequestmodel")
					s.expect("replaced of the response", events["response"].Attribute("replaced"), "genairesponsemodel,genaifinishreasons")
				}
				whole := s.events(answers(chatAPI.path, `{"model":"`+long[1:]+`"}`), "request", "response")["response"]
				s.expect("a model of 128 bytes", whole.Attribute("genairesponsemodel"), long[1:])

				usage := func(count string) agenttest.Event {
					return s.events(answers(chatAPI.path, `{"usage":{"prompt_tokens":`+count+`,"completion_tokens":`+count+`,"prompt_tokens_details":{"cached_tokens":`+count+`}}}`), "request", "response")["response"]
				}
				const most = "2147483647"
				s.expect("the largest counts", generated(usage(most)), "genaicachedtokens="+most+" genaiinputtokens="+most+" genaioperation=chat genaioutputtokens="+most)
				over := usage("2147483648")
				s.expect("counts beyond 32 bits", generated(over), "genaioperation=chat")
				s.expect("replaced for counts", over.Attribute("replaced"), "genaiinputtokens,genaioutputtokens,genaicachedtokens")
			},
		},
		{
			Name: "the value of a request's header", Logger: Generations,
			Statements: statements(
				"an attribute with the value of a request's header | the value is invalid, too long or denied ([rule](metadata.md#values-of-headers))",
			),
			Run: func(s *Stage) {
				check := func(value, tenant, replaced string) {
					for kind, e := range s.events(prediction().having("X-Tenant", value, "X-Experiment", "b"), "request", "response") {
						_, there := e.Extensions()["tenant"]
						if e.Attribute("tenant") != tenant || there != (tenant != "") || e.Attribute("replaced") != replaced || e.Attribute("experiment") != "b" {
							s.Errorf("the %s for the header %.30q has %v", kind, value, e.Extensions())
						}
					}
				}
				check("acme", "acme", "")
				check(strings.Repeat("a", 1024), strings.Repeat("a", 1024), "")
				for _, value := range []string{
					"a\tb", "\xff\xfe", "a\u0085b", strings.Repeat("a", 1025), "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZw",
				} {
					check(value, "", "tenant")
				}
			},
		},
	}
}

// streamSteps are about the streams of language models.
func streamSteps() []Step {
	// choice has so many members beside its index.
	choice := func(index, members int) string {
		var all strings.Builder
		fmt.Fprintf(&all, `{"index":%d`, index)
		for n := range members {
			fmt.Fprintf(&all, `,"m%d":1`, n)
		}
		return all.String() + "}"
	}
	choices := func(all ...string) exchange {
		return streams(chatAPI.path, `{"object":"chat.completion.chunk","choices":[`+strings.Join(all, ",")+`]}`, "[DONE]")
	}
	var many []string
	for n := range 16 {
		many = append(many, choice(n, 63))
	}
	// besides is the stream of an API with further frames before its last one.
	besides := func(api modelAPI, frames ...string) exchange {
		last := len(api.frames) - 1
		return streams(api.path, slices.Concat(api.frames[:last], frames, api.frames[last:])...)
	}
	chunk := func(choice string) string {
		return `{"object":"chat.completion.chunk","model":"llama-8b","choices":[` + choice + `]}`
	}
	return []Step{
		{
			Name: "a stream of a language model as frames", Logger: ByDefault,
			Statements: statements(
				"So `datacontenttype` says what the data is: `application/json` or `text/event-stream`.",
			),
			Run: func(s *Stage) {
				for _, api := range modelAPIs {
					x := streams(api.path, api.frames...)
					events := s.events(x, "request", "stream")
					s.expect("what the request to "+api.path+" says", generated(events["request"]), api.asked)
					s.expect("what the stream of "+api.path+" says", generated(events["stream"]), ofStreamed(api.answered))
					s.expectFrames("the stream of "+api.path, x, events["stream"])
				}
			},
		},
		{
			Name: "a stream of a language model is merged", Logger: Generations,
			Statements: statements(
				"With `logger.streams: merged`, the data of a `stream` event is the body that the API would have given without streaming, as `application/json`.",
				"So `datacontenttype` says what the data is: `application/json` or `text/event-stream`.",
				"The merged body leaves out what only frames have: their padding (`obfuscation`) and the time of each but the first.",
			),
			Run: func(s *Stage) {
				for _, api := range modelAPIs {
					x := streams(api.path, api.frames...)
					inOneCoding := x
					inOneCoding.response.wire, inOneCoding.response.coding = inGzip(x.response.wire), "gzip"
					for _, x := range []exchange{x, inOneCoding} {
						e := s.events(x, "request", "stream")["stream"]
						s.expect("what the stream of "+api.path+" says", generated(e), ofStreamed(api.answered))
						s.expect("datacontenttype of "+api.path, e.DataContentType(), "application/json")
						s.expectJSON("the merged body of "+api.path, e.Data(), api.response)
					}
				}
			},
		},
		{
			Name: "the attributes of a stream, merged or not",
			Statements: statements(
				"All other attributes, and the type, are as with `frames`.",
			),
			Alone: func(t *testing.T, start Start) {
				attributes := func(mode string) map[string]any {
					r := start(t, agenttest.With("--streams="+mode))
					x := streams(messagesAPI.path, messagesAPI.frames...).having("Inference-Header-Content-Length", "5")
					x.response.wire, x.response.coding = inGzip(x.response.wire), "gzip"
					x.through(r)
					e := r.Sink.Of("stream")
					all := maps.Clone(e.Extensions())
					all["type"], all["source"], all["subject"], all["the mode"] = e.Type(), e.Source(), e.Subject(), e.Structured
					// These differ from exchange to exchange.
					for _, name := range []string{"agentinstance", "correlationid", "durationms", streamOnly} {
						if all[name] == nil {
							t.Errorf("a stream has no %s: %v", name, all)
						}
						delete(all, name)
					}
					return all
				}
				if frames, merged := attributes("frames"), attributes("merged"); !reflect.DeepEqual(frames, merged) || frames["contentencoding"] == nil {
					t.Errorf("with frames %v, merged %v", frames, merged)
				}
			},
		},
		{
			Name: "the time to the first chunk", Logger: Generations,
			Statements: statements(
				"`genaifirstchunkms` | `gen_ai.response.time_to_first_chunk`",
			),
			Run: func(s *Stage) {
				const delay = 30
				slow := streams(chatAPI.path, chatAPI.frames...).having("X-Model-Delay", strconv.Itoa(delay)+"ms")
				e := s.events(slow, "request", "stream")["stream"]
				first, err := strconv.Atoi(e.Attribute(streamOnly))
				total, _ := strconv.Atoi(e.Attribute("durationms"))
				if err != nil || first < delay || first > total {
					s.Errorf("after %d ms of the model, the first chunk came after %q ms, and the end after %d", delay, e.Attribute(streamOnly), total)
				}
				for kind, e := range s.events(answers(chatAPI.path, chatAPI.response), "request", "response") {
					s.expect("the time to the first chunk of a "+kind, e.Attribute(streamOnly), "")
				}
			},
		},
		{
			Name: "streams that can't be merged", Logger: Generations,
			Statements: statements(
				"An event has the frames if they can't be merged without a loss:",
				"the stream has no regular end: `[DONE]`, `message_stop` or the last event of the Responses API;",
				"a frame isn't JSON, is an error, or is of an unknown type (the Responses API may have any, as its last event has the whole body);",
				"a member that the agent doesn't know has several values (in Anthropic's messages the last one counts, as their API says), or pieces of content come in a form that it doesn't know;",
				"the merged body would be longer than the frames, or have more than 128 choices, tool calls in one message, 64 members in one object, or 1024 members in all;",
			),
			Run: func(s *Stage) {
				short := exchange{path: chatAPI.path, request: jsonBody(modelRequest), response: body{
					contentType: "text/event-stream", wire: `data:{"object":"","choices":[{"index":0,"delta":{}},{"index":1,"delta":{}},{"index":2,"delta":{}}]}` + "\n\ndata:[DONE]\n\n",
				}}
				for name, x := range map[string]exchange{
					"chat without an end":          streams(chatAPI.path, chatAPI.frames[:4]...),
					"a completion without an end":  streams(completionsAPI.path, completionsAPI.frames[:3]...),
					"a response without an end":    streams(responsesAPI.path, responsesAPI.frames[:2]...),
					"a message without an end":     streams(messagesAPI.path, messagesAPI.frames[:6]...),
					"a frame that is no JSON":      besides(chatAPI, "oops"),
					"an error":                     besides(chatAPI, `{"object":"chat.completion.chunk","error":{"message":"overloaded"}}`),
					"an error of the response":     besides(responsesAPI, `{"type":"error"}`),
					"an error of the message":      besides(messagesAPI, `{"type":"error","error":{"type":"overloaded_error"}}`),
					"an unknown chunk":             besides(chatAPI, `{"object":"poem","choices":[]}`),
					"an unknown event":             besides(messagesAPI, `{"type":"poem"}`),
					"an unknown member that moves": besides(chatAPI, chunk(`{"index":0,"speed":1,"delta":{}}`), chunk(`{"index":0,"speed":2,"delta":{}}`)),
					"unknown pieces of a message":  besides(chatAPI, chunk(`{"index":0,"delta":{"poem":"a"}}`), chunk(`{"index":0,"delta":{"poem":"b"}}`)),
					"content that is a list":       besides(chatAPI, chunk(`{"index":0,"delta":{"content":["a"]}}`)),
					"an unknown delta":             streams(messagesAPI.path, slices.Insert(slices.Clone(messagesAPI.frames), 3, `{"type":"content_block_delta","index":0,"delta":{"type":"poem_delta","text":"a"}}`)...),
					"a longer body":                short,
					"129 choices":                  besides(chatAPI, chunk(`{"index":128,"delta":{"content":"a"}}`)),
					"129 tool calls":               besides(chatAPI, chunk(`{"index":0,"delta":{"tool_calls":[{"index":128,"id":"t"}]}}`)),
					"65 members":                   choices(choice(0, 64)),
					"more than 1024 members":       choices(many...),
				} {
					s.expectFrames(name, x, s.events(x, "request", "stream")["stream"])
				}
				for name, x := range map[string]exchange{
					"128 choices":              besides(chatAPI, chunk(`{"index":127,"delta":{"content":"a"}}`)),
					"128 tool calls":           besides(chatAPI, chunk(`{"index":0,"delta":{"tool_calls":[{"index":127,"id":"t"}]}}`)),
					"64 members":               choices(choice(0, 63)),
					"fewer than 1024 members":  choices(many[1:]...),
					"an unknown member":        besides(chatAPI, chunk(`{"index":0,"speed":1,"delta":{}}`), chunk(`{"index":0,"speed":1,"delta":{}}`)),
					"an unknown response type": besides(responsesAPI, `{"type":"response.poem"}`),
					"a member of a message that its delta replaces": besides(messagesAPI, `{"type":"message_delta","delta":{"mood":1}}`, `{"type":"message_delta","delta":{"mood":2}}`),
				} {
					s.expect("datacontenttype with "+name, s.events(x, "request", "stream")["stream"].DataContentType(), "application/json")
				}
			},
		},
		{
			Name: "a stream that exceeds the byte budget",
			Statements: statements(
				"the agent has no room in its byte budget to merge them.",
			),
			Alone: func(t *testing.T, start Start) {
				r := start(t, agenttest.With("--streams=merged", "--max-payload-bytes=32768", "--buffer-bytes=262144"))
				long := besides(chatAPI, slices.Repeat([]string{chunk(`{"index":0,"delta":{"content":"more"}}`)}, 100)...)
				long.through(r)
				streams(chatAPI.path, chatAPI.frames...).through(r)
				got := make(map[string]string)
				for _, e := range r.Sink.Await(4) {
					if e.Kind() == "stream" {
						got[e.DataContentType()] = string(e.Data())
					}
				}
				if len(got) != 2 || got["text/event-stream"] != long.response.wire {
					t.Errorf("a long stream and a short one gave %v", got)
				}
			},
		},
	}
}

// through plays the exchange at an agent of one's own.
func (x exchange) through(r *agenttest.Rig) {
	header := x.script()
	for _, more := range []http.Header{x.header, x.request.head()} {
		maps.Copy(header, more)
	}
	response, _ := r.Do(http.MethodPost, x.path, header, strings.NewReader(x.request.wire))
	response.Body.Close()
}
