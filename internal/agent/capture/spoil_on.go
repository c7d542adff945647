//go:build race || spoil

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

// spoil overwrites a buffer that is no longer in use. Whoever
// still reads it is then found by the content, and by the race detector.
func spoil(buffer []byte) {
	buffer = buffer[:cap(buffer)]
	for i := range buffer {
		buffer[i] = 0xdb
	}
}
