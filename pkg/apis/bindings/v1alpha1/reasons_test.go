/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// source returns the code of these folders, without tests and without the
// descriptions.
func source(t *testing.T, folders ...string) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", folder, err, len(files))
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

const internal = "../../../../internal/"

func TestEveryReasonOfAConditionIsDescribed(t *testing.T) {
	code := source(t, ".", internal+"reconciler/loggerbinding", internal+"reconciler/sinks")
	described := make(map[string]bool)
	for _, description := range DescribeReasons() {
		described[description.Reason] = true
		if !strings.Contains(code, `"`+description.Reason+`"`) {
			t.Errorf("%s is described, and no code sets it", description.Reason)
		}
	}
	found := regexp.MustCompile(`Mark(?:False|Unknown)\(\w+, "(\w+)"`).FindAllStringSubmatch(code, -1)
	for _, reason := range found {
		if !described[reason[1]] {
			t.Errorf("%s is set and not described", reason[1])
		}
	}
	if len(found) < 8 {
		t.Errorf("only %d reasons were found", len(found))
	}
}

// Reasons of internal/binding are constants of its own, or these.
func TestEveryReasonOfASubjectIsGiven(t *testing.T) {
	code := source(t, internal+"binding", internal+"reconciler/loggerbinding")
	content, err := os.ReadFile("reasons.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(\w+) +SubjectReason = ("\w+")`).FindAllStringSubmatch(string(content), -1)
	for _, reason := range declared {
		if !strings.Contains(code, reason[1]) && !strings.Contains(code, reason[2]) {
			t.Errorf("nothing gives the reason %s", reason[2])
		}
	}
	if len(declared) < 10 {
		t.Errorf("only %d reasons were found", len(declared))
	}
}
