/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import "bytes"

// frames reads the data of server-sent events.
type frames struct {
	rest []byte
	// odd says that something was left out, or read in another way than the standard
	// says.
	odd bool
}

// next returns the data of the next event that has any, and whether there is one.
func (f *frames) next() (data []byte, there bool) {
	for len(f.rest) > 0 {
		var line []byte
		line, f.rest, _ = bytes.Cut(f.rest, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			if there {
				return data, true
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch string(name) {
		case "data":
			// Data of several lines would have to be joined.
			f.odd = f.odd || there || bytes.IndexByte(value, '\r') >= 0
			data, there = bytes.TrimPrefix(value, []byte{' '}), true
		case "", "event", "id", "retry":
		default:
			f.odd = true
		}
	}
	return data, there
}

// isDone reports whether data are those of the last event of OpenAI's completions.
func isDone(data []byte) bool { return string(bytes.TrimSpace(data)) == "[DONE]" }
