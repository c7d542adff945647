/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package report says what measurements mean: medians of ratios, goals, tables
// and charts. It is pure.
package report

// Result is a whole run, as it is written to a file.
type Result struct {
	Machine Machine `json:"machine"`
	Cells   []Cell  `json:"cells"`
	// Starts are the times from start to serving of the agent, in milliseconds.
	Starts []float64 `json:"starts,omitempty"`
	// BinaryBytes is the size of the agent's binary.
	BinaryBytes int64 `json:"binaryBytes,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	Processors int    `json:"processors"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	// LoadBefore and LoadAfter are /proc/loadavg. The run itself is in the
	// latter.
	LoadBefore string `json:"loadBefore"`
	LoadAfter  string `json:"loadAfter"`
}

// Cell is one kind of load, put on each arm.
type Cell struct {
	Name string `json:"name"`
	What string `json:"what"`
	// Unit is what costs are for: an exchange, a chunk or a message.
	Unit string `json:"unit"`
	// Rate is how many exchanges were begun a second; 0 is a closed loop.
	Rate        float64 `json:"rate,omitempty"`
	Connections int     `json:"connections"`
	Arms        []Arm   `json:"arms"`
}

// Arm is one way to the model. Rounds of the same index were measured one after
// the other.
type Arm struct {
	Name   string  `json:"name"`
	Rounds []Round `json:"rounds"`
	// Allocations and AllocatedBytes are for each exchange, in all rounds
	// together. They are 0 where the process doesn't say.
	Allocations    float64 `json:"allocations,omitempty"`
	AllocatedBytes float64 `json:"allocatedBytes,omitempty"`
	// Syscalls are all system calls for each exchange, counted by perf in a run
	// of its own; 0 where that wasn't done.
	Syscalls float64 `json:"syscalls,omitempty"`
	// PeakBytes is the process's VmHWM at the end.
	PeakBytes int64 `json:"peakBytes,omitempty"`
	// Failure says why the arm's figures don't count.
	Failure string `json:"failure,omitempty"`
}

// Round is what an arm did in one round. Times are in microseconds, and costs
// for each unit.
type Round struct {
	Exchanges int `json:"exchanges"`
	Units     int `json:"units"`

	CPU    float64 `json:"cpu"`
	User   float64 `json:"user"`
	System float64 `json:"system"`
	P50    float64 `json:"p50,omitempty"`
	P99    float64 `json:"p99,omitempty"`
	// LatenessP99 is the generator's own.
	LatenessP99 float64 `json:"latenessP99,omitempty"`
	// PerSecond is how many exchanges ended a second.
	PerSecond float64 `json:"perSecond"`

	// Lost is the share of events that a closed loop had the agent drop.
	Lost float64 `json:"lost,omitempty"`

	Voluntary   float64 `json:"voluntary"`
	Involuntary float64 `json:"involuntary"`
	ReadWrites  float64 `json:"readWrites"`
	// AnonymousPeak is the highest RssAnon that was seen, in bytes.
	AnonymousPeak int64 `json:"anonymousPeak"`
	// Repeats is how often the round was measured again because the generator
	// was late; Late says that it was late at last, too.
	Repeats int  `json:"repeats,omitempty"`
	Late    bool `json:"late,omitempty"`
}

// Cell returns a cell by its name, or nil.
func (r *Result) Cell(name string) *Cell {
	for i := range r.Cells {
		if r.Cells[i].Name == name {
			return &r.Cells[i]
		}
	}
	return nil
}

// Arm returns an arm by its name, or nil.
func (c *Cell) Arm(name string) *Arm {
	for i := range c.Arms {
		if c.Arms[i].Name == name {
			return &c.Arms[i]
		}
	}
	return nil
}

// Names of the arms that others are compared with, or that goals are about.
const (
	Direct      = "model alone"
	Unpooled    = "bare proxy, no pool"
	Bare        = "bare proxy"
	Again       = "bare proxy again"
	Nothing     = "nothing logged"
	Requests    = "request only"
	All         = "all"
	SlowSink    = "all, sink slow"
	DeadSink    = "all, sink dead"
	HangingSink = "all, sink hanging"
	Spooling    = "all, into the spool"
	Peer        = "peer"
)
