/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package docs has no code: its tests check what the documents refer to.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = ".."

// read returns the repository's own files whose names have an ending, by path.
func read(t *testing.T, ending string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	if err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "third_party"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ending):
			return nil
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("there is no file *%s", ending)
	}
	return files
}

// TestEveryTestThatADocumentNamesExists, or its promise is held by nothing.
func TestEveryTestThatADocumentNamesExists(t *testing.T) {
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	declared := make(map[string]bool)
	for _, content := range read(t, "_test.go") {
		for _, found := range declaration.FindAllStringSubmatch(content, -1) {
			declared[found[1]] = true
		}
	}
	name := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`)
	named := 0
	for path, content := range read(t, ".md") {
		for _, found := range name.FindAllString(content, -1) {
			named++
			if !declared[found] {
				t.Errorf("%s names %s, which is no test", path, found)
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d names were found", named)
	}
}

// TestEveryLinkBetweenDocumentsLeadsSomewhere: to a file, and to a heading of
// it.
func TestEveryLinkBetweenDocumentsLeadsSomewhere(t *testing.T) {
	documents := read(t, ".md")
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)`)
	for path, content := range documents {
		for _, found := range link.FindAllStringSubmatch(content, -1) {
			target, anchor := found[1], found[2]
			if strings.Contains(target, "://") {
				continue
			}
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, target)
			} else if anchor != "" && !anchors(documents[to])[anchor] {
				t.Errorf("%s: %s has no heading for #%s", path, to, anchor)
			}
		}
	}
}

var (
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInLinks = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns those of a document's headings, as GitHub makes them.
func anchors(document string) map[string]bool {
	all := make(map[string]bool)
	for _, found := range heading.FindAllStringSubmatch(document, -1) {
		all[strings.ReplaceAll(notInLinks.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-")] = true
	}
	return all
}
