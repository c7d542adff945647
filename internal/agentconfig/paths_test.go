/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/inference"
)

func TestPathsAreOnePatternEach(t *testing.T) {
	given, err := Parse([]string{"--paths=/v1/models/*", "--paths", "!/v1/models/a,b:predict"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]inference.Verdict{
		"/v1/models/m:predict":   inference.Inference,
		"/v1/models/a,b:predict": inference.OtherPath,
		"/other":                 inference.OtherPath,
	} {
		if got, _ := given.Paths.Judge(httptest.NewRequest("POST", path, nil)); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if _, err := Parse([]string{"--paths=v1"}); err == nil || !strings.Contains(err.Error(), "argument --paths: invalid pattern: must begin with / or *") {
		t.Errorf("got %v", err)
	}
}
