/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Performance measures what the agent costs, beside a bare httputil.ReverseProxy
// on the same machine in the same run: CPU time, latency, memory, system calls
// and allocations of the process between generator and model.
//
//	go run ./test/performance                                      # make bench
//	go run ./test/performance -from=test/performance/results/results.json -docs=docs
//	go run ./test/performance -quick -cells='^http1-1KB$' -arms='^all$'
//
// Generator, model and sinks are in this process; what is measured is a process
// of its own. PEER in the environment is the path of another agent that sends
// both sides of each exchange to a sink, and PEER_ARGS and PEER_ENV are what it
// is started with (see peer).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/report"
)

// The kernel ends the processes that this thread started together with it: the
// main thread lives as long as the process.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

type options struct {
	cells, arms      string
	rounds           int
	length, limit    time.Duration
	rate             float64
	agent, agentLine string
	agentEnvironment string
	environment      string
	out, docs, from  string
	full, quick      bool
	starts, syscalls bool
}

func readOptions(line []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("performance", flag.ContinueOnError)
	flags.StringVar(&o.cells, "cells", "", "measure only cells whose name matches this expression")
	flags.StringVar(&o.arms, "arms", "", "measure only arms whose name matches this expression, and the bare proxy")
	flags.IntVar(&o.rounds, "rounds", 7, "how many rounds each cell has")
	flags.DurationVar(&o.length, "length", 2*time.Second, "how long an arm is under load in a round")
	flags.Float64Var(&o.rate, "rate", 0, "begin so many exchanges a second in every cell that has a rate")
	flags.StringVar(&o.agent, "agent", "", "measure this agent's binary, without building one")
	flags.StringVar(&o.agentLine, "agent-args", "", "further arguments of the agent, separated by white space")
	flags.StringVar(&o.agentEnvironment, "agent-env", "", "further environment of the agent, as NAME=VALUE, separated by white space")
	flags.StringVar(&o.environment, "env", "", "further environment of every process that is measured")
	flags.DurationVar(&o.limit, "limit", 25*time.Minute, "begin no cell after this time")
	flags.BoolVar(&o.starts, "starts", true, "measure the agent's start and its binary")
	flags.BoolVar(&o.syscalls, "syscalls", true, "count system calls, where perf is and may")
	flags.BoolVar(&o.quick, "quick", false, "three rounds of a second, without starts and system calls")
	flags.BoolVar(&o.full, "full", false, "measure the cells that a run of half an hour has no time for, too")
	flags.StringVar(&o.out, "out", "", "the directory for figures, tables and plots; without it results beside the source")
	flags.StringVar(&o.docs, "docs", "", "the directory of documents whose plots and table of goals are written anew")
	flags.StringVar(&o.from, "from", "", "measure nothing, and take the figures from this file of an earlier run")
	if err := flags.Parse(line); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds, o.length, o.starts, o.syscalls = 3, time.Second, false, false
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, line []string) error {
	o, err := readOptions(line)
	if err != nil {
		return err
	}
	if o.from != "" {
		result, err := readResult(o.from)
		if err != nil {
			return err
		}
		return present(ctx, result, o)
	}
	chosenArms, err := regexp.Compile(o.arms)
	if err != nil {
		return fmt.Errorf("-arms: %w", err)
	}
	cells, err := choose(cells(o.full), o)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "performance")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(directory)
	b, err := build(ctx, directory, o)
	if err != nil {
		return err
	}
	// One more for the thread of the pace, which sleeps.
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	p := plan{
		binaries: b, cells: cells, arms: chosenArms, rounds: o.rounds, length: o.length, syscalls: o.syscalls,
		deadline: time.Now().Add(o.limit), said: os.Stderr, tables: os.Stdout,
	}
	result, err := p.result(ctx, o.starts)
	if err != nil {
		return err
	}
	return present(ctx, result, o)
}

// present prints the goals, and writes everything into files.
func present(ctx context.Context, result *report.Result, o options) error {
	judgements := report.Judge(result, append(report.Goals(), report.PeerGoals(result)...))
	fmt.Print(report.GoalTable(judgements), "\n", report.MachineLine(result))
	if o.out == "" {
		source, err := sourceDirectory(ctx)
		if err != nil {
			return err
		}
		o.out = filepath.Join(source, "results")
	}
	if err := write(ctx, result, judgements, o.out); err != nil {
		return err
	}
	if o.docs != "" {
		if err := publish(ctx, result, judgements, o.out, o.docs); err != nil {
			return err
		}
	}
	return failures(result)
}

// failures is an error where an arm has no figures. A peer may fail.
func failures(result *report.Result) error {
	var errs []error
	for _, cell := range result.Cells {
		for _, arm := range cell.Arms {
			if arm.Failure != "" && arm.Name != report.Peer {
				errs = append(errs, fmt.Errorf("%s, %s: %s", cell.Name, arm.Name, arm.Failure))
			}
		}
	}
	return errors.Join(errs...)
}

// choose returns the cells that are to be measured.
func choose(all []cell, o options) ([]cell, error) {
	name, err := regexp.Compile(o.cells)
	if err != nil {
		return nil, fmt.Errorf("-cells: %w", err)
	}
	var chosen []cell
	for _, c := range all {
		if !name.MatchString(c.name) || c.full && !o.full && o.cells == "" {
			continue
		}
		if o.rate > 0 && c.rate > 0 {
			c.rate = o.rate
		}
		c.environment = append(c.environment, strings.Fields(o.environment)...)
		chosen = append(chosen, c)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-cells: %w", errNothing)
	}
	return chosen, nil
}
