/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestABodyThatBreaksOffIsReadAsFarAsItGoes, wherever it does.
func TestABodyThatBreaksOffIsReadAsFarAsItGoes(t *testing.T) {
	text := strings.Repeat("0123456789", 3000)
	whole := compressed(text, func(w io.Writer) io.WriteCloser {
		writer, _ := gzip.NewWriterLevel(w, gzip.NoCompression)
		return writer
	})
	for _, length := range []int{len(whole) - 1, len(whole) - 8, len(whole) / 2, firstPieceBytes, 100} {
		decoded, err := decode("gzip", whole[:length], 1<<20)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(text, string(decoded)) || len(decoded) < length-100 {
			t.Errorf("of the first %d of %d bytes: %d bytes, %v", length, len(whole), len(decoded), err)
		}
	}
}
