/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Storage-initializer stands for the storage initializer of KServe, which
// downloads a model before its server starts. It takes the same arguments,
// pairs of a URI and a folder, and writes one small file to each folder.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "storage-initializer:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 || len(arguments)%2 != 0 {
		return fmt.Errorf("the arguments are %q; name pairs of a URI and a folder", arguments)
	}
	for i := 0; i < len(arguments); i += 2 {
		uri, folder := arguments[i], arguments[i+1]
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "model"), []byte(uri+"\n"), 0o644); err != nil {
			return err
		}
		fmt.Printf("wrote the model of %s to %s\n", uri, folder)
	}
	return nil
}
