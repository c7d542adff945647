/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"os"
	"path/filepath"
)

// findCheckout returns the real path of the checkout that holds a folder. It is
// the nearest folder, at or above the given one, with this program's module.
func findCheckout(folder string) (string, error) {
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "hack", "cluster", "go.mod")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("run this within the checkout of Sidenote")
		}
		folder = parent
	}
}
