/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/spool"
)

const (
	// SpooledDeadline is how long after it was observed a spooled event is dropped.
	SpooledDeadline = time.Hour
	// overflowPause is how long a spool that failed is left alone.
	overflowPause = 5 * time.Second
	// arrivesWithin is what an event is promised that is observed after an
	// outage's end: it may have waited for most of that time already when the
	// sink is tried again.
	arrivesWithin = 30 * time.Second
	// readsInTurns is how many reads there are for one of the oldest end, while
	// the others are of the newest.
	readsInTurns = 4
	// segmentSpan is how far apart the events of a file may have been observed:
	// within it the oldest comes first. An hour of them is 720 files.
	segmentSpan = 5 * time.Second
)

// spoolBounds bounds what a core gives to a spool and takes back.
type spoolBounds struct {
	// QueueBytes bounds what the events on their way to the disk hold, one
	// excepted.
	QueueBytes int64
	// WindowBytes bounds what the events hold that were read back, one
	// excepted, and MaxRecordBytes what one has on the disk.
	WindowBytes, MaxRecordBytes int64
}

// reading is a read that is to be made: at most so many records from an end,
// and no further one once they have so many bytes.
type reading struct {
	From           spool.End
	Records, Bytes int
}

// spoolState is what a core knows of its spool. A spool that was never opened
// takes and gives nothing.
type spoolState struct {
	bounds spoolBounds
	// open: the spool takes events. readable: it may be read.
	open, readable bool
	// notBefore and readNotBefore are when a spool that failed is used again.
	notBefore, readNotBefore time.Time

	// spilling are the items on their way to the disk.
	spilling map[*Item]struct{}
	// spooled counts the events of this process that only the disk has. It is
	// negative while a loss is known before the outcome that it was spooled.
	spooled int64
	// unread: a record may be there to be read. reading: one is being read.
	unread, reading bool
	// fresh reports whether the disk may have an event that was observed after
	// since. since is arrivesWithin before the sink was last seen to fail: what was
	// observed earlier is backlog. An attempt that fails may have begun before
	// the outage's end, so since isn't the failure itself.
	fresh bool
	since time.Time
	// readsNewest: the newest end is being read. youngest is when the youngest
	// event was observed that this read gave so far. turn counts reads.
	readsNewest bool
	youngest    alarm
	turn        int
}

func newSpoolState(bounds spoolBounds) spoolState {
	return spoolState{bounds: bounds, spilling: make(map[*Item]struct{})}
}

// empty reports whether all that was spooled has come back, where that is known.
func (s *spoolState) empty() bool {
	return !s.open || !s.unread && !s.reading && len(s.spilling) == 0
}

func (s *spoolState) mayRead() bool { return s.open && s.readable && s.unread && !s.reading }

// wrote takes note that an event was written.
func (s *spoolState) wrote() {
	s.spooled++
	s.unread, s.fresh = true, true
}

// sinkFails takes note that the sink fails, or gives no response.
func (s *spoolState) sinkFails(now time.Time) { s.since = now.Add(-arrivesWithin) }

// startRead returns the read of at most so many records that the window has room
// for, where window bytes of it are taken. newest allows the newest end.
func (s *spoolState) startRead(window int64, records int, newest bool) reading {
	// The last record of a read may be as large as any.
	spare := s.bounds.WindowBytes - window - s.bounds.MaxRecordBytes
	read := reading{From: spool.Oldest, Records: 1, Bytes: 1}
	switch {
	case spare < OverheadBytes && window > 0:
		return reading{}
	case spare >= OverheadBytes:
		read.Records = int(min(max(spare/(2*OverheadBytes), 1), maxRecordsRead))
		read.Bytes = int(max(spare-int64(read.Records)*OverheadBytes, 1))
	}
	read.Records = min(read.Records, records)
	if newest && s.fresh && s.newestsTurn() {
		read.From = spool.Newest
	}
	s.reading, s.readsNewest, s.youngest = true, read.From == spool.Newest, never
	return read
}

func (s *spoolState) newestsTurn() bool {
	s.turn = (s.turn + 1) % readsInTurns
	return s.turn != 0
}

// readEnded ends a read that gave so many records.
func (s *spoolState) readEnded(records int, failed bool, now time.Time) {
	s.reading = false
	switch {
	case failed:
		s.readNotBefore = now.Add(overflowPause)
	case records == 0:
		s.unread = false
	}
	if s.readsNewest && s.youngest.set && s.youngest.at.Add(segmentSpan).Before(s.since) {
		// What lies before that is older.
		s.fresh = false
	}
}
