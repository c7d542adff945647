/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// distribution is a part of a platform: which files of its modules make it up.
type distribution struct {
	// name is that of the folder with the changes, and of the result.
	name      string
	namespace string
	sources   []source
}

// source is a folder of a module that third_party pins.
type source struct {
	module string
	folder string
	// without are files, and folders within the folder, that the local cluster
	// does without.
	without []string
}

// collect joins the manifests of a folder to one.
func (s source) collect(module fs.FS) (string, error) {
	omitted := map[string]bool{}
	for _, name := range s.without {
		omitted[name] = false
	}
	var documents []string
	err := fs.WalkDir(module, s.folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// Deployments of that name only: CRDs have the same names.
		if _, omit := omitted[path.Base(name)]; omit && !strings.Contains(name, "/resources/") {
			omitted[path.Base(name)] = true
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() || path.Ext(name) != ".yaml" || path.Base(name) == "kustomization.yaml" {
			return nil
		}
		data, err := fs.ReadFile(module, name)
		documents = append(documents, strings.TrimSpace(string(data)))
		return err
	})
	if err != nil {
		return "", err
	}
	for name, found := range omitted {
		if !found {
			return "", fmt.Errorf("%s/%s has no %s to leave out", s.module, s.folder, name)
		}
	}
	return joinDocuments(documents), nil
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

func joinDocuments(documents []string) string {
	return strings.Join(documents, "\n---\n") + "\n"
}

// splitDefinitions parts the definitions of resources, which have to be known
// first, from all else.
func splitDefinitions(manifest string) (definitions, others string) {
	var first, second []string
	for _, document := range separator.Split(manifest, -1) {
		document = strings.TrimSpace(document)
		switch {
		case document == "":
		case strings.Contains("\n"+document, "\nkind: CustomResourceDefinition"):
			first = append(first, document)
		default:
			second = append(second, document)
		}
	}
	return joinDocuments(first), joinDocuments(second)
}
