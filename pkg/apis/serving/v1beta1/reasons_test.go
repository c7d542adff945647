/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// source returns the code of this package and of the reconciler, without tests
// and without the descriptions.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*.go", "../../../../internal/reconciler/inferenceservice/*.go", "../../../../internal/reconciler/sinks/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(files))
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || file == "reasons.go" {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
	}
	return all.String()
}

func TestEveryReasonIsDescribed(t *testing.T) {
	described := make(map[string]bool)
	code := source(t)
	for _, description := range DescribeReasons() {
		described[description.Reason] = true
		if !strings.Contains(code, `"`+description.Reason+`"`) {
			t.Errorf("%s is described, and no code sets it", description.Reason)
		}
	}
	set := regexp.MustCompile(`(?s)Mark(?:False|Unknown|SinkNotResolved|DeadLetterSinkNotResolved|NotLogging)\((?:\w+,\s*)?"(\w+)"`)
	found := set.FindAllStringSubmatch(code, -1)
	for _, reason := range found {
		if !described[reason[1]] {
			t.Errorf("%s is set and not described", reason[1])
		}
	}
	if len(found) < 8 {
		t.Errorf("only %d reasons were found", len(found))
	}
}
