//go:build tools

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package wire pins the conformance suites that test/faults runs.
package wire

import _ "github.com/summerwind/h2spec/cmd/h2spec"
