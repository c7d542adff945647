/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTheFunctionsOnTheWayExist, each in the file that the architecture names
// for it, and there are as many as it says.
func TestTheFunctionsOnTheWayExist(t *testing.T) {
	content, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(content), "## The functions on the way\n")
	section, _, _ = strings.Cut(section, "\n## ")
	ways := regexp.MustCompile(`passes (\d+) functions:\n\n((?:\|.*\n)+)`).FindAllStringSubmatch(section, -1)
	if len(ways) != 2 {
		t.Fatalf("%d ways were found, want that of an annotation and that of a response", len(ways))
	}
	file := regexp.MustCompile("((?:`[\\w.]+`(?:, )?)+) \\(\\[[^]]*\\]\\(([^)]+)\\)\\)")
	for _, way := range ways {
		counted := 0
		for _, found := range file.FindAllStringSubmatch(way[2], -1) {
			source, err := os.ReadFile(filepath.FromSlash(found[2]))
			if err != nil {
				t.Error(err)
				continue
			}
			for name := range strings.SplitSeq(found[1], ", ") {
				counted++
				if !declares(source, strings.Trim(name, "`")) {
					t.Errorf("%s has no function %s", found[2], name)
				}
			}
		}
		if strconv.Itoa(counted) != way[1] {
			t.Errorf("%d functions are listed, and %s are counted", counted, way[1])
		}
	}
}

// declares reports whether a Go file has a function, or Type.method.
func declares(source []byte, name string) bool {
	receiver, method, isMethod := strings.Cut(name, ".")
	declaration := "^func " + name + `[[(]`
	if isMethod {
		declaration = `^func \((\w+ )?\*?` + receiver + `\) ` + method + `\(`
	}
	return regexp.MustCompile("(?m)" + declaration).Match(source)
}
