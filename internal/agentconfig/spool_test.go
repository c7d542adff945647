/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"strings"
	"testing"
)

func TestSpoolOptions(t *testing.T) {
	given, err := Parse([]string{
		"--sink=http://broker.svc", "--sink.default.spool-dir=/spool/default", "--sink.default.spool-bytes=201326592",
		"--sink=audit=http://audit", "--sink.audit.spool-when-full=newest", "--sink.audit.spool-dir=/spool/audit",
		"--sink.audit.spool-bytes=131072", "--sink.audit.spool-sync=true", "--sink=other=stdout",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *given.Sinks[0].Spool, (Spool{Directory: "/spool/default", Bytes: 192 << 20}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := *given.Sinks[1].Spool, (Spool{Directory: "/spool/audit", Bytes: 128 << 10, DropNewest: true, Sync: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if given.Sinks[2].Spool != nil {
		t.Error("a sink without options of a spool has one")
	}
}

// TestAWrongSpoolIsNamed, with what to write.
func TestAWrongSpoolIsNamed(t *testing.T) {
	const sink = "--sink=http://broker.svc "
	for line, want := range map[string]string{
		sink + "--sink.default.spool-bytes=131072":                                    "argument --sink.default: missing directory of the spool: write --sink.default.spool-dir=DIR",
		sink + "--sink.default.spool-sync=true":                                       "write --sink.default.spool-dir=DIR",
		sink + "--sink.default.spool-when-full=oldest":                                "write --sink.default.spool-dir=DIR",
		sink + "--sink.default.spool-dir=/spool":                                      "argument --sink.default: missing limit of the spool: write --sink.default.spool-bytes=BYTES",
		sink + "--sink.default.spool-dir=":                                            "missing directory of the spool",
		sink + "--sink.default.spool-dir=/d --sink.default.spool-bytes=131071":        "must be 131072 to",
		sink + "--sink.default.spool-dir=/d --sink.default.spool-bytes=1Gi":           "must be 131072 to",
		sink + "--sink.default.spool-dir=/d --sink.default.spool-when-full=some":      `argument --sink.default.spool-when-full: invalid value "some": must be one of oldest, newest`,
		sink + "--sink.default.spool-dir=/d --sink.default.spool-sync=yes":            "must be one of false, true",
		"--sink=stdout --sink.default.spool-dir=/d --sink.default.spool-bytes=131072": "argument --sink.default: the standard output can't have a spool: remove --sink.default.spool-dir",
		"--sink=a=http://a --sink.a.spool-dir=/d --sink.a.spool-bytes=131072 --sink=b=http://b --sink.b.spool-dir=/d --sink.b.spool-bytes=131072": "argument --sink.b.spool-dir: sink \"a\" has the same directory: must be a directory of its own",
	} {
		if _, err := Parse(strings.Split(line, " ")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}
