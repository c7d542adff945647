/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"knative.dev/pkg/depcheck"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAgentHasNoKubernetesDependency: it sits in front of every model, and has no business
// with the Kubernetes API.
func TestAgentHasNoKubernetesDependency(t *testing.T) {
	const main = "github.com/sidenote-dev/sidenote/cmd/agent"
	if err := depcheck.CheckNoDependency(main, []string{
		"k8s.io/api/core/v1",
		"k8s.io/apimachinery/pkg/apis/meta/v1",
		"k8s.io/apimachinery/pkg/types",
		"k8s.io/client-go/kubernetes",
		"k8s.io/client-go/rest",
		"knative.dev/pkg/injection",
		"knative.dev/serving/pkg/queue",
		"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1",
		"golang.org/x/net/http2/h2c",
	}); err != nil {
		t.Error(err)
	}
}

// startsNone are the packages in which nothing starts a goroutine.
var startsNone = []string{"ledger", "metrics", "mounted", "panics", "sampling"}

// TestPackagesCheckForGoroutineLeaks: the tests of every other package end with a
// search for goroutines that outlive them.
func TestPackagesCheckForGoroutineLeaks(t *testing.T) {
	looks := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		folder := filepath.Dir(path)
		looks[folder] = looks[folder] || strings.Contains(string(text), "\n\tgoleak.VerifyTestMain(m)\n") ||
			strings.Contains(string(text), "{ goleak.VerifyTestMain(m) }\n")
		return err
	})
	if err != nil || len(looks) < 5 {
		t.Fatalf("%d folders with tests: %v", len(looks), err)
	}
	for folder, does := range looks {
		if !does && !slices.Contains(startsNone, folder) {
			t.Errorf("the tests in %s don't end with goleak.VerifyTestMain", folder)
		}
	}
}
