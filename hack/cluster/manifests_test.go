/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestCollectLeavesOutDeploymentsOnly(t *testing.T) {
	module := fstest.MapFS{
		"config/core/100-namespace.yaml":        {Data: []byte("kind: Namespace\n")},
		"config/core/placeholder.go":            {Data: []byte("package core")},
		"config/core/deployments/job-sink.yaml": {Data: []byte("kind: Deployment # job-sink\n")},
		"config/core/resources/job-sink.yaml":   {Data: []byte("kind: CustomResourceDefinition # job-sink\n")},
		"config/other/none.yaml":                {Data: []byte("kind: Other\n")},
	}
	got, err := source{module: "m", folder: "config/core", without: []string{"job-sink.yaml"}}.collect(module)
	want := "kind: Namespace\n---\nkind: CustomResourceDefinition # job-sink\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := (source{module: "m", folder: "config/core", without: []string{"renamed.yaml"}}).collect(module); err == nil {
		t.Error("a file to leave out that isn't there went unnoticed")
	}
}

func TestCollectLeavesOutFolders(t *testing.T) {
	module := fstest.MapFS{
		"config/crd/kustomization.yaml":       {Data: []byte("kind: Kustomization\n")},
		"config/crd/services.yaml":            {Data: []byte("kind: CustomResourceDefinition # services\n")},
		"config/crd/other/kustomization.yaml": {Data: []byte("kind: Kustomization\n")},
		"config/crd/other/others.yaml":        {Data: []byte("kind: CustomResourceDefinition # others\n")},
		"config/crd/kept/kept.yaml":           {Data: []byte("kind: CustomResourceDefinition # kept\n")},
	}
	got, err := source{module: "m", folder: "config/crd", without: []string{"other"}}.collect(module)
	want := "kind: CustomResourceDefinition # kept\n---\nkind: CustomResourceDefinition # services\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestSplitDefinitions(t *testing.T) {
	definitions, others := splitDefinitions(strings.Join([]string{
		"apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    kind: CustomResourceDefinition\n",
		"---", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n",
		"---", "", "---", "kind: Service\ndata: 'x --- y'\n",
	}, "\n"))
	if strings.Count(definitions, "---") != 0 || !strings.Contains(definitions, "{name: a}") {
		t.Errorf("definitions: %q", definitions)
	}
	if !strings.Contains(others, "kind: ConfigMap") || !strings.Contains(others, "x --- y") || strings.Contains(others, "{name: a}") {
		t.Errorf("others: %q", others)
	}
}
