/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package process

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestParseTable(t *testing.T) {
	got := parseTable("Name:\tx\nRssAnon:\t   12 kB\nsyscr: 10\nempty:\n")
	if len(got) != 2 || got["RssAnon"] != 12 || got["syscr"] != 10 {
		t.Errorf("got %v", got)
	}
}

func TestUsageGrowsWhileAProcessRuns(t *testing.T) {
	p, err := Start(Command{Path: "/bin/sh", Arguments: []string{"-c", "while :; do :; done"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	var before Usage
	if err := p.Await(t.Context(), func() (err error) {
		before, err = p.Usage()
		return err
	}, time.Millisecond, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := p.Await(t.Context(), func() error {
		now, err := p.Usage()
		if since := now.Since(before); err == nil && (since.CPU <= 0 || since.User <= 0) {
			return errors.New("it has not run")
		}
		return err
	}, time.Millisecond, time.Minute); err != nil {
		t.Error(err)
	}
	if memory, err := p.Memory(); err != nil || memory.Peak == 0 {
		t.Errorf("memory: %+v, %v", memory, err)
	}
	p.Kill()
	if _, err := p.Usage(); err == nil {
		t.Error("a process that is gone has a usage")
	}
}

func TestAwaitTellsTheLastWords(t *testing.T) {
	p, err := Start(Command{Path: "/bin/sh", Arguments: []string{"-c", "echo no such argument; exit 1"}})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Await(t.Context(), func() error { return errors.New("not yet") }, time.Millisecond, time.Minute)
	if want := "/bin/sh ended: no such argument\n"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	p, err := Start(Command{Path: "/bin/sh", Arguments: []string{"-c", "while :; do sleep 1; done"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Await(ctx, func() error { return errors.New("not yet") }, time.Hour, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
