//go:build race

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

// stride takes one operation in ten under the race detector, which is ten
// times slower and finds nothing in tests of one goroutine. The run without it
// takes every one.
const stride = 10
