/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxTries is how many reads of one place may fail before it is skipped.
const maxTries = 5

// End is an end of the log that records are read from.
type End uint8

// The ends.
const (
	// Oldest is the beginning of the oldest segment that has unread records.
	Oldest End = iota
	// Newest is the beginning of the newest one that this process wrote, and
	// Oldest where it has read all of those.
	Newest
)

// reader reads each segment once, from its beginning to its end. It may change
// between segments at any time. Segments of earlier processes are read from the
// oldest end only, so that recovery reads them in order.
type reader struct {
	log *Log
	// at is the segment that file and block are of.
	at   *segment
	file File

	// block holds the bytes from blockStart, which is a multiple of
	// blockBytes.
	block      []byte
	blockStart int64
	storage    []byte
	// reread says that the block was read again because of its checksums.
	reread bool
}

// reading is how far a segment was read.
type reading struct {
	// finished says that nothing is left, and nothing will be added.
	finished bool
	// offset is where the next fragment begins.
	offset int64
	// expected is the sequence after the last one that was read or skipped.
	expected uint64
	// goodEnd is the end of the last record that was read.
	goodEnd int64
	// corrupt counts blocks skipped since goodEnd. failed says that one of them
	// was skipped after errors of the filesystem. tries counts those in a row.
	corrupt uint64
	failed  bool
	tries   int

	assembly assembly
}

// assembly is a record of which some fragments were read, the first included.
type assembly struct {
	active   bool
	sequence uint64
	length   int64
	record   Record
	// begin is where its first fragment is.
	begin int64
}

// next returns the next record from an end that hasn't ended.
func (r *reader) next(from End) (Spooled, bool, error) {
	for {
		s := r.choose(from)
		if s == nil {
			return Spooled{}, false, nil
		}
		r.enter(s)
		if record, ok, err := r.read(); ok || err != nil {
			return record, ok, err
		}
	}
}

// choose returns the segment to read at an end, nil where all is read.
func (r *reader) choose(from End) *segment {
	segments := r.log.segments
	if from == Newest {
		for i := len(segments) - 1; i >= 0 && segments[i].ours; i-- {
			if segments[i].unread() {
				return segments[i]
			}
		}
	}
	for _, s := range segments {
		// A segment that has ended still has to be finished.
		if s.unread() || !s.finished && s != r.log.active {
			return s
		}
	}
	return nil
}

// unread reports whether bytes are left to read.
func (s *segment) unread() bool {
	return !s.finished && s.offset+int64(paddingAt(s.offset)) < s.end
}

// enter begins with a segment, or goes on with it. An incomplete record of
// another segment is read again later, so at most one takes memory.
func (r *reader) enter(s *segment) {
	if r.at == s {
		return
	}
	if left := r.at; left != nil && left.assembly.active {
		left.offset, left.assembly = left.assembly.begin, assembly{}
	}
	r.close()
	r.at = s
}

// read returns the next record of the segment being read, and false at its end.
func (r *reader) read() (Spooled, bool, error) {
	s := r.at
	for s.unread() {
		if err := r.load(); err != nil {
			if s.tries++; s.tries < maxTries {
				return Spooled{}, false, err
			}
			r.log.stats.Errors++
			r.giveUp()
			continue
		}
		s.tries = 0
		if record, ok := r.step(); ok {
			return record, true, nil
		}
	}
	if s != r.log.active {
		r.finish()
	}
	return Spooled{}, false, nil
}

// following is the segment after another.
func (l *Log) following(s *segment) *segment {
	at, found := slices.BinarySearchFunc(l.segments, s.number, func(other *segment, number uint64) int {
		return cmp.Compare(other.number, number)
	})
	if found {
		at++
	}
	if at == len(l.segments) {
		return nil
	}
	return l.segments[at]
}

// load reads the block that holds the fragment at offset.
func (r *reader) load() error {
	s := r.at
	if r.file == nil {
		file, err := r.log.filesystem.Open(s.name(), false)
		if err != nil {
			return fmt.Errorf("opening a segment: %w", err)
		}
		r.file = file
	}
	s.offset += int64(paddingAt(s.offset))
	start := s.offset - s.offset%blockBytes
	size := int(min(blockBytes, s.end-start))
	if start == r.blockStart && len(r.block) == size {
		return nil
	}
	if start != r.blockStart {
		r.reread = false
	}
	return r.fill(start, size)
}

func (r *reader) fill(start int64, size int) error {
	if r.storage == nil {
		r.storage = make([]byte, blockBytes)
	}
	r.block, r.blockStart = nil, -1
	clear(r.storage)
	n, err := r.file.ReadAt(r.storage[:size], start)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading a segment: %w", err)
	}
	if n < size && err == nil {
		return fmt.Errorf("reading a segment: %w", io.ErrNoProgress)
	}
	// A lost end of the file reads as zeros, which are no valid fragment.
	r.block, r.blockStart = r.storage[:size], start
	return nil
}

// step takes the fragment at offset, and gives the record that it completes.
func (r *reader) step() (Spooled, bool) {
	rest := r.block[r.at.offset-r.blockStart:]
	if r.at.offset == 0 {
		id, ok := parseHeader(rest)
		switch {
		case ok && id == r.at.identity:
			r.at.offset, r.at.goodEnd = segmentHeaderBytes, segmentHeaderBytes
			return Spooled{}, false
		case ok:
			// The file's name and header differ.
			r.skipSegment()
			return Spooled{}, false
		case r.again():
			return Spooled{}, false
		}
		// The fragments have checksums of their own.
		r.at.corrupt++
		r.at.offset = min(segmentHeaderBytes, r.at.end)
		return Spooled{}, false
	}
	f, ok := parseFragment(rest, r.at.seed())
	if !ok {
		if !r.again() {
			r.skipBlock()
		}
		return Spooled{}, false
	}
	r.at.offset += int64(fragmentHeaderBytes + len(f.content))
	if following := r.log.following(r.at); following != nil && f.sequence >= following.first {
		// This sequence and all that follow are void.
		r.at.offset, r.at.goodEnd, r.at.corrupt = r.at.end, r.at.end, 0
		r.at.assembly = assembly{}
		return Spooled{}, false
	}
	return r.assemble(f)
}

