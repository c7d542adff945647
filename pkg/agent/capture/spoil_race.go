//go:build race

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

// spoil overwrites a buffer that is no longer in use. A test with the race
// detector then finds whoever still reads it, by the content or by the race.
func spoil(buffer []byte) {
	buffer = buffer[:cap(buffer)]
	for i := range buffer {
		buffer[i] = 0xdb
	}
}
