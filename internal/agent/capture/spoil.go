//go:build !race && !spoil

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

// spoil does something with the race detector or the build tag "spoil" only.
func spoil([]byte) {}
