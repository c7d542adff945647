/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"fmt"
	"io"
)

// maxTries is how often the same place may fail to be read before it is
// skipped.
const maxTries = 5

// reader goes over the segments once, from the oldest. Recovery is nothing
// else: what earlier processes left comes first.
type reader struct {
	log *Log
	// at is the segment being read, or, with finished, the last one that was.
	at       *segment
	finished bool
	file     File
	tries    int

	// block holds the bytes from blockStart, which is a multiple of
	// blockBytes.
	block      []byte
	blockStart int64
	storage    []byte
	// reread says that the block was read again because of its checksums.
	reread bool

	// offset is where the next fragment begins.
	offset int64
	// expected is the sequence after the last one that was met or given up.
	expected uint64
	// goodEnd is the end of the last record that was met.
	goodEnd int64
	// corrupt counts blocks skipped since goodEnd, and failed says that the
	// filesystem was the reason for one.
	corrupt uint64
	failed  bool

	assembly assembly
}

// assembly is a record of which the first fragment was met, and perhaps more.
type assembly struct {
	active   bool
	sequence uint64
	length   int64
	record   Record
}

// next gives the next record that hasn't ended.
func (r *reader) next() (Spooled, bool, error) {
	for r.enter() {
		record, ok, err := r.read()
		if ok || err != nil || !r.finished {
			return record, ok, err
		}
	}
	return Spooled{}, false, nil
}

// read gives the next record of the segment being read, and false at its end.
func (r *reader) read() (Spooled, bool, error) {
	for r.offset+int64(paddingAt(r.offset)) < r.at.end {
		if err := r.load(); err != nil {
			if r.tries++; r.tries < maxTries {
				return Spooled{}, false, err
			}
			r.log.stats.Errors++
			r.giveUp()
			continue
		}
		r.tries = 0
		if record, ok := r.step(); ok {
			return record, true, nil
		}
	}
	if r.at != r.log.active {
		r.finish()
	}
	return Spooled{}, false, nil
}

// enter sees to it that there is a segment to read.
func (r *reader) enter() bool {
	if r.at != nil && !r.finished {
		return true
	}
	following := r.following()
	if following == nil {
		return false
	}
	if r.expected > 0 {
		// An earlier process ended here: these sequences were never used.
		r.log.window.end(r.expected, following.first-1)
	}
	r.close()
	r.at, r.finished = following, false
	r.offset, r.goodEnd, r.corrupt, r.failed = 0, 0, 0, false
	r.expected = max(r.expected, following.first)
	return true
}

// following is the segment after the one being read.
func (r *reader) following() *segment {
	for _, s := range r.log.segments {
		if r.at == nil || s.number > r.at.number {
			return s
		}
	}
	return nil
}

// load sees to it that block holds the fragment at offset.
func (r *reader) load() error {
	if r.file == nil {
		file, err := r.log.filesystem.Open(r.at.name(), false)
		if err != nil {
			return fmt.Errorf("opening a segment: %w", err)
		}
		r.file = file
	}
	r.offset += int64(paddingAt(r.offset))
	start := r.offset - r.offset%blockBytes
	size := int(min(blockBytes, r.at.end-start))
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
	// What the file has lost of its end reads as zeros, which no fragment is.
	r.block, r.blockStart = r.storage[:size], start
	return nil
}

// step takes the fragment at offset, and gives the record that it completes.
func (r *reader) step() (Spooled, bool) {
	rest := r.block[r.offset-r.blockStart:]
	if r.offset == 0 {
		id, ok := parseHeader(rest)
		switch {
		case ok && id == r.at.identity:
			r.offset, r.goodEnd = segmentHeaderBytes, segmentHeaderBytes
			return Spooled{}, false
		case ok:
			// The file is not what its name says.
			r.skipSegment()
			return Spooled{}, false
		case r.again():
			return Spooled{}, false
		}
		// The fragments have checksums of their own.
		r.corrupt++
		r.offset = min(segmentHeaderBytes, r.at.end)
		return Spooled{}, false
	}
	f, ok := parseFragment(rest, r.at.seed())
	if !ok {
		if !r.again() {
			r.skipBlock()
		}
		return Spooled{}, false
	}
	r.offset += int64(fragmentHeaderBytes + len(f.content))
	if following := r.following(); following != nil && f.sequence >= following.first {
		// Void, and so is all that comes after it.
		r.offset, r.goodEnd, r.corrupt = r.at.end, r.at.end, 0
		r.assembly = assembly{}
		return Spooled{}, false
	}
	return r.assemble(f)
}

