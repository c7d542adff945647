/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestFailureShowsTheLastLines(t *testing.T) {
	log := t.TempDir() + "/logs/build.log"
	_, err := command{log: log, arguments: []string{"sh", "-c", "seq 1 100 >&2; exit 3"}}.run(context.Background())
	if err == nil {
		t.Fatal("no failure")
	}
	for _, want := range []string{"exit status 3", "    100\n", "    76\n", log} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "    75\n") {
		t.Error("more than the last lines")
	}
}

func TestOutputIsReturned(t *testing.T) {
	out, err := command{stdin: strings.NewReader("in"), environment: []string{"X=env"}, arguments: []string{"sh", "-c", "cat; echo $X"}}.run(context.Background())
	if err != nil || out != "inenv\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestLogSinceLastStart(t *testing.T) {
	log := "2026-01-01T00:00:00Z $ /bin/etcd\nold\n\n2026-01-02T00:00:00Z $ /bin/etcd --flag\nnew\n"
	if got, want := sinceLastStart(log), "2026-01-02T00:00:00Z $ /bin/etcd --flag\nnew\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got := sinceLastStart("no start"); got != "no start" {
		t.Errorf("got %q", got)
	}
}

func TestAwait(t *testing.T) {
	refused := errors.New("refused")
	t.Run("until it is ready", func(t *testing.T) {
		attempts := 0
		err := await(context.Background(), time.Minute, func(context.Context) error {
			if attempts++; attempts < 2 {
				return refused
			}
			return nil
		})
		if err != nil || attempts != 2 {
			t.Errorf("%v after %d attempts", err, attempts)
		}
	})
	t.Run("not longer than its limit, and says why", func(t *testing.T) {
		err := await(context.Background(), time.Millisecond, func(ctx context.Context) error {
			<-ctx.Done()
			return refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not at all for what waiting can't mend", func(t *testing.T) {
		err := await(context.Background(), time.Hour, func(context.Context) error { return finalError{refused} })
		if !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not once it is interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		err := await(ctx, time.Hour, func(context.Context) error {
			cancel()
			return refused
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestElapsed(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234 * time.Millisecond:   "1.2s",
		42 * time.Second:          "42s",
		185500 * time.Millisecond: "3m06s",
	} {
		if got := elapsed(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
