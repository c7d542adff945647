//go:build !race

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

// spoil does something in tests only.
func spoil([]byte) {}
