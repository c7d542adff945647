/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package refresh

import (
	"errors"
	"io/fs"

	"github.com/sidenote-dev/sidenote/internal/agent/mounted"
)

// maxFileBytes is well above the size of a valid file.
const maxFileBytes = 64 << 10

// file is a mounted file, of which each content is handled once.
type file struct {
	path string
	// last is the last result of reading.
	last finding
}

// finding is the result of reading the file: its content, or none.
type finding struct {
	kind    findingKind
	content string
}

type findingKind uint8

const (
	absent findingKind = iota
	unreadable
	readable
)

// read returns the content, and whether the result differs from the last one.
func (f *file) read() (content []byte, kind findingKind, changed bool, err error) {
	content, err = mounted.ReadFile(f.path, maxFileBytes)
	found := finding{kind: readable, content: string(content)}
	if err != nil {
		found = finding{kind: unreadable}
		if errors.Is(err, fs.ErrNotExist) {
			found.kind = absent
		}
	}
	changed = found != f.last
	f.last = found
	return content, found.kind, changed, err
}
