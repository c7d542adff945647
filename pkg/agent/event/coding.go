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
	"strings"
)

const (
	// maxRatio bounds how far a body may grow when it is decoded. Real JSON
	// stays under 30; a bomb of zeros reaches 1000.
	maxRatio = 100
	// freeRatioBytes may always be decoded, or a short run of equal values
	// would count as a bomb.
	freeRatioBytes = 64 << 10
)

var errTooLarge = errors.New("the decoded body is over the size or ratio cap")

// contentCodingOf gives the one content coding of a body: empty where it has
// none, and an unknown one where several are stacked.
func contentCodingOf(contentEncoding string) string {
	coding := strings.ToLower(strings.ReplaceAll(contentEncoding, " ", ""))
	switch coding {
	case "identity":
		return ""
	case "x-gzip":
		return "gzip"
	default:
		return coding
	}
}

func knownCoding(coding string) bool {
	return coding == "" || coding == "gzip" || coding == "deflate"
}

func decodable(coding Coding, grpc bool) bool {
	if grpc && !knownCoding(contentCodingOf(coding.GRPCEncoding)) {
		return false
	}
	return knownCoding(contentCodingOf(coding.ContentEncoding))
}

// decode removes a content coding, to at most maxBytes. Of data that breaks off
// it gives what there is, with io.ErrUnexpectedEOF.
func decode(coding string, data []byte, maxBytes int64) ([]byte, error) {
	if coding == "" || len(data) == 0 {
		return data, nil
	}
	reader, err := decoderFor(coding, data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", coding, err)
	}
	limit := min(maxBytes, max(freeRatioBytes, maxRatio*int64(len(data))))
	decoded, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if int64(len(decoded)) > limit {
		return nil, errTooLarge
	}
	if err != nil {
		return decoded, fmt.Errorf("reading %s: %w", coding, err)
	}
	return decoded, nil
}

// decodeCut removes the content coding of a body of which the end is missing.
func decodeCut(coding Coding, data []byte, maxBytes int64) ([]byte, error) {
	decoded, err := decode(contentCodingOf(coding.ContentEncoding), data, maxBytes)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return decoded, nil
	}
	return decoded, err
}

func decoderFor(coding string, data []byte) (io.Reader, error) {
	switch coding {
	case "gzip":
		return gzip.NewReader(bytes.NewReader(data))
	case "deflate":
		reader, err := zlib.NewReader(bytes.NewReader(data))
		if errors.Is(err, zlib.ErrHeader) {
			// Some senders leave out the zlib wrapping that RFC 9110, 8.4.1.2
			// asks for.
			return flate.NewReader(bytes.NewReader(data)), nil
		}
		return reader, err
	default:
		return nil, fmt.Errorf("coding %q is not known", coding)
	}
}

// Compressed says whether the body has a content coding, or its gRPC messages
// one, so that reading it takes room.
func (c Coding) Compressed() bool {
	return contentCodingOf(c.ContentEncoding) != "" ||
		isGRPC(c.ContentType) && contentCodingOf(c.GRPCEncoding) != ""
}
