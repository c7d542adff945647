/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sidenote-dev/sidenote/test/performance/process"
	"github.com/sidenote-dev/sidenote/test/performance/report"
)

const module = "github.com/sidenote-dev/sidenote/"

// build builds what is measured.
func build(ctx context.Context, directory string, o options) (binaries, error) {
	peer, err := newPeer(os.Getenv("PEER"), os.Getenv("PEER_ARGS"), os.Getenv("PEER_ENV"))
	if err != nil {
		return binaries{}, err
	}
	b := binaries{
		agent:            o.agent,
		bareProxy:        filepath.Join(directory, "bareproxy"),
		agentLine:        strings.Fields(o.agentLine),
		agentEnvironment: strings.Fields(o.agentEnvironment),
		peer:             peer,
	}
	if err := process.Build(ctx, b.bareProxy, ".", module+"test/performance/bareproxy"); err != nil {
		return b, err
	}
	if b.agent != "" {
		return b, nil
	}
	b.agent = filepath.Join(directory, "agent")
	return b, process.Build(ctx, b.agent, ".", module+"cmd/agent")
}

func machine() report.Machine {
	m := report.Machine{Processors: runtime.NumCPU(), Go: runtime.Version()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		// After the dash is who built it.
		m.Kernel, _, _ = strings.Cut(string(bytes.TrimRight(name.Release[:], "\x00")), "-")
	}
	return m
}
