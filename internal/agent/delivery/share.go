/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

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
	share.Reserved = min(share.Queue+share.Window+spool.WorkingBytes, each/agentconfig.SpoolsPart)
	return share
}
