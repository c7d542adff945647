/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import "bytes"

// Body is a body of a length, as JSON of the V1 protocol where there is room.
func Body(length int) []byte {
	const head, row, tail = `{"instances":[`, `[6.8,2.8,4.8,1.4],`, `[6.0,3.4,4.5,1.6]]}`
	if length < len(head)+len(tail) {
		return bytes.Repeat([]byte(" "), length)
	}
	body := make([]byte, 0, length)
	body = append(body, head...)
	for len(body)+len(row)+len(tail) <= length {
		body = append(body, row...)
	}
	body = append(body, bytes.Repeat([]byte(" "), length-len(body)-len(tail))...)
	return append(body, tail...)
}
