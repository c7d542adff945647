/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package wildcard

import "testing"

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"a*", "a/b", true},
		{"a*", "ba", false},
		{"*b", "a/b", true},
		{"a*b", "a/x/b", true},
		{"a*a", "a", false},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*bc*c", "abc", false},
	} {
		if got := Parse(test.pattern).Match(test.text); got != test.want {
			t.Errorf("%q matches %q: %t, want %t", test.pattern, test.text, got, test.want)
		}
	}
}
