/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestConstantsNeedAMeaning(t *testing.T) {
	dir := t.TempDir()
	write := func(source string) {
		if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n"+source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("const (\n// A: the\n// first.\nA Kind = \"a\"\nOther = 1\n)\n")
	if got, err := constants(dir, "Kind"); err != nil || !slices.Equal(got, []constant{{"a", "the first."}}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, source := range []string{"", "const A Kind = \"a\"\n", "// A is.\nconst A Kind = \"a\"\n"} {
		write(source)
		if got, err := constants(dir, "Kind"); err == nil {
			t.Errorf("%q: got %v, want an error", source, got)
		}
	}
}

func TestCellsStayInTheirTable(t *testing.T) {
	var out bytes.Buffer
	table{{"a", "b"}, {"x|y", "1\n2"}}.write(&out)
	if got, want := out.String(), "| a | b |\n|---|---|\n| x\\|y | 1 2 |\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
