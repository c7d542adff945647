/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

// text is what the pieces of a text are together. They are copied once, into chunks
// that are not moved any more, so a text takes about twice its length.
type text struct {
	chunks [][]byte
	length int
}

const leastChunkBytes = 32

func (t *text) add(piece []byte) {
	if last := len(t.chunks) - 1; last >= 0 {
		n := min(len(piece), cap(t.chunks[last])-len(t.chunks[last]))
		t.chunks[last] = append(t.chunks[last], piece[:n]...)
		t.length += n
		piece = piece[n:]
	}
	if len(piece) > 0 {
		chunk := make([]byte, 0, max(len(piece), t.length, leastChunkBytes))
		t.chunks = append(t.chunks, append(chunk, piece...))
		t.length += len(piece)
	}
}

func (t *text) appendTo(b []byte) []byte {
	for _, chunk := range t.chunks {
		b = append(b, chunk...)
	}
	return b
}
