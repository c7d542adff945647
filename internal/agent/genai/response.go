/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

// finalResponse takes the response of OpenAI's Responses API, which the last event of
// the stream has as a whole.
type finalResponse struct{ response []byte }

func (f *finalResponse) take(data []byte) bool {
	if f.response != nil {
		return false
	}
	f.response, _ = lastResponse(data)
	return string(typeOf(data)) != `"error"`
}

// done: some servers send [DONE] as the other APIs do.
func (f *finalResponse) done() bool { return f.response != nil }

func (f *finalResponse) complete() bool { return isObject(f.response) }

func (f *finalResponse) appendTo(b []byte) []byte { return append(b, f.response...) }

// lastResponse returns the response of an event, and whether the event is the last of
// a stream.
func lastResponse(data []byte) (response []byte, last bool) {
	switch string(typeOf(data)) {
	case `"response.completed"`, `"response.incomplete"`, `"response.failed"`:
	default:
		return nil, false
	}
	for name, value := range members(data) {
		if string(name) == "response" {
			response = value
		}
	}
	return response, true
}

// typeOf returns the member type of an object.
func typeOf(data []byte) []byte {
	for name, value := range members(data) {
		if string(name) == "type" {
			return value
		}
	}
	return nil
}
