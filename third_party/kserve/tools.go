//go:build tools

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package kserve pins KServe's controller, which the local cluster runs if it
// is asked to. The module has the replacements of KServe's own go.mod, which
// the main module's would not know of otherwise.
package kserve

import (
	_ "github.com/kserve/kserve/cmd/manager"
)
