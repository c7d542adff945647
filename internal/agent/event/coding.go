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
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxRatio bounds how far a body may grow when it is decoded. Real inputs
	// grow far: measured with the encoders' usual levels,
	//
	//	                                     gzip   zstd      br
	//	chat completion as a stream            35     33      40
	//	a mask of 512 by 512                  149    347     603
	//	30 000 floats, 30 of them not 0       275    318     385
	//	680 KB of floats, 10 of them not 0    827   2491    4172
	//	600 KB of an attention mask           924   5882   17143
	//	700 KB of zero bytes                  977   8533   55138
	//
	// So the cap on the size is what bounds the memory. This one keeps a few
	// bytes from becoming the largest event where that cap is high.
	maxRatio = 20_000
	// freeRatioBytes may always be decoded, or a short run of equal values
	// would count as a bomb.
	freeRatioBytes = 64 << 10

	// maxCodings is how many codings are removed of one body.
	maxCodings = 2

	// maxBrotliWindow bounds the window of brotli, which is memory beside the
	// decoded body. Encoders use up to 4 MiB where nothing else is set.
	maxBrotliWindow = 4 << 20
	// maxZstdWindow is what RFC 9659 allows the content coding. It takes no
	// memory here: the window is the decoded body.
	maxZstdWindow = 8 << 20
	// zstdBytes is what a zstd decoder takes for its blocks and tables, and
	// flateBytes what one of gzip or deflate takes, window included. Both have
	// what the allocator adds.
	zstdBytes  = 1 << 20
	flateBytes = 128 << 10

	// firstPieceBytes is the first piece that a decoded body is read in.
	firstPieceBytes = 4 << 10
)

var (
	errTooLarge = errors.New("the decoded body exceeds the size or ratio limit")
	errWindow   = errors.New("the brotli window exceeds its limit")
)

// noCodings are values of Content-Encoding by which people mean that there is
// none. Most are charsets.
var noCodings = map[string]bool{
	"": true, "identity": true, "none": true, "utf-8": true, "utf8": true, "binary": true,
}

// contentCodingOf returns the content codings of a body in the order in which they
// were applied, with commas between: empty where it has none.
func contentCodingOf(contentEncoding string) string {
	var codings []string
	for coding := range strings.SplitSeq(contentEncoding, ",") {
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding == "x-gzip" {
			coding = "gzip"
		}
		if !noCodings[coding] {
			codings = append(codings, coding)
		}
	}
	return strings.Join(codings, ",")
}

func knownCoding(coding string) bool {
	if coding == "" {
		return true
	}
	codings := strings.Split(coding, ",")
	return len(codings) <= maxCodings && !slices.ContainsFunc(codings, func(coding string) bool {
		return !slices.Contains([]string{"gzip", "deflate", "br", "zstd"}, coding)
	})
}

func decodable(coding Coding, grpc bool) bool {
	if grpc && !knownCoding(contentCodingOf(coding.GRPCEncoding)) {
		return false
	}
	return knownCoding(contentCodingOf(coding.ContentEncoding))
}

// decode removes content codings, to at most maxBytes after each. Of data that
// breaks off it gives what there is, with io.ErrUnexpectedEOF.
func decode(coding string, data []byte, maxBytes int64) ([]byte, error) {
	if coding == "" || len(data) == 0 {
		return data, nil
	}
	if !knownCoding(coding) {
		return nil, fmt.Errorf("unknown coding %q", coding)
	}
	limit := min(maxBytes, max(freeRatioBytes, maxRatio*int64(len(data))))
	codings := strings.Split(coding, ",")
	var cut error
	for _, coding := range slices.Backward(codings) {
		decoded, err := decodeOne(coding, data, limit)
		switch {
		case int64(len(decoded)) > limit:
			return nil, errTooLarge
		case errors.Is(err, io.ErrUnexpectedEOF):
			cut = fmt.Errorf("reading %s: %w", coding, err)
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", coding, err)
		}
		data = decoded
	}
	return data, cut
}

