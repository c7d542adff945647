/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package http1

import "golang.org/x/sys/unix"

// hasInput reports whether a read from a socket would not wait.
func hasInput(socket uintptr) bool {
	ask := [...]unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN}}
	found, err := unix.Poll(ask[:], 0)
	return err == nil && found > 0
}
