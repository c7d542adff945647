/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package faults is the battery: it runs the agent as a process between
// clients, a model and a sink that break in every way, and compares what each
// of those three saw. The agent's own word counts only for the law of its
// ledger.
//
//	clients -> agent -> model
//	             ├─> faulty network -> sink
//	             └─> failing disk
//
// Everything is on the loopback. The body of every request and response derives
// from the exchange's id, so that whoever holds a body can say whether it is
// whole. The properties (P1 to P4, P6 to P9) are pure functions over the
// three ledgers, and a test falsifies the ledgers to see each property fail.
//
// The short form is part of make test:
//
//	make faults
//
// The long form repeats every scenario with other random choices:
//
//	go test ./test/faults -faults.rounds=50 -timeout 60m
//
// Every run prints its seed; -faults.seed=N makes the same choices again. The
// timing of processes and networks stays their own, so no property is a time:
// where something is awaited, a machine that does something else meanwhile only
// makes it later.
//
// It reads /proc, so it runs on Linux and is skipped elsewhere.
package faults
