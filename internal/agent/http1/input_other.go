//go:build !linux

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package http1

// hasInput finds nothing: only Linux runs an agent beside others.
func hasInput(uintptr) bool { return false }
