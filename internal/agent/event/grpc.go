/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/binary"
	"errors"
	"strings"
)

// frameHeaderBytes is a gRPC message's prefix: a flag and a length
// (gRPC over HTTP2, Length-Prefixed-Message).
const frameHeaderBytes = 5

var errNotFramed = errors.New("the body is not one gRPC message")

func isGRPC(contentType string) bool {
	mediaType := mediaTypeOf(contentType)
	return mediaType == "application/grpc" || strings.HasPrefix(mediaType, "application/grpc+")
}

// isUnary reports whether a body is exactly one message: the wire doesn't tell a
// unary call from a stream of one.
func isUnary(body []byte) bool {
	message, rest, ok := cutFrame(body)
	return ok && len(rest) == 0 && message != nil
}

// cutFrame takes the first message, with its flag in front, off a body.
func cutFrame(body []byte) (flagAndMessage, rest []byte, ok bool) {
	if len(body) < frameHeaderBytes {
		return nil, body, false
	}
	length := int64(binary.BigEndian.Uint32(body[1:frameHeaderBytes]))
	if int64(len(body)-frameHeaderBytes) < length {
		return nil, body, false
	}
	end := frameHeaderBytes + int(length)
	return body[:end], body[end:], true
}

// unframe returns the one message of a unary body, decompressed to at most
// maxBytes.
func unframe(body []byte, encoding string, maxBytes int64) ([]byte, error) {
	if !isUnary(body) {
		return nil, errNotFramed
	}
	message := body[frameHeaderBytes:]
	if body[0] == 0 {
		return message, nil
	}
	if encoding == "" {
		return nil, errors.New("a compressed gRPC message without a grpc-encoding")
	}
	return decode(encoding, message, maxBytes)
}

// messageContentType is that of an unframed message.
func messageContentType(contentType string) string {
	switch mediaTypeOf(contentType) {
	case "application/grpc", "application/grpc+proto":
		return "application/protobuf"
	case "application/grpc+json":
		return "application/json"
	default:
		return octetStream
	}
}
