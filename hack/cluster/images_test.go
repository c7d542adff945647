/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestBaseImageHasWhatProgramsExpect(t *testing.T) {
	data, err := layer(baseFiles())
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	archive := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[header.Name] = header.Mode
	}
	if modes["tmp/"] != 0o1777 || modes["etc/passwd"] != 0o644 {
		t.Errorf("got %v", modes)
	}
}
