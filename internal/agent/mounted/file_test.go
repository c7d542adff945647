/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package mounted

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	const limit = 4
	path := filepath.Join(t.TempDir(), "file")
	if _, err := ReadFile(path, limit); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got error %v, want %v", err, fs.ErrNotExist)
	}
	for _, content := range []string{"", "abcd"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path, limit); err != nil || string(got) != content {
			t.Errorf("got %q and error %v, want %q", got, err, content)
		}
	}
	if err := os.WriteFile(path, []byte("abcde"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(path, limit); err == nil || !strings.Contains(err.Error(), path+" has more than 4 bytes") {
		t.Errorf("a file over the limit: got %q and error %v", got, err)
	}
	if _, err := ReadFile(t.TempDir(), limit); err == nil {
		t.Error("a directory is read without an error")
	}
}
