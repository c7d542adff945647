/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package receiver

import (
	"fmt"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

// Stream is what one start of one agent sends: what is numbered together.
type Stream struct {
	// Source is the events' source.
	Source string
	// AgentInstance is their attribute agentinstance.
	AgentInstance string
}

func (s Stream) String() string { return s.Source + " " + s.AgentInstance }

// Report is what is known of one stream.
type Report struct {
	Stream Stream
	// Seen is how many different events came; Duplicates how many came once
	// more.
	Seen, Duplicates uint64
	// First and Last are the lowest and the highest number that came. What is
	// missing below First may have been sent before there was a subscription.
	First, Last uint64
	// Missing is how many events up to Last haven't come, and Ranges which.
	Missing uint64
	Ranges  []Range
	// Forgotten is how many of Missing are no longer in Ranges, because there
	// were too many. Late is how many events arrived since that may have been
	// among them, or that arrived a second time: up to so many less may be missing.
	Forgotten, Late uint64
	// Statement is what the last ledger event says, nil where none came. Its
	// figures are those of the events up to its Sequence.
	Statement *ledger.Statement
	// Ended says that Statement is the final one: its Sequence is the highest
	// number that there is, and nothing is missing but Missing.
	Ended bool

	// missingToStatement counts what was forgotten in, which is older.
	missingToStatement uint64
}

// Reckoning compares the events that are missing up to the last ledger event
// with the counts of that event.
type Reckoning struct {
	// Missing is how many events up to the ledger event haven't come.
	Missing uint64
	// Lost is how many of those the agent called dropped or dead-lettered: they
	// will not come. Where it recovered events of an earlier start, whose losses
	// are in its figures, too, Lost is the most that it may be.
	Lost uint64
	// Open is how many were pending then. They may still arrive, or may have been
	// lost since.
	Open uint64
	// Unexplained is how many more are missing than that: the sink took them,
	// and they are on their way behind it, or were lost or filtered there.
	Unexplained uint64
	// Unexpected is how many came that the agent called dropped or
	// dead-lettered: the sink took them, and the agent didn't get its response.
	// Again those of an earlier start are left out.
	Unexpected uint64
}

func (r Reckoning) String() string {
	return fmt.Sprintf("%d missing: %d lost, %d open, %d unexplained, %d unexpected", r.Missing, r.Lost, r.Open, r.Unexplained, r.Unexpected)
}

// Reckon returns the Reckoning of a stream's last ledger event. Without one there
// is nothing to compare with: all that is missing is unexplained.
func (r Report) Reckon() Reckoning {
	if r.Statement == nil {
		return Reckoning{Missing: r.Missing, Unexplained: r.Missing}
	}
	missing := r.missingToStatement
	gone := r.Statement.DroppedTotal() + r.Statement.DeadLettered
	lost := min(missing, gone)
	unexpected := gone - lost
	unexpected -= min(unexpected, r.Statement.Recovered)
	// The ledger event was pending when it was made, and came.
	open := min(missing-lost, r.Statement.Pending-min(r.Statement.Pending, 1))
	return Reckoning{
		Missing:     missing,
		Lost:        lost,
		Open:        open,
		Unexplained: missing - lost - open,
		Unexpected:  unexpected,
	}
}
