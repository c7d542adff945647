//go:build !linux

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package procs

import "time"

// processTime is not known: only Linux runs an agent beside a model.
func processTime() (time.Duration, bool) { return 0, false }
