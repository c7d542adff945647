/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package refresh

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

func denies(t *testing.T, patterns ...string) metadata.DeniedValues {
	t.Helper()
	denied, err := metadata.ParseDeniedValues(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return denied
}

// mountGuard replaces the file of denied values.
func mountGuard(t *testing.T, dir, content string) {
	t.Helper()
	next := filepath.Join(dir, "next")
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, metadata.DeniedValuesFileName)); err != nil {
		t.Fatal(err)
	}
}

func TestTheFileOfDeniedValuesReplacesTheArguments(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	dir := t.TempDir()
	guard := NewGuard(dir, denies(t, "given"), zap.New(core))
	step := func(what, patterns string, failures uint64) {
		t.Helper()
		guard.refresh()
		if got := strings.Join(guard.DeniedValues().Patterns(), " "); got != patterns || guard.Failures() != failures {
			t.Errorf("%s: %q with %d failures, want %q with %d", what, got, guard.Failures(), patterns, failures)
		}
	}
	step("no file", "given", 0)
	mountGuard(t, dir, `["one"]`)
	step("a file", "one", 0)
	mountGuard(t, dir, `["one","two"]`)
	step("a longer list", "one two", 0)
	mountGuard(t, dir, `["one",`)
	step("half a file", "one two", 1)
	step("still half a file", "one two", 1)
	mountGuard(t, dir, `["("]`)
	step("an invalid pattern", "one two", 2)
	mountGuard(t, dir, `[]`)
	step("an empty list", "one two", 3)
	mountGuard(t, dir, `["three"]`)
	step("a valid one again", "three", 3)
	if err := os.Remove(filepath.Join(dir, metadata.DeniedValuesFileName)); err != nil {
		t.Fatal(err)
	}
	step("no file any more", "given", 3)
	if applied := logs.FilterMessage("denied values applied").Len(); applied != 4 {
		t.Errorf("%d changes are logged, want 4", applied)
	}
}

func TestARunningGuardFollowsTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		guard := NewGuard(dir, denies(t, "given"), zap.NewNop())
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { guard.Run(ctx) })
		mountGuard(t, dir, `["later"]`)
		time.Sleep(2 * Interval)
		if _, denied := guard.DeniedValues().Match("sooner or later"); !denied {
			t.Errorf("in force is %q", guard.DeniedValues().Patterns())
		}
		stop()
		running.Wait()
	})
}
