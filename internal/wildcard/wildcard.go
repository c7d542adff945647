/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package wildcard matches texts with patterns in which "*" stands for any run
// of characters, slashes included. The standard library's path.Match stops at a
// slash.
package wildcard

import "strings"

// Any is the wildcard.
const Any = "*"

// Pattern has the parts of a pattern between its wildcards.
type Pattern []string

// Parse reads a pattern. Every text is one.
func Parse(text string) Pattern { return strings.Split(text, Any) }

// Match reports whether the whole text matches. Its time grows only with the
// length of the text, whatever the pattern.
func (p Pattern) Match(text string) bool {
	rest, ok := strings.CutPrefix(text, p[0])
	if !ok || len(p) == 1 {
		return ok && rest == ""
	}
	last := len(p) - 1
	for _, part := range p[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, p[last])
}