// again reads the block a second time, for the fault may be on the way from
// the disk, and says whether that is worth a try.
func (r *reader) again() bool {
	if r.reread {
		return false
	}
	r.reread = true
	return r.fill(r.blockStart, len(r.block)) == nil
}

func (r *reader) skipBlock() {
	r.corrupt++
	r.tries = 0
	r.assembly = assembly{}
	r.offset = min(r.offset-r.offset%blockBytes+blockBytes, r.at.end)
}

func (r *reader) skipSegment() {
	r.corrupt++
	r.tries = 0
	r.assembly = assembly{}
	r.offset = r.at.end
}

// giveUp skips what the filesystem doesn't give.
func (r *reader) giveUp() {
	r.failed = true
	if r.file == nil {
		r.skipSegment()
	} else {
		r.skipBlock()
	}
}

// assemble adds a fragment to its record, and gives the record that it
// completes.
func (r *reader) assemble(f fragment) (Spooled, bool) {
	a := &r.assembly
	content := f.content
	if f.kind == fragmentFull || f.kind == fragmentFirst {
		*a = assembly{}
		if len(content) < recordHeaderBytes || f.sequence < r.expected || f.sequence > r.highest() {
			return Spooled{}, false
		}
		record, length := parseRecordHeader(content)
		content = content[recordHeaderBytes:]
		if length > int64(r.log.options.MaxRecordBytes) || length > int64(len(content))+r.at.end-r.offset {
			return Spooled{}, false
		}
		record.Payload = make([]byte, 0, length)
		*a = assembly{active: true, sequence: f.sequence, length: length, record: record}
	}
	if !a.active || a.sequence != f.sequence || int64(len(a.record.Payload)+len(content)) > a.length {
		// Its beginning was skipped.
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

// meet takes a whole record, and gives it where it hasn't ended.
func (r *reader) meet(whole assembly) (Spooled, bool) {
	l := r.log
	if whole.sequence > r.expected {
		l.lose(Loss{Reason: LossUnreadable, First: r.expected, Last: whole.sequence - 1})
	}
	l.stats.CorruptBlocks += r.corrupt
	r.corrupt = 0
	r.expected = whole.sequence + 1
	r.goodEnd = r.offset
	if l.window.ended(whole.sequence) {
		return Spooled{}, false
	}
	return Spooled{Record: whole.record, Sequence: whole.sequence, Recovered: whole.sequence < l.base}, true
}

// finish ends the reading of a segment that nobody writes to any more.
func (r *reader) finish() {
	l, s := r.log, r.at
	following := r.following()
	tail := following == nil || following.life != s.life
	if !s.ours && tail && !r.failed && r.goodEnd < s.end {
		l.stats.TornTails++
		l.truncate(s, r.goodEnd)
	} else {
		l.stats.CorruptBlocks += r.corrupt
	}
	if s.complete {
		l.lose(Loss{Reason: LossUnreadable, First: r.expected, Last: s.last})
	} else {
		s.last, s.complete = r.expected-1, true
	}
	r.pass(s)
}

// pass leaves a segment behind.
func (r *reader) pass(s *segment) {
	r.close()
	r.at, r.finished = s, true
	r.expected = max(r.expected, s.last+1)
	r.assembly = assembly{}
}

// beyond says whether the reader is done with a segment.
func (r *reader) beyond(s *segment) bool {
	return r.at != nil && (r.at.number > s.number || r.at == s && r.finished)
}

// leave passes a segment that was removed, and that is either the oldest or has
// no record.
func (r *reader) leave(s *segment) {
	if r.at == s || s == r.log.segments[0] && !r.beyond(s) {
		r.pass(s)
	}
}

// skim reads to the end of the oldest segment, whose records are dropped.
func (r *reader) skim(s *segment) error {
	for !r.beyond(s) && r.enter() {
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

// unread says whether a record may be left.
func (r *reader) unread() bool {
	if r.at != nil && !r.finished && r.offset < r.at.end {
		return true
	}
	for _, s := range r.log.segments {
		if (r.at == nil || s.number > r.at.number) && s.end > segmentHeaderBytes {
			return true
		}
	}
	return false
}

// close closes the file. The position stays.
func (r *reader) close() {
	if r.file != nil {
		r.log.count(r.file.Close())
	}
	r.file, r.block, r.blockStart, r.reread, r.tries = nil, nil, -1, false, 0
}
