/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package report

import "testing"

func TestInsertReplacesOnlyWhatIsBetweenTheMarks(t *testing.T) {
	document := "a\n" + BeginMark + "\nold\n" + EndMark + "\nb\n"
	got, err := Insert(document, "new\n\n")
	if want := "a\n" + BeginMark + "\nnew\n" + EndMark + "\nb\n"; got != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if again, _ := Insert(got, "new"); again != got {
		t.Errorf("a second time: %q", again)
	}
	if _, err := Insert("no marks", "new"); err == nil {
		t.Error("a document without marks is taken")
	}
}
