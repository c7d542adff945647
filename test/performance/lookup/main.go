/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Lookup measures what it costs to look up the annotations of an InferenceService
// for each event, beside Sidenote's agent, which has them: the time from the
// model's response to the event's arrival at the sink, and the requests that a real
// kube-apiserver counts.
//
//	go run ./test/performance/lookup                   # make bench-lookup
//	go run ./test/performance/lookup -rounds=3 -json=result.json
//
// It is run in the checkout's root. etcd and the API server are those of
// hack/cluster, which it has built where they are missing. Everything listens on
// the loopback, and ends with this process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/load"
	"github.com/sidenote-dev/sidenote/test/performance/process"
)

// The kernel ends the processes that this thread started together with it: the
// main thread lives as long as the process.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lookup:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds   int
	schedule load.Schedule
	json     string
	binaries string
}

func readOptions(line []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("lookup", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 7, "how many rounds there are; each has every arm")
	flags.Float64Var(&o.schedule.Rate, "rate", 100, "how many exchanges begin a second")
	flags.DurationVar(&o.schedule.Length, "length", 6*time.Second, "how long an arm is under load in a round")
	flags.StringVar(&o.json, "json", "", "write all figures to this file, as JSON")
	flags.StringVar(&o.binaries, "binaries", filepath.Join(".cluster", "bin"), "the folder of etcd and kube-apiserver")
	if err := flags.Parse(line); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	case o.rounds < 1 || o.schedule.Count() < 1:
		return o, errors.New("there is nothing to measure: -rounds, -rate and -length must give an exchange or more")
	}
	return o, nil
}

func run(ctx context.Context, line []string) error {
	o, err := readOptions(line)
	if err != nil {
		return err
	}
	// One more for the thread of the load's pace, which sleeps.
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	directory, err := os.MkdirTemp("", "lookup")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(directory)
	at := place{agent: filepath.Join(directory, "agent"), enricher: filepath.Join(directory, "enricher")}
	if err := build(ctx, o.binaries, at); err != nil {
		return err
	}
	say("starting etcd and kube-apiserver")
	if at.cluster, err = startControlPlane(ctx, o.binaries, directory); err != nil {
		return err
	}
	defer at.cluster.end()
	peers, err := startPeers(load.Body(bodyBytes))
	if err != nil {
		return err
	}
	defer peers.close()
	at.model, at.sink = peers.modelURL, peers.sinkURL
	typed, _, err := at.cluster.clients()
	if err != nil {
		return err
	}
	r := result{
		Rate: o.schedule.Rate, Length: o.schedule.Length.String(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Load: process.LoadAverage(),
	}
	b := &bench{place: at, peers: peers, counter: counter{typed}, schedule: o.schedule}
	if r.Arms, err = b.rounds(ctx, o.rounds); err != nil {
		return err
	}
	fmt.Print(markdown(r))
	if o.json == "" {
		return nil
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return os.WriteFile(o.json, append(content, '\n'), 0o644)
}

// rounds measures every arm in each round. Each round begins with another arm, so
// that none has always the same before it.
func (b *bench) rounds(ctx context.Context, count int) ([]armResult, error) {
	results := make([]armResult, len(arms))
	for i, a := range arms {
		results[i].arm = a
	}
	for round := range count {
		for i := range arms {
			r := &results[(i+round)%len(arms)]
			f, err := b.round(ctx, r.arm)
			if err != nil {
				return nil, err
			}
			r.Rounds = append(r.Rounds, f)
			say("round %d of %d, %s: the response's event after %.0f µs at p50, %.0f at p99", round+1, count, r.Name, f.Response.P50, f.Response.P99)
		}
	}
	return results, nil
}

// build builds what is measured. Etcd and the API server are built where
// hack/cluster has not done so.
func build(ctx context.Context, binaries string, at place) error {
	for to, of := range map[string]string{at.agent: "./cmd/agent", at.enricher: "./test/performance/lookup/enricher"} {
		say("building %s", of)
		if err := process.Build(ctx, to, ".", of); err != nil {
			return err
		}
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(binaries, name)); err != nil {
			return buildKubernetes(ctx, filepath.Dir(at.agent))
		}
	}
	return nil
}

func buildKubernetes(ctx context.Context, directory string) error {
	cluster := filepath.Join(directory, "cluster")
	if err := process.Build(ctx, cluster, filepath.Join("hack", "cluster"), "."); err != nil {
		return err
	}
	// Interrupted, it ends what it builds with.
	command := exec.CommandContext(ctx, cluster, "build")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("building Kubernetes: %w", err)
	}
	return nil
}

func say(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format+"\n", arguments...) }
