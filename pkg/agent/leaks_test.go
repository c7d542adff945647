/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoPackageLeavesGoroutines: each folder with tests ends them by looking
// for what outlives them.
func TestNoPackageLeavesGoroutines(t *testing.T) {
	looks := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		folder := filepath.Dir(path)
		looks[folder] = looks[folder] || strings.Contains(string(text), "\n\tgoleak.VerifyTestMain(m)\n") ||
			strings.Contains(string(text), "{ goleak.VerifyTestMain(m) }\n")
		return err
	})
	if err != nil || len(looks) < 5 {
		t.Fatalf("%d folders with tests: %v", len(looks), err)
	}
	for folder, does := range looks {
		if !does {
			t.Errorf("the tests in %s don't end with goleak.VerifyTestMain", folder)
		}
	}
}
