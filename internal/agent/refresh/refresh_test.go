/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package refresh

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var given = []metadata.Attribute{{Name: "team", Value: "given"}}

// mount writes a file as the kubelet does: a new folder, and a symbolic link
// that is swapped.
func mount(t *testing.T, dir, version, content string) {
	t.Helper()
	folder := filepath.Join(dir, version)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if content != "" {
		if err := os.WriteFile(filepath.Join(folder, metadata.FileName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, metadata.FileName)
	if _, err := os.Lstat(link); err != nil {
		if err := os.Symlink(filepath.Join("..data", metadata.FileName), link); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheFileReplacesTheArguments(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	dir := t.TempDir()
	source := NewSource(dir, given, zap.New(core))
	step := func(what, team string, changes, failures uint64) {
		t.Helper()
		source.refresh()
		got := ""
		if attributes := source.Attributes(); len(attributes) > 0 {
			got = attributes[0].Value
		}
		if got != team || source.Status().Changes != changes || source.Status().Failures != failures {
			t.Errorf("%s: team %q, %d changes, %d failures; want %q, %d, %d", what, got, source.Status().Changes, source.Status().Failures, team, changes, failures)
		}
		if source.Status().Hash != metadata.Hash(source.Attributes()) {
			t.Errorf("%s: the hash isn't that of the attributes", what)
		}
	}
	step("no file", "given", 0, 0)
	mount(t, dir, "..1", `{"team":"one"}`)
	step("a file", "one", 1, 0)
	step("the same file", "one", 1, 0)
	mount(t, dir, "..2", `{"team":"two"}`)
	step("a swapped file", "two", 2, 0)
	mount(t, dir, "..3", `{"team":`)
	step("half a file", "two", 2, 1)
	step("still half a file", "two", 2, 1)
	mount(t, dir, "..4", `{"id":"x"}`)
	step("a reserved name", "two", 2, 2)
	mount(t, dir, "..5", `{"team":"two"}`)
	step("the last good one again", "two", 2, 2)
	mount(t, dir, "..6", `{}`)
	step("an empty object", "", 3, 2)
	mount(t, dir, "..7", "")
	step("the file is gone", "given", 4, 2)
	if err := os.Remove(filepath.Join(dir, metadata.FileName)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, metadata.FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	step("a folder in its place", "given", 4, 3)
	for _, entry := range logs.All() {
		for _, field := range entry.Context {
			if field.String == "one" || field.String == "two" || field.String == "given" {
				t.Errorf("%s tells a value", entry.Message)
			}
		}
	}
}

func TestWithoutADirectoryTheArgumentsHold(t *testing.T) {
	for _, dir := range []string{"", filepath.Join(t.TempDir(), "absent")} {
		if source := NewSource(dir, given, zap.NewNop()); source.Attributes()[0].Value != "given" {
			t.Errorf("%q: %v", dir, source.Attributes())
		}
	}
}

// TestALookThatPanicsIsCounted, and is not the last one.
func TestALookThatPanicsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		dir := t.TempDir()
		var armed atomic.Bool
		source := NewSource(dir, given, zap.New(core, zap.Hooks(func(entry zapcore.Entry) error {
			if entry.Level == zap.InfoLevel && armed.CompareAndSwap(true, false) {
				panic("a value of the owner's")
			}
			return nil
		})))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { source.Run(ctx) })
		armed.Store(true)
		mount(t, dir, "v1", `{"team":"first"}`)
		time.Sleep(2 * Interval)
		if source.Status().Failures != 1 {
			t.Errorf("%d failures", source.Status().Failures)
		}
		mount(t, dir, "v2", `{"team":"second"}`)
		time.Sleep(2 * Interval)
		if got := source.Attributes(); len(got) != 1 || got[0].Value != "second" {
			t.Errorf("in force is %v", got)
		}
		stop()
		running.Wait()
		for _, entry := range logs.All() {
			if fields := fmt.Sprint(entry.ContextMap()); strings.Contains(fields, "owner") {
				t.Errorf("logged %q %s", entry.Message, fields)
			}
		}
	})
}
