/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// FuzzDecode: whatever a body claims to be, it decodes to what the standard
// library makes of it, within both caps, or not at all.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"", "{}", "a body that is a little longer than that one, longer than that one", string(make([]byte, 300_000))} {
		f.Add("gzip", compressed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }), int64(100_000))
		f.Add("deflate", compressed(text, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }), int64(1<<20))
		f.Add("deflate", compressed(text, func(w io.Writer) io.WriteCloser {
			raw, _ := flate.NewWriter(w, flate.BestSpeed)
			return raw
		}), int64(100_000))
	}
	for _, text := range []string{"{}", string(make([]byte, 300_000)), string(make([]byte, 1<<20))} {
		f.Add("br", compressed(text, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }), int64(1<<20))
		f.Add("zstd", compressed(text, newZstd), int64(1<<20))
		f.Add("gzip,zstd", compressed(string(compressed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })), newZstd), int64(1<<20))
	}
	f.Add("gzip", []byte("\x1f\x8b\x08"), int64(10))
	f.Add("br", []byte("x"), int64(10))
	f.Add("compress", []byte("x"), int64(10))
	f.Fuzz(func(t *testing.T, coding string, data []byte, most int64) {
		if most < 1 || most > 1<<20 {
			t.Skip("a cap that no agent takes, or one that makes the fuzzer slow")
		}
		decoded, err := decode(coding, data, most)
		if coding == "" || len(data) == 0 {
			if err != nil || !bytes.Equal(decoded, data) {
				t.Fatalf("without a coding: %q, %v", decoded, err)
			}
			return
		}
		if err != nil {
			if decoded != nil && !errors.Is(err, io.ErrUnexpectedEOF) || int64(len(decoded)) > most {
				t.Errorf("%v, and %d bytes", err, len(decoded))
			}
			return
		}
		if int64(len(decoded)) > most || len(decoded) > freeRatioBytes && len(decoded) > maxRatio*len(data) {
			t.Errorf("%d bytes of %s became %d, the cap is %d", len(data), coding, len(decoded), most)
		}
		if want := standard(coding, data); !bytes.Equal(decoded, want) {
			t.Errorf("%d bytes, by the standard library %d", len(decoded), len(want))
		}
	})
}

func newZstd(w io.Writer) io.WriteCloser {
	writer, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return writer
}

// standard decodes without a cap.
func standard(coding string, data []byte) []byte {
	if first, second, stacked := strings.Cut(coding, ","); stacked {
		return standard(first, standard(second, data))
	}
	var reader io.Reader
	switch coding {
	case "br":
		reader = brotli.NewReader(bytes.NewReader(data))
	case "zstd":
		decoder, _ := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
		defer decoder.Close()
		reader = decoder
	case "gzip":
		reader, _ = gzip.NewReader(bytes.NewReader(data))
	case "deflate":
		wrapped, err := zlib.NewReader(bytes.NewReader(data))
		if err == nil {
			reader = wrapped
		} else {
			reader = flate.NewReader(bytes.NewReader(data))
		}
	}
	decoded, _ := io.ReadAll(reader)
	return decoded
}

func compressed(text string, by func(io.Writer) io.WriteCloser) []byte {
	var buffer bytes.Buffer
	writer := by(&buffer)
	_, _ = io.WriteString(writer, text)
	_ = writer.Close()
	return buffer.Bytes()
}

// FuzzMessages: no framing of a gRPC body, and no compression of its one
// message, reads past its end or grows past the cap.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(frame(0, "m")), "", int64(10))
	f.Add([]byte(frame(0, "m")+frame(0, "n")), "gzip", int64(10))
	f.Add([]byte(frame(1, gzipped("message"))), "gzip", int64(1000))
	f.Add([]byte("\x01\xff\xff\xff\xff"), "gzip", int64(10))
	f.Add([]byte{0, 0, 0}, "", int64(10))
	f.Fuzz(func(t *testing.T, body []byte, encoding string, most int64) {
		if most < 1 || most > 1<<20 {
			t.Skip("a cap that no agent takes, or one that makes the fuzzer slow")
		}
		messages, rest := 0, body
		for {
			message, after, ok := cutFrame(rest)
			if !ok {
				break
			}
			if !bytes.Equal(append(bytes.Clone(message), after...), rest) {
				t.Fatalf("of %q: %q and %q", rest, message, after)
			}
			messages, rest = messages+1, after
		}
		// However the body is cut into pieces on its way.
		counted := NewMessages(Coding{ContentType: "application/grpc"})
		for piece := range slices.Chunk(body, int(most)) {
			counted.Write(piece)
		}
		if want := messages > 0 && len(rest) == 0; counted.Whole() != want || counted.count != uint64(messages) {
			t.Errorf("%q has %d messages and is whole: %v", body, counted.count, counted.Whole())
		}
		message, err := unframe(body, encoding, most)
		if (messages != 1 || len(rest) > 0) && err == nil {
			t.Errorf("%q is one message: %q", body, message)
		}
		if err == nil && body[0] != 0 && int64(len(message)) > most {
			t.Errorf("a message of %d bytes, the cap is %d", len(message), most)
		}
	})
}

// FuzzLoop: no body makes reading it for a loop panic, and one that names an
// event of ours at its top is one, wherever its type stands.
func FuzzLoop(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","type":"io.kubeflow.serving.inference.request","data":{"type":"x"}}`))
	f.Add([]byte(`{"data":{"type":"io.kubeflow.serving.inference.request"},"type":"x"}`))
	f.Add([]byte(`[{"type":"x"},{"type":"io.kubeflow.serving.inference.response"}]`))
	f.Add([]byte(`{"type":`))
	f.Add([]byte("[[[[{"))
	f.Fuzz(func(_ *testing.T, body []byte) {
		InBody(Body{Data: body, Size: int64(len(body))}, Identity{})
		InBody(Body{Data: body, Size: int64(len(body)) + 1}, Identity{})
	})
}
