/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"encoding/json"
	"errors"
)

// Record is what a caller spools.
type Record struct {
	// Deadline is when the event is given up, in Unix nanoseconds, and
	// AgentSequence its place among the sink's events. Both are the caller's,
	// to decide by without decoding the payload.
	Deadline      int64
	AgentSequence uint64
	// Payload is opaque. What is in Head goes before it, so that a caller need
	// not join the two; it comes back as the beginning of Payload.
	Head, Payload []byte
}

// length is the bytes of the whole payload.
func (r *Record) length() int { return len(r.Head) + len(r.Payload) }

// Spooled is a record that was read back.
type Spooled struct {
	Record
	// Sequence is the record's own in the log, for Acknowledge.
	Sequence uint64
	// Recovered says that an earlier process spooled it.
	Recovered bool
}

// Outcome is what became of one record of a batch.
type Outcome struct {
	// Sequence is the record's in the log, and 0 where Err is not nil.
	Sequence uint64
	// Err is ErrTooLarge, ErrFull, ErrClosed, or wraps the filesystem's error.
	// The caller still has the record.
	Err error
}

// The errors of a record that the filesystem isn't to blame for.
var (
	// ErrTooLarge: no empty spool would have room for the record.
	ErrTooLarge = errors.New("the record is too large for the spool")
	// ErrFull: the spool is at its limit, and keeps what it has.
	ErrFull = errors.New("the spool is full")
	// ErrBusy: the filesystem is slower than the records come.
	ErrBusy = errors.New("the spool's queue is full")
	// ErrClosed: the spool was closed.
	ErrClosed = errors.New("the spool is closed")
)

// LossReason says why records that were spooled won't come back. The set is
// closed: it may label metrics.
type LossReason string

// The reasons.
const (
	// LossOldest: the limit was reached, and the oldest made room.
	LossOldest LossReason = "oldest"
	// LossUnreadable: they are gone from the files, or can't be read.
	LossUnreadable LossReason = "unreadable"
	// LossUnprotected: they were handed out and not acknowledged when the
	// oldest made room. The caller has them still, but no crash gives them
	// back any more.
	LossUnprotected LossReason = "unprotected"
)

// Loss is a span of sequences of which records were lost.
type Loss struct {
	Reason LossReason
	// First and Last bound the sequences, both included.
	First, Last uint64
	// Records counts those of the span that were neither acknowledged nor
	// handed out before.
	Records uint64
	// Recovered says that an earlier process spooled them.
	Recovered bool
}

// Count counts records.
type Count struct {
	// Fresh are those that this process spooled, Recovered those of earlier
	// ones.
	Fresh, Recovered uint64
}

func (c *Count) add(records uint64, recovered bool) {
	if recovered {
		c.Recovered += records
	} else {
		c.Fresh += records
	}
}

// Total counts all of them.
func (c Count) Total() uint64 { return c.Fresh + c.Recovered }

// MarshalJSON writes the total.
func (c Count) MarshalJSON() ([]byte, error) { return json.Marshal(c.Total()) }

// UnmarshalJSON reads a total, as Fresh.
func (c *Count) UnmarshalJSON(content []byte) error {
	c.Recovered = 0
	return json.Unmarshal(content, &c.Fresh)
}

// Stats are a Log's figures, the counts since it was opened.
type Stats struct {
	// Errors counts failures of the filesystem.
	Errors uint64 `json:"errors"`

	// Bytes is what all files take, at most Limit.
	Bytes    int64 `json:"bytes"`
	Limit    int64 `json:"limit"`
	Segments int   `json:"segments"`
	// Watermark is the sequence up to which every record is spooled.
	Watermark uint64 `json:"watermark"`
	// Mark is the sequence up to which every record has ended and stays so.
	Mark uint64 `json:"mark"`
	// Unread says that a record may be waiting to be read.
	Unread bool `json:"unread"`

	// Spooled, Read and Acknowledged count records.
	Spooled      uint64 `json:"spooled"`
	Read         uint64 `json:"read"`
	Acknowledged uint64 `json:"acknowledged"`

	// DroppedOldest counts records that made room unread.
	DroppedOldest Count `json:"droppedOldest"`
	// Lost counts records that are gone from the files, seen by the gaps in
	// the sequences.
	Lost Count `json:"lost"`
	// RefusedFull, RefusedTooLarge and RefusedFailed count records that were
	// given back with ErrFull, ErrTooLarge and an error of the filesystem.
	RefusedFull     uint64 `json:"refusedFull"`
	RefusedTooLarge uint64 `json:"-"`
	RefusedFailed   uint64 `json:"-"`
	// Unprotected counts records that had been handed out, and not been
	// acknowledged, when their bytes made room: only the caller has them now.
	Unprotected uint64 `json:"-"`
	// CorruptBlocks counts blocks that were skipped in part or whole.
	CorruptBlocks uint64 `json:"corruptBlocks"`
	// TornTails counts ends of an earlier process's log that were cut off. A
	// record in one was never called spooled, unless the disk damaged it.
	TornTails uint64 `json:"tornTails"`
}
