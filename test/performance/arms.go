/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/sidenote-dev/sidenote/test/performance/backend"
	"github.com/sidenote-dev/sidenote/test/performance/process"
	"github.com/sidenote-dev/sidenote/test/performance/report"
)

// arm is one way to the model.
type arm struct {
	name string
	// manner is how the arm's own sink treats events; empty is no sink.
	manner backend.Manner
	// events is how many events each exchange gives.
	events int
	// command gives the process between generator and model, or is nil.
	command func(place) process.Command
	// allocations reads what the process says that it has allocated, or is nil.
	allocations func(admin string) (allocated, error)
	// tells says that the process has the agent's /status.
	tells bool
}

// place says where a process is to listen, and what is around it. All of it is
// host:port on the loopback, but for directory, which is the process's own.
type place struct {
	listen, admin, target, sink, directory string
	cell                                   *cell
}

// binaries are what is run.
type binaries struct {
	agent, bareProxy string
	// agentLine and agentEnvironment are given to the agent in every arm.
	agentLine, agentEnvironment []string
	peer                        *peer
}

// arms returns all there are.
func arms(b binaries) []arm {
	all := []arm{
		{name: report.Direct},
		b.bare(report.Unpooled, false),
		b.bare(report.Bare, true),
		b.bare(report.Again, true),
		b.sidenote(report.Nothing, backend.Up, 0, "--paths=/nowhere"),
		b.sidenote(report.Requests, backend.Up, 1, "--mode=request"),
		b.sidenote(report.All, backend.Up, 2),
		b.sidenote(report.SlowSink, backend.Slow, 2),
		b.sidenote(report.DeadSink, backend.Dead, 2),
		b.sidenote(report.HangingSink, backend.Hanging, 2),
		b.sidenote(report.Spooling, backend.Dead, 2, spoolArgument, "--sink.default.spool-bytes=268435456"),
	}
	if b.peer != nil {
		all = append(all, arm{name: report.Peer, manner: backend.Up, events: 2, command: b.peer.command})
	}
	return all
}

// spoolArgument gets the process's directory.
const spoolArgument = "--sink.default.spool-dir="

func (b binaries) bare(name string, pooled bool) arm {
	return arm{
		name:        name,
		allocations: bareAllocations,
		command: func(p place) process.Command {
			return process.Command{
				Path:        b.bareProxy,
				Arguments:   []string{"-listen=" + p.listen, "-admin=" + p.admin, "-target=" + p.target, fmt.Sprintf("-pool=%t", pooled)},
				Environment: p.cell.environment,
			}
		},
	}
}

// sidenote is an agent as the controller starts it, with three annotations.
func (b binaries) sidenote(name string, manner backend.Manner, events int, line ...string) arm {
	return arm{
		name: name, manner: manner, events: events, tells: true,
		allocations: agentAllocations,
		command: func(p place) process.Command {
			arguments := []string{
				"--port=" + port(p.listen), "--admin-port=" + port(p.admin), "--target=http://" + p.target,
				"--sink=http://" + p.sink + "/", "--allow-loopback-sinks=true",
				"--source=m-predictor-default", "--inference-service=m", "--namespace=default", "--component=predictor",
				"--metadata=team=fraud-detection", "--metadata=owner=jane.doe@example.com", "--metadata=costcenter=4711",
			}
			for _, argument := range line {
				if argument == spoolArgument {
					argument += filepath.Join(p.directory, "spool")
				}
				arguments = append(arguments, argument)
			}
			return process.Command{
				Path:      b.agent,
				Arguments: slices.Concat(arguments, p.cell.line, b.agentLine),
				// The memory limit is the controller's default.
				Environment: slices.Concat([]string{"K_REVISION=m-predictor-default-00001", "GOMEMLIMIT=96MiB"}, p.cell.environment, b.agentEnvironment),
			}
		},
	}
}
