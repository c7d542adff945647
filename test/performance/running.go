/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/backend"
	"github.com/sidenote-dev/sidenote/test/performance/process"
)

// running is an arm whose process runs.
type running struct {
	arm
	cell *cell
	// process is nil where nothing is between generator and model.
	process *process.Process
	// address is where exchanges go.
	address, admin string
	sink           *backend.Sink
	directory      string
}

const (
	startLimit    = 30 * time.Second
	startInterval = 5 * time.Millisecond
	startAttempts = 3
)

// start starts an arm's process, and waits until it takes exchanges to the
// model. After an error no process runs.
func start(ctx context.Context, a arm, c *cell, m *models) (*running, error) {
	r, err := prepare(a, c)
	if err != nil {
		return r, err
	}
	if a.command == nil {
		r.address = c.target(m)
		return r, nil
	}
	// Another process may take a port between its choice and its use: the one that
	// was to have it ends.
	for range startAttempts {
		if err = r.startProcess(ctx, c.target(m), startInterval); !errors.Is(err, process.ErrEnded) {
			break
		}
	}
	if err == nil {
		err = r.quiesce()
	}
	if err == nil {
		return r, nil
	}
	r.end()
	return r, fmt.Errorf("arm %q: %w", a.name, err)
}

// prepare makes what an arm's process needs.
func prepare(a arm, c *cell) (*running, error) {
	r := &running{arm: a, cell: c}
	var err error
	if a.manner == "" {
		return r, nil
	}
	if r.directory, err = os.MkdirTemp("", "performance"); err != nil {
		return r, fmt.Errorf("making a directory: %w", err)
	}
	if r.sink, err = backend.NewSink(a.manner); err != nil {
		r.end()
		return r, err
	}
	return r, nil
}

func (r *running) startProcess(ctx context.Context, target string, interval time.Duration) error {
	at := place{target: target, directory: r.directory, cell: r.cell}
	if r.sink != nil {
		at.sink = r.sink.Address()
	}
	addresses, err := process.FreeAddresses(2)
	if err != nil {
		return err
	}
	at.listen, at.admin = addresses[0], addresses[1]
	if r.process, err = process.Start(r.command(at)); err != nil {
		r.process = nil
		return err
	}
	r.address, r.admin = at.listen, at.admin
	if err := r.process.Await(ctx, r.probe, interval, startLimit); err != nil {
		r.process.Kill()
		r.process = nil
		return err
	}
	return nil
}

// probe makes one exchange.
func (r *running) probe() error {
	senders, err := r.connect(1)
	disconnect(senders)
	return err
}

const quiet = 300 * time.Millisecond

// quiesce waits until nothing is counted any more: the events of exchanges that
// probed the process may come after its response, and aren't those of a round.
func (r *running) quiesce() error {
	if r.sink == nil {
		return nil
	}
	before := int64(-1)
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(quiet) {
		counted := r.sink.Events()
		if r.tells {
			now, err := readStatus(r.admin)
			if err != nil {
				return err
			}
			counted += now.Sinks.Default.Observed + now.Skipped.Path
		}
		if counted == before {
			return nil
		}
		before = counted
	}
	return fmt.Errorf("events are still counted %s after the last exchange", startLimit)
}

// end ends the process and the sink. It may be called again.
func (r *running) end() {
	r.process.Kill()
	if r.sink != nil {
		r.sink.Close()
		r.sink = nil
	}
	if r.directory != "" {
		_ = os.RemoveAll(r.directory)
	}
}

// lastWords is the end of what the process wrote, after a colon.
func (r *running) lastWords() string {
	if r.process == nil || r.process.LastWords() == "" {
		return ""
	}
	return ": " + r.process.LastWords()
}
