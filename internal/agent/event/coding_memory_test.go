//go:build !race

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

// With the race detector the runtime allocates more, and brotli takes a minute.

import (
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/andybalholm/brotli"
)

// TestDecodingTakesNoMoreThanIsReserved: all that decoding allocates is within
// DecodingBytes, so what it holds at any moment is, too.
func TestDecodingTakesNoMoreThanIsReserved(t *testing.T) {
	const most = 1 << 20
	writers := map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, 4) },
		"zstd":    newZstd,
	}
	raw := func(w io.Writer) io.WriteCloser {
		writer, _ := flate.NewWriter(w, flate.DefaultCompression)
		return writer
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 100, 5000, 300_000, most, most + 1, 2 * most} {
		text := make([]byte, size)
		for i := range text {
			text[i] = 'a' + byte(random.IntN(4))
		}
		check := func(coding string, body []byte) {
			t.Helper()
			decoded, taken, err := decodeMetered(coding, body, most)
			if size <= most && (err != nil || string(decoded) != string(text)) || size > most && !errors.Is(err, errTooLarge) {
				t.Errorf("%d bytes in %s: %d bytes, %v", size, coding, len(decoded), err)
			}
			if reserved := (Coding{ContentEncoding: coding}).DecodingBytes(most); taken > reserved {
				t.Errorf("%d bytes in %s: decoding took %d bytes, %d are reserved", size, coding, taken, reserved)
			}
		}
		for coding, writer := range writers {
			check(coding, compressed(string(text), writer))
		}
		check("deflate", compressed(string(text), raw))
		check("gzip,gzip", compressed(string(compressed(string(text), writers["gzip"])), writers["gzip"]))
	}
}

// decodeMetered decodes, and gives all bytes that were allocated for it.
func decodeMetered(coding string, body []byte, most int64) (decoded []byte, taken int64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decoded, err = decode(coding, body, most)
	runtime.ReadMemStats(&after)
	return decoded, int64(after.TotalAlloc - before.TotalAlloc), err
}
