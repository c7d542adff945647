//go:build tools

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package ko pins ko, which builds the images of Knative and of the project,
// and crane, which makes the local cluster's base and pause images. Both are
// in one module, so that what they share is compiled once.
package ko

import (
	_ "github.com/google/go-containerregistry/cmd/crane"
	_ "github.com/google/ko"
)