// again reads the block a second time, because the fault may be on the way from
// the disk. It reports whether the block was read again.
func (r *reader) again() bool {
	if r.reread {
		return false
	}
	r.reread = true
	return r.fill(r.blockStart, len(r.block)) == nil
}

func (r *reader) skipBlock() {
	r.at.corrupt++
	r.at.tries = 0
	r.at.assembly = assembly{}
	r.at.offset = min(r.at.offset-r.at.offset%blockBytes+blockBytes, r.at.end)
}

func (r *reader) skipSegment() {
	r.at.corrupt++
	r.at.tries = 0
	r.at.assembly = assembly{}
	r.at.offset = r.at.end
}

// giveUp skips what can't be read.
func (r *reader) giveUp() {
	r.at.failed = true
	if r.file == nil {
		r.skipSegment()
	} else {
		r.skipBlock()
	}
}

// assemble adds a fragment to its record, and gives the record that it
// completes.
func (r *reader) assemble(f fragment) (Spooled, bool) {
	a := &r.at.assembly
	content := f.content
	if f.kind == fragmentFull || f.kind == fragmentFirst {
		*a = assembly{}
		if len(content) < recordHeaderBytes || f.sequence < r.at.expected || f.sequence > r.highest() {
			return Spooled{}, false
		}
		begin := r.at.offset - int64(fragmentHeaderBytes+len(content))
		record, length := parseRecordHeader(content)
		content = content[recordHeaderBytes:]
		if length > int64(r.log.options.MaxRecordBytes) || length > int64(len(content))+r.at.end-r.at.offset {
			return Spooled{}, false
		}
		record.Payload = make([]byte, 0, length)
		*a = assembly{active: true, sequence: f.sequence, length: length, record: record, begin: begin}
	}
	if !a.active || a.sequence != f.sequence || int64(len(a.record.Payload)+len(content)) > a.length {
		// The beginning of the record was skipped.
		*a = assembly{}
		return Spooled{}, false
	}
	a.record.Payload = append(a.record.Payload, content...)
	if f.kind == fragmentFirst || f.kind == fragmentMiddle {
		return Spooled{}, false
	}
	whole := *a
	*a = assembly{}
	if int64(len(whole.record.Payload)) < whole.length {
		return Spooled{}, false
	}
	return r.meet(whole)
}

// highest is the highest sequence that the segment can have room for.
func (r *reader) highest() uint64 { return r.at.first + uint64(r.at.end/minRecordBytes) }

// meet takes a whole record, and returns it unless it has ended.
func (r *reader) meet(whole assembly) (Spooled, bool) {
	l := r.log
	if whole.sequence > r.at.expected {
		l.lose(Loss{Reason: LossUnreadable, First: r.at.expected, Last: whole.sequence - 1})
	}
	l.stats.CorruptBlocks += r.at.corrupt
	r.at.corrupt = 0
	r.at.expected = whole.sequence + 1
	r.at.goodEnd = r.at.offset
	if l.window.ended(whole.sequence) {
		return Spooled{}, false
	}
	return Spooled{Record: whole.record, Sequence: whole.sequence, Recovered: whole.sequence < l.base}, true
}

// finish ends the reading of a segment that is no longer written.
func (r *reader) finish() {
	l, s := r.log, r.at
	following := l.following(s)
	tail := following == nil || following.life != s.life
	if !s.ours && tail && !s.failed && s.goodEnd < s.end {
		l.stats.TornTails++
		l.truncate(s, s.goodEnd)
	} else {
		l.stats.CorruptBlocks += s.corrupt
	}
	if s.complete {
		l.lose(Loss{Reason: LossUnreadable, First: s.expected, Last: s.last})
	} else {
		s.last, s.complete = s.expected-1, true
	}
	// Where an earlier process ended, these sequences were never used.
	unused := l.base
	if following != nil {
		unused = following.first
	}
	l.window.end(s.last+1, unused-1)
	s.reading = reading{finished: true, expected: max(s.expected, s.last+1)}
	r.close()
}

// leave closes a segment that was removed.
func (r *reader) leave(s *segment) {
	if r.at == s {
		r.close()
	}
}

// skim reads the oldest segment to its end, and drops its records.
func (r *reader) skim(s *segment) error {
	for !s.finished {
		r.enter(s)
		record, ok, err := r.read()
		if err != nil {
			return err
		}
		if ok {
			r.log.lose(Loss{Reason: LossOldest, First: record.Sequence, Last: record.Sequence})
		}
	}
	return nil
}

// unread reports whether a record may be left.
func (r *reader) unread() bool {
	return slices.ContainsFunc(r.log.segments, func(s *segment) bool {
		return s.unread() && (s.offset > 0 || s.end > segmentHeaderBytes)
	})
}

// close closes the file. How far its segment was read stays.
func (r *reader) close() {
	if r.file != nil {
		r.log.count(r.file.Close())
	}
	r.at, r.file, r.block, r.blockStart, r.reread = nil, nil, nil, -1, false
}
