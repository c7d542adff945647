/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package flow writes values into the manifests of features.
package flow

import (
	"encoding/json"

	"knative.dev/reconciler-test/pkg/feature"
)

// Style writes a value in YAML's flow style, which JSON is a part of.
func Style(t feature.T, value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
