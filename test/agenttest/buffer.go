/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"bytes"
	"sync"
)

// Buffer is a bytes.Buffer that several goroutines may use.
type Buffer struct {
	mu      sync.Mutex
	content bytes.Buffer
}

// Write appends to the buffer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(p)
}

// String is everything written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

// End is the last bytes written, at most so many.
func (b *Buffer) End(most int) string {
	text := b.String()
	return text[max(0, len(text)-most):]
}
