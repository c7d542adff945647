//go:build !race

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

// stride is 1 where every operation is tried.
const stride = 1
