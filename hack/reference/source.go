/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// constant is a constant of a named string type, and its doc comment without
// the name.
type constant struct{ value, meaning string }

// constants lists the constants of a type in a folder, in the order of the
// source. Each needs a comment of the form "Name: meaning".
func constants(dir, typeName string) ([]constant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var found []constant
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, declaration := range file.Decls {
			of, isDeclaration := declaration.(*ast.GenDecl)
			if !isDeclaration || of.Tok != token.CONST {
				continue
			}
			for _, spec := range of.Specs {
				value := spec.(*ast.ValueSpec)
				if value.Type == nil || types.ExprString(value.Type) != typeName {
					continue
				}
				text, err := strconv.Unquote(value.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					return nil, err
				}
				_, meaning, named := strings.Cut(strings.Join(strings.Fields(value.Doc.Text()), " "), value.Names[0].Name+": ")
				if !named {
					return nil, fmt.Errorf("%s: the comment of %s has not the form %q", name, value.Names[0].Name, "Name: meaning")
				}
				found = append(found, constant{text, meaning})
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no constants of type %s", dir, typeName)
	}
	return found, nil
}

// table is a Markdown table: the first row is its head.
type table [][]string

func (t table) write(out *bytes.Buffer) {
	for i, row := range t {
		cells := make([]string, 0, len(row))
		for _, cell := range row {
			cells = append(cells, strings.NewReplacer("|", `\|`, "\n\n", "<br>", "\n", " ").Replace(cell))
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			fmt.Fprintf(out, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
}

func code(text string) string { return "`" + text + "`" }

// plain escapes what Markdown would read as markup in text that has none.
func plain(text string) string {
	return strings.NewReplacer("*", `\*`, "<", "&lt;", "_", `\_`).Replace(text)
}
