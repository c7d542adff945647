/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import (
	"fmt"
	"strings"
)

// Marks of the part of a document that is generated.
const (
	BeginMark = "<!-- begin: written by make bench -->"
	EndMark   = "<!-- end: written by make bench -->"
)

// Insert puts a text between the marks of a document.
func Insert(document, text string) (string, error) {
	before, rest, begins := strings.Cut(document, BeginMark)
	_, after, ends := strings.Cut(rest, EndMark)
	if !begins || !ends {
		return "", fmt.Errorf("the document lacks the marks %q and %q", BeginMark, EndMark)
	}
	return before + BeginMark + "\n" + strings.TrimRight(text, "\n") + "\n" + EndMark + after, nil
}

// Summary is what a document shows of a run: the goals, and the machine.
func Summary(result *Result, judgements []Judgement) string {
	return GoalTable(judgements) + "\n" + MachineLine(result)
}
