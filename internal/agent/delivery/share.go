/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "github.com/sidenote-dev/sidenote/internal/agent/spool"

// Share is the most that one of several sinks may hold of a byte budget. What
// the others may hold at the same time leaves each sink at least an equal part
// of half the budget, so that a dead sink can't take what another needs.
func Share(budget int64, sinks int) int64 {
	if sinks < 2 {
		return budget
	}
	guaranteed := budget / int64(2*sinks)
	return (budget - guaranteed) / int64(sinks-1)
}

// SpoolShare is what one spool takes of an agent's byte budget, reserved from
// its start, so that nothing that a spool holds is beside the budget.
type SpoolShare struct {
	// Queue bounds what the events on their way to the disk hold, which is
	// counted as before; it is reserved for their attributes as the disk has
	// them. A 64th of the budget, at most 512 KiB.
	Queue int64
	// Window is for events that were read back: a 16th of the budget, at most
	// 2 MiB.
	Window int64
	// Reserved is both, and what the spool itself works with
	// (spool.WorkingBytes, 0.5 MiB): 3 MiB of 32. It is at most a quarter of the
	// budget for all spools; of a budget under 12 MiB that may leave out a part
	// of what the spool works with.
	Reserved int64
}

// ShareOfSpool returns the share of each of several spools.
func ShareOfSpool(budget int64, spools int) SpoolShare {
	if spools == 0 {
		return SpoolShare{}
	}
	each := budget / int64(spools)
	share := SpoolShare{Queue: min(512<<10, each/64), Window: min(2<<20, each/16)}
	share.Reserved = min(share.Queue+share.Window+spool.WorkingBytes, each/4)
	return share
}