// decodeOne removes one coding. It gives more than limit bytes where there are
// more.
func decodeOne(coding string, data []byte, limit int64) ([]byte, error) {
	if coding == "zstd" {
		return decodeZstd(data, limit)
	}
	reader, err := decoderFor(coding, data)
	if err != nil {
		return nil, err
	}
	return readUpTo(reader, limit+1)
}

// readUpTo reads at most limit bytes. It takes twice what it reads: once in
// pieces and once in one. io.ReadAll takes up to two and a half times that.
func readUpTo(reader io.Reader, limit int64) ([]byte, error) {
	var pieces [][]byte
	piece := make([]byte, 0, min(firstPieceBytes, limit))
	var err error
	for err == nil && limit > 0 {
		if len(piece) == cap(piece) {
			pieces = append(pieces, piece)
			piece = make([]byte, 0, min(2*int64(cap(piece)), limit))
		}
		var n int
		n, err = reader.Read(piece[len(piece):cap(piece)])
		piece = piece[:len(piece)+n]
		limit -= int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return slices.Concat(append(pieces, piece)...), err
}

func decoderFor(coding string, data []byte) (io.Reader, error) {
	switch coding {
	case "gzip":
		return gzip.NewReader(bytes.NewReader(data))
	case "br":
		if brotliWindow(data) > maxBrotliWindow {
			return nil, errWindow
		}
		return brotli.NewReader(bytes.NewReader(data)), nil
	default:
		reader, err := zlib.NewReader(bytes.NewReader(data))
		if errors.Is(err, zlib.ErrHeader) {
			// Some senders leave out the zlib wrapping that RFC 9110, 8.4.1.2
			// asks for.
			return flate.NewReader(bytes.NewReader(data)), nil
		}
		return reader, err
	}
}

func decodeZstd(data []byte, limit int64) ([]byte, error) {
	decoder, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		// Under the window's cap the decoder refuses windows. What bounds the
		// decoded body is the room that it gets.
		zstd.WithDecoderMaxMemory(uint64(max(limit, maxZstdWindow))), zstd.WithDecoderMaxWindow(maxZstdWindow),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	decoded, err := decoder.DecodeAll(data, make([]byte, 0, limit))
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, errTooLarge
	}
	// An event holds all of the room that its data has.
	return bytes.Clone(decoded), err
}

// brotliWindow reads the size of the window off the first byte (RFC 7932, 9.1).
func brotliWindow(data []byte) int {
	first := data[0]
	switch wide, narrow := first>>1&7, first>>4&7; {
	case first&1 == 0:
		return 1 << 16
	case wide != 0:
		return 1 << (17 + wide)
	case narrow == 0:
		return 1 << 17
	default:
		return 1 << (8 + narrow)
	}
}

// decodeCut removes the content coding of a body of which the end is missing.
func decodeCut(coding Coding, data []byte, maxBytes int64) ([]byte, error) {
	decoded, err := decode(contentCodingOf(coding.ContentEncoding), data, maxBytes)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return decoded, nil
	}
	return decoded, err
}

// DecodingBytes is what it may take beside the body to read it, 0 where it has
// no coding that is known and its gRPC messages have none.
func (c Coding) DecodingBytes(maxBytes int64) int64 {
	codings := contentCodingOf(c.ContentEncoding)
	if isGRPC(c.ContentType) {
		if messages := contentCodingOf(c.GRPCEncoding); messages != "" {
			codings += "," + messages
		}
	}
	total := int64(0)
	for coding := range strings.SplitSeq(codings, ",") {
		// The decoded body is there twice: as it is read, and as the event has it.
		switch coding {
		case "gzip", "deflate":
			total += 2*maxBytes + flateBytes
		case "zstd":
			total += 2*maxBytes + zstdBytes
		case "br":
			total += 2*maxBytes + maxBrotliWindow + flateBytes
		}
	}
	return total
}
