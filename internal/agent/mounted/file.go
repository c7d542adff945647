/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package mounted reads the files that the kubelet mounts into the agent's
// container and replaces while the agent runs.
package mounted

import (
	"fmt"
	"io"
	"os"
)

// ReadFile returns the content of a file. A file of more than limit bytes is an
// error: no file can take memory without bound.
func ReadFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("file %s has more than %d bytes", path, limit)
	}
	return content, nil
}
