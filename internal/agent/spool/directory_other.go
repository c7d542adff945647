//go:build !linux

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import "os"

func syncData(file *os.File) error { return file.Sync() }

// lock does nothing: only Linux runs an agent beside others.
func lock(*os.File) error { return nil }
