/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

// completion merges the frames of OpenAI's completions.
type completion struct {
	merging
	chat bool
	body object
	// ended says that [DONE] was there.
	ended bool
}

func newCompletion(chat bool) *completion {
	return &completion{chat: chat, body: object{shape: chunkShape}}
}

func (c *completion) take(data []byte) bool {
	if c.ended {
		return false
	}
	known := false
	for name, value := range members(data) {
		if string(name) == "object" {
			// Azure's first frame has an empty one.
			known = string(value) == c.objectOfFrames() || isEmpty(value)
		}
	}
	return known && c.body.merge(&c.merging, data)
}

func (c *completion) objectOfFrames() string {
	if c.chat {
		return `"chat.completion.chunk"`
	}
	return `"text_completion"`
}

func (c *completion) done() bool {
	first := !c.ended
	c.ended = true
	return first
}

// complete reports whether there is [DONE], and a choice.
func (c *completion) complete() bool {
	for _, field := range c.body.fields {
		if string(field.name) == "choices" {
			return c.ended && len(field.items) > 0
		}
	}
	return false
}

func (c *completion) appendTo(b []byte) []byte {
	object := `{"object":"text_completion",`
	if c.chat {
		object = `{"object":"chat.completion",`
	}
	start := len(b) + len(object) - 1
	b = c.body.appendTo(append(b, object[:len(object)-1]...))
	b[start] = ','
	return b
}
