/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package genai reads the bodies of the APIs that language models are served with:
// OpenAI's chat completions, completions and responses, and Anthropic's messages.
// It finds what the attributes of an event say of them, and merges the frames of a
// stream into the body that the API gives without streaming. It is pure. Bodies are
// untrusted: time and memory are bounded by a body's length.
package genai

import "strings"

// API is one of the APIs.
type API uint8

// The APIs. None stands for every other path.
const (
	None API = iota
	Chat
	Completions
	Responses
	Messages
)

// Of returns the API that a request's path belongs to. The path may have a prefix,
// such as /openai of /openai/v1/chat/completions, and has no query. This test is
// what keeps other bodies, which may be large tensors, from being read.
func Of(path string) API {
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return Chat
	case strings.HasSuffix(path, "/completions"):
		return Completions
	case strings.HasSuffix(path, "/responses"):
		return Responses
	case strings.HasSuffix(path, "/v1/messages"):
		return Messages
	default:
		return None
	}
}

// Operation is the value of OpenTelemetry's gen_ai.operation.name for an API.
func (a API) Operation() string {
	switch a {
	case None:
		return ""
	case Completions:
		return "text_completion"
	default:
		return "chat"
	}
}
