/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"bytes"
	"encoding/json"
	"strings"
)

// message merges the events of Anthropic's messages.
type message struct {
	merging
	body   object
	blocks []*block
	// begun and ended say that the first and the last event were there.
	begun, ended bool
}

// block is a content block.
type block struct {
	object
	// input is the input of a tool: JSON that comes in pieces.
	input text
	// stopped says that nothing more comes.
	stopped bool
}

func newMessage() *message { return &message{body: object{shape: messageShape}} }

// messageEvent has the members of any event.
type messageEvent struct{ kind, message, index, block, delta, usage []byte }

func messageEventOf(data []byte) (e messageEvent, known bool) {
	for name, value := range members(data) {
		switch string(name) {
		case "type":
			e.kind = value
		case "message":
			e.message = value
		case "index":
			e.index = value
		case "content_block":
			e.block = value
		case "delta":
			e.delta = value
		case "usage":
			e.usage = value
		default:
			return e, false
		}
	}
	return e, true
}

func (m *message) take(data []byte) bool {
	e, known := messageEventOf(data)
	if !known || m.ended {
		return false
	}
	switch string(e.kind) {
	case `"ping"`:
		return true
	case `"message_start"`:
		return m.start(e)
	}
	if !m.begun {
		return false
	}
	switch string(e.kind) {
	case `"content_block_start"`:
		return m.startBlock(e)
	case `"content_block_delta"`:
		block := m.block(e.index)
		return block != nil && block.add(&m.merging, e.delta)
	case `"content_block_stop"`:
		block := m.block(e.index)
		if block == nil {
			return false
		}
		block.stopped = true
		return true
	case `"message_delta"`:
		return m.body.merge(&m.merging, e.delta) && (e.usage == nil || m.set("usage", e.usage))
	case `"message_stop"`:
		m.ended = true
		return true
	default:
		return false
	}
}

// set merges one member of the message.
func (m *message) set(name string, value []byte) bool {
	field := m.body.field(&m.merging, []byte(name))
	return field != nil && field.merge(&m.merging, value)
}

// start takes the message as it is before its content.
func (m *message) start(e messageEvent) bool {
	if m.begun || string(typeOf(e.message)) != `"message"` {
		return false
	}
	m.begun = true
	for name, value := range members(e.message) {
		if string(name) == "content" && (!isArray(value) || len(trimSpace(value[1:])) > len("]")) {
			return false
		}
	}
	return m.body.merge(&m.merging, e.message)
}

func (m *message) startBlock(e messageEvent) bool {
	// Each block is a field of its own, so their number is bounded.
	if countOf(e.index) != int64(len(m.blocks)) || m.fields == maxFields {
		return false
	}
	m.fields++
	added := &block{object: object{shape: blockShape}}
	m.blocks = append(m.blocks, added)
	return added.merge(&m.merging, e.block)
}

// block returns the block of an index, nil if there is none that is open.
func (m *message) block(index []byte) *block {
	i := countOf(index)
	if i == NoCount || i >= int64(len(m.blocks)) || m.blocks[i].stopped {
		return nil
	}
	return m.blocks[i]
}

// deltas says for each type of a delta which member has the piece, and to which
// member of the block it is added. input is built in another way.
var deltas = map[string]struct{ piece, member string }{
	`"text_delta"`:       {"text", "text"},
	`"thinking_delta"`:   {"thinking", "thinking"},
	`"signature_delta"`:  {"signature", "signature"},
	`"citations_delta"`:  {"citation", "citations"},
	`"input_json_delta"`: {"partial_json", "input"},
}

// add takes a delta of the block's content.
func (b *block) add(m *merging, delta []byte) bool {
	to, known := deltas[string(typeOf(delta))]
	if !known {
		return false
	}
	var piece []byte
	for name, value := range members(delta) {
		switch string(name) {
		case "type":
		case to.piece:
			piece = value
		default:
			return false
		}
	}
	field := b.field(m, []byte(to.member))
	switch {
	case field == nil || piece == nil:
		return false
	case to.member == "input":
		return b.addInput(piece)
	case to.member == "citations":
		field.add(piece)
		return true
	default:
		return field.merge(m, piece)
	}
}

// addInput takes a piece of a tool's input, which is JSON in a JSON string.
func (b *block) addInput(piece []byte) bool {
	if !isString(piece) {
		return false
	}
	raw := inner(piece)
	if bytes.IndexByte(raw, '\\') < 0 {
		b.input.add(raw)
		return true
	}
	var text string
	if err := json.Unmarshal(piece, &text); err != nil || strings.ContainsRune(text, '\uFFFD') {
		// Half a character of UTF-16 is decoded so. The other may be in the next piece.
		return false
	}
	b.input.add([]byte(text))
	return true
}

func (m *message) done() bool { return false }

// complete reports whether the last event was there, and every tool's input is JSON.
func (m *message) complete() bool {
	if !m.ended {
		return false
	}
	for _, block := range m.blocks {
		if !block.finish(&m.merging) {
			return false
		}
	}
	return true
}

// finish puts the input of a tool into the block.
func (b *block) finish(m *merging) bool {
	if b.input.length == 0 {
		return true
	}
	input := b.input.appendTo(make([]byte, 0, b.input.length))
	b.input = text{}
	field := b.field(m, []byte("input"))
	if field == nil || !json.Valid(input) || !isNull(field.value) && string(field.value) != "{}" {
		return false
	}
	field.value = bytes.Trim(input, " \t\r\n")
	return true
}

func (m *message) appendTo(b []byte) []byte {
	content := m.body.field(&m.merging, []byte("content"))
	if content == nil {
		return b
	}
	content.rule, content.present = rule{how: indexed}, true
	for i, block := range m.blocks {
		content.items = append(content.items, item{index: int64(i), object: &block.object})
	}
	return m.body.appendTo(b)
}
