/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

const (
	// pageBytes is the unit of space: a file takes whole pages.
	pageBytes = 4 << 10
	// directoryBytes is counted for the directory itself.
	directoryBytes = pageBytes
	// flushBytes bounds what is encoded before it is written.
	flushBytes = 256 << 10

	// WorkingBytes is the memory that a Log needs: the encoded bytes that are not
	// yet written, and the block that it reads.
	WorkingBytes = 2*flushBytes + blockBytes

	// MinLimit is the smallest Options.Limit.
	MinLimit = agentconfig.MinSpoolBytes
	// DefaultMaxRecordBytes is used where Options.MaxRecordBytes is 0.
	DefaultMaxRecordBytes = 16 << 20

	maxSegmentBytes  = 16 << 20
	segmentsPerLimit = 16
)

// Options are what a Log can be told.
type Options struct {
	// Limit bounds the bytes of all files together, counted in whole pages of
	// 4 KiB, with the directory and whatever else lies in it. At least
	// MinLimit.
	Limit int64
	// SegmentBytes is the size at which a segment ends. A record that is larger
	// gets a segment of its own. 0 means a sixteenth of Limit, at most 16 MiB.
	SegmentBytes int64
	// SegmentSpan bounds the distance between the deadlines of a segment's
	// records, so that reading from the newest end gives recent records. 0 means
	// no bound.
	SegmentSpan time.Duration
	// MaxRecordBytes bounds a record's payload, and so the memory that reading
	// takes: 0 for DefaultMaxRecordBytes.
	MaxRecordBytes int
	// Sync makes what the watermark covers survive a loss of power, not only
	// the end of the process.
	Sync bool
	// DropNewest refuses records at the limit. Otherwise the oldest segment
	// makes room.
	DropNewest bool
	// OnLoss is called for each loss by the method that finds it.
	OnLoss func(Loss)
}

// segment is a file of the log.
type segment struct {
	identity
	// end is the end of what may be read, and size what counts against the limit.
	end, size int64
	// ours says that this process wrote it.
	ours bool
	// last is the sequence of its last record. It is known where complete is set.
	last     uint64
	complete bool
	// from is the latest deadline of all records when it was begun.
	from int64
	reading
}

// Log is the spool's files and the decisions about them. It has no clock and
// no goroutine: each method does its I/O and returns. It is not safe for
// concurrent use.
//
// A Log can be used after an error of the filesystem: the failed records are
// returned, and the next call begins with a new file.
type Log struct {
	filesystem Filesystem
	options    Options

	segments []*segment
	// active is the last of segments while it is written to.
	active *segment
	file   File
	// buffer has the bytes that follow the written ones in the active segment.
	buffer  []byte
	written int64
	// uncommitted are the outcomes of records that are not yet spooled.
	uncommitted []*Outcome

	nextNumber uint64
	// next is the sequence of the next record; base was the first of this
	// process, and life its first segment.
	next, base, life uint64
	// latest is the latest deadline of the records of this process.
	latest int64

	mark   markFile
	window window
	reader reader
	// other is the space of files that are not our segments. unsynced is that of
	// removed segments, which a loss of power would bring back.
	other, unsynced int64

	closed bool
	stats  Stats
}

// Open opens the log of a directory, or begins one. It reads the names of the
// files and the mark, and no record. Next reads records, much later and while
// others are appended.
func Open(filesystem Filesystem, options Options) (*Log, error) {
	if options.Limit < MinLimit {
		return nil, fmt.Errorf("invalid spool limit %d: must be at least %d bytes", options.Limit, MinLimit)
	}
	if options.SegmentBytes <= 0 {
		options.SegmentBytes = min(options.Limit/segmentsPerLimit, maxSegmentBytes)
	}
	options.SegmentBytes = max(options.SegmentBytes/blockBytes, 1) * blockBytes
	if options.MaxRecordBytes <= 0 {
		options.MaxRecordBytes = DefaultMaxRecordBytes
	}
	files, err := filesystem.List()
	if err != nil {
		return nil, fmt.Errorf("listing the spool's directory: %w", err)
	}
	l := &Log{
		filesystem: filesystem,
		options:    options,
		mark:       markFile{filesystem: filesystem, sync: options.Sync},
		other:      directoryBytes + markFileBytes,
	}
	l.reader.log = l
	// An earlier process may have been killed before it did this.
	l.count(l.syncDirectory())
	l.take(files)
	if l.mark.exists {
		mark, err := l.mark.load()
		l.count(err)
		l.window.low = mark
	}
	l.number()
	for l.bytes() > l.options.Limit && len(l.segments) > 0 {
		if err := l.dropOldest(); err != nil {
			return nil, fmt.Errorf("reducing the spool to its limit: %w", err)
		}
	}
	return l, nil
}

// take sorts the directory's files into segments, the mark and others.
func (l *Log) take(files []FileInfo) {
	for _, file := range files {
		id, ok := parseName(file.Name)
		switch {
		case ok:
			l.segments = append(l.segments, &segment{
				identity: id, end: file.Size, size: file.Size, reading: reading{expected: id.first},
			})
		case file.Name == markName:
			l.mark.exists = true
		default:
			l.other += pages(file.Size)
		}
	}
	slices.SortFunc(l.segments, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	// A Log never writes names that contradict each other.
	first := uint64(0)
	l.segments = slices.DeleteFunc(l.segments, func(s *segment) bool {
		if s.first < first {
			l.other += pages(s.size)
			l.nextNumber = max(l.nextNumber, s.number)
			return true
		}
		first = s.first
		return false
	})
}

// number sets the first number and sequence of this process. No record was read
// yet, so the sequences begin after the highest that the files have room for.
func (l *Log) number() {
	l.next = l.window.low + 1
	for _, s := range l.segments {
		l.nextNumber = max(l.nextNumber, s.number)
		l.next = max(l.next, s.first+uint64(s.size/minRecordBytes)+1)
	}
	for i := 1; i < len(l.segments); i++ {
		if earlier, later := l.segments[i-1], l.segments[i]; earlier.life == later.life {
			earlier.last, earlier.complete = later.first-1, true
		}
	}
	l.nextNumber++
	l.base, l.life = l.next, l.nextNumber
	l.stats.Watermark = l.next - 1
	if len(l.segments) > 0 {
		l.window.end(1, l.segments[0].first-1)
	}
}

// Append spools a batch, and returns the outcome of each record. On return the
// watermark covers every record that has a sequence: the operating system has
// its bytes, and with Options.Sync the disk.
func (l *Log) Append(batch []Record) []Outcome {
	outcomes := make([]Outcome, len(batch))
	if l.closed {
		l.refuse(outcomes, ErrClosed)
		return outcomes
	}
	for i := range batch {
		outcome := &outcomes[i]
		err := l.add(&batch[i], outcome)
		switch {
		case err == nil:
		case errors.Is(err, ErrTooLarge):
			outcome.Err = err
			l.stats.RefusedTooLarge++
		case errors.Is(err, ErrFull):
			outcome.Err = err
			l.stats.RefusedFull++
		default:
			// The filesystem has failed. The rest of the batch would fail, too, one
			// record after the other.
			l.abandon(err)
			l.refuse(outcomes[i:], err)
			return outcomes
		}
	}
	if err := l.commit(); err != nil {
		l.abandon(err)
	}
	return outcomes
}

// refuse sets err for each record that has no error yet.
func (l *Log) refuse(outcomes []Outcome, err error) {
	for i := range outcomes {
		if outcomes[i].Err == nil {
			outcomes[i] = Outcome{Err: err}
			l.stats.RefusedFailed++
		}
	}
}

// add encodes a record into the active segment, for commit to write.
func (l *Log) add(record *Record, outcome *Outcome) error {
	alone := endOfRecord(segmentHeaderBytes, record.length())
	if record.length() > l.options.MaxRecordBytes || pages(alone)+l.other > l.options.Limit {
		return ErrTooLarge
	}
	l.latest = max(l.latest, record.Deadline)
	if l.active != nil && l.active.size > segmentHeaderBytes && l.exceeds(record) {
		if err := l.seal(); err != nil {
			return err
		}
	}
	if err := l.makeRoom(record.length()); err != nil {
		return err
	}
	if l.active == nil {
		if err := l.create(); err != nil {
			return err
		}
	}
	l.active.size = endOfRecord(l.active.size, record.length())
	outcome.Sequence = l.next
	l.next++
	l.uncommitted = append(l.uncommitted, outcome)
	if err := l.encode(outcome.Sequence, record); err != nil {
		return err
	}
	if len(l.buffer) >= flushBytes && !l.options.Sync {
		return l.commit()
	}
	return nil
}

// exceeds reports whether a record needs a new segment.
func (l *Log) exceeds(record *Record) bool {
	return endOfRecord(l.active.size, record.length()) > l.options.SegmentBytes ||
		l.options.SegmentSpan > 0 && l.latest-l.active.from >= int64(l.options.SegmentSpan)
}

// makeRoom frees space until a payload fits under the limit.
func (l *Log) makeRoom(payload int) error {
	for persisted := false; l.bytes()+l.cost(payload) > l.options.Limit; {
		switch {
		case !persisted && l.window.low > l.mark.kept.mark:
			persisted = true
			// After a failure the segments below the mark are dropped like others.
			_ = l.Persist()
		case l.options.DropNewest || len(l.segments) == 0:
			return ErrFull
		default:
			if l.segments[0] == l.active {
				if err := l.seal(); err != nil {
					return err
				}
			}
			if err := l.dropOldest(); err != nil {
				l.stats.Errors++
				return fmt.Errorf("%w: %w", ErrFull, err)
			}
		}
	}
	return nil
}

// cost is what a payload adds to the bytes of all files.
func (l *Log) cost(payload int) int64 {
	if l.active == nil {
		return pages(endOfRecord(segmentHeaderBytes, payload))
	}
	return pages(endOfRecord(l.active.size, payload)) - pages(l.active.size)
}

func (l *Log) create() error {
	id := identity{number: l.nextNumber, first: l.next, life: l.life}
	l.nextNumber++
	file, err := l.filesystem.Create(id.name())
	if err != nil {
		return fmt.Errorf("creating a segment: %w", err)
	}
	if err := l.syncDirectory(); err != nil {
		_ = file.Close()
		if l.filesystem.Remove(id.name()) != nil {
			l.other += pages(0)
		}
		return err
	}
	l.active = &segment{
		identity: id, size: segmentHeaderBytes, ours: true, from: l.latest, reading: reading{expected: id.first},
	}
	l.segments = append(l.segments, l.active)
	l.file, l.written = file, 0
	l.buffer = id.appendHeader(l.buffer[:0])
	return nil
}

// encode frames a record, and flushes the buffer where it gets too long.
func (l *Log) encode(sequence uint64, record *Record) error {
	seed := l.active.seed()
	header := record.header()
	head, body := append(header[:], record.Head...), record.Payload
	for first := true; len(head)+len(body) > 0; first = false {
		if len(l.buffer) >= flushBytes {
			if err := l.flush(); err != nil {
				return err
			}
		}
		l.buffer = append(l.buffer, make([]byte, paddingAt(l.offset()))...)
		room := roomInBlock(l.offset()) - fragmentHeaderBytes
		fromHead := min(len(head), room)
		fromBody := min(len(body), room-fromHead)
		last := fromHead == len(head) && fromBody == len(body)
		kind := fragmentMiddle
		switch {
		case first && last:
			kind = fragmentFull
		case first:
			kind = fragmentFirst
		case last:
			kind = fragmentLast
		}
		l.buffer = appendFragment(l.buffer, seed, kind, sequence, head[:fromHead], body[:fromBody])
		head, body = head[fromHead:], body[fromBody:]
	}
	return nil
}

// offset is where the next byte of the active segment goes.
func (l *Log) offset() int64 { return l.written + int64(len(l.buffer)) }

// flush hands the buffer to the filesystem.
func (l *Log) flush() error {
	if len(l.buffer) == 0 {
		return nil
	}
	if err := writeAt(l.file, l.buffer, l.written); err != nil {
		return fmt.Errorf("writing a segment: %w", err)
	}
	l.written += int64(len(l.buffer))
	l.buffer = l.buffer[:0]
	return nil
}

// commit spools every record that was added.
func (l *Log) commit() error {
	if len(l.uncommitted) == 0 {
		return nil
	}
	if err := l.flush(); err != nil {
		return err
	}
	if l.options.Sync {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("syncing a segment: %w", err)
		}
	}
	l.active.end = l.written
	l.stats.Watermark = l.next - 1
	l.stats.Spooled += uint64(len(l.uncommitted))
	l.uncommitted = l.uncommitted[:0]
	return nil
}

// seal ends the active segment.
func (l *Log) seal() error {
	if err := l.commit(); err != nil {
		return err
	}
	l.retire()
	return nil
}

func (l *Log) retire() {
	// The committed records don't depend on Close.
	l.count(l.file.Close())
	l.active.last, l.active.complete = l.next-1, true
	l.active, l.file = nil, nil
	l.buffer = l.buffer[:0]
	if cap(l.buffer) > 2*flushBytes {
		l.buffer = nil
	}
}

// abandon returns the uncommitted records with err, and ends the active
// segment: after a failed write or sync the content of the file is unknown. A
// new segment uses the sequences again, which makes the old segment's void.
func (l *Log) abandon(err error) {
	l.stats.Errors++
	for _, outcome := range l.uncommitted {
		*outcome = Outcome{Err: err}
		l.stats.RefusedFailed++
	}
	l.uncommitted = l.uncommitted[:0]
	l.next = l.stats.Watermark + 1
	abandoned := l.active
	if abandoned == nil {
		return
	}
	l.retire()
	if abandoned.end == 0 {
		l.count(l.remove(abandoned))
		return
	}
	l.truncate(abandoned, abandoned.end)
}

// Next returns the next record at an end that was not handed out yet, and false
// where none is left at either end. It needs the memory of one block and of the
// payload, which the caller owns. After an error the same call may succeed later.
// A place that fails several times is skipped and counted.
func (l *Log) Next(from End) (Spooled, bool, error) {
	if l.closed {
		return Spooled{}, false, ErrClosed
	}
	record, ok, err := l.reader.next(from)
	if err != nil {
		l.stats.Errors++
		return Spooled{}, false, err
	}
	if ok {
		l.stats.Read++
	}
	return record, ok, nil
}

// Acknowledge ends a record that was delivered or dropped. Any order will do.
// Persist makes it durable.
func (l *Log) Acknowledge(sequence uint64) {
	if sequence == 0 || sequence > l.stats.Watermark || l.window.ended(sequence) {
		return
	}
	l.window.end(sequence, sequence)
	l.stats.Acknowledged++
}

// Persist writes the mark where it has moved, and removes the segments below
// it. Records up to the mark never come back; those above it that were
// acknowledged may, after a crash. Where the mark can't be written because the
// volume is full, segments whose records have all ended are removed even so.
// That makes room for the mark, and the first remaining segment says as much.
func (l *Log) Persist() error {
	if l.closed {
		return ErrClosed
	}
	ended := l.mark.kept.mark
	var unmarked error
	if l.window.low > ended {
		ended = l.window.low
		if unmarked = l.mark.store(ended); unmarked != nil {
			l.stats.Errors++
		}
	}
	for len(l.segments) > 0 {
		oldest := l.segments[0]
		if !oldest.complete || oldest.last > ended {
			return unmarked
		}
		if err := l.remove(oldest); err != nil {
			l.stats.Errors++
			return err
		}
		if err := l.syncDirectory(); err != nil {
			l.stats.Errors++
			return err
		}
	}
	return unmarked
}

// dropOldest removes the oldest segment, which is not the active one.
func (l *Log) dropOldest() error {
	oldest := l.segments[0]
	if !oldest.complete {
		// The number of records that an earlier process left in it is not known yet.
		if err := l.reader.skim(oldest); err != nil {
			return err
		}
	}
	unread := min(oldest.expected, oldest.last+1)
	if err := l.remove(oldest); err != nil {
		return err
	}
	unprotected := l.window.open(oldest.first, unread-1)
	l.stats.Unprotected += unprotected
	l.lose(Loss{Reason: LossOldest, First: unread, Last: oldest.last})
	if unprotected > 0 && l.options.OnLoss != nil {
		l.options.OnLoss(Loss{
			Reason: LossUnprotected, First: oldest.first, Last: unread - 1,
			Records: unprotected, Recovered: oldest.first < l.base,
		})
	}
	return l.syncDirectory()
}

// lose ends the open records of a span as lost.
func (l *Log) lose(loss Loss) {
	loss.Records = l.window.open(loss.First, loss.Last)
	loss.Recovered = loss.First < l.base
	if loss.Records == 0 {
		return
	}
	l.window.end(loss.First, loss.Last)
	if loss.Reason == LossOldest {
		l.stats.DroppedOldest.add(loss.Records, loss.Recovered)
	} else {
		l.stats.Lost.add(loss.Records, loss.Recovered)
	}
	if l.options.OnLoss != nil {
		l.options.OnLoss(loss)
	}
}

// remove deletes and closes a segment. An open file would keep its space.
func (l *Log) remove(s *segment) error {
	if err := l.filesystem.Remove(s.name()); err != nil {
		return fmt.Errorf("removing a segment: %w", err)
	}
	if l.options.Sync {
		l.unsynced += pages(s.size)
	}
	l.reader.leave(s)
	l.segments = slices.DeleteFunc(l.segments, func(other *segment) bool { return other == s })
	return nil
}

// syncDirectory makes created and removed files durable, where Options.Sync is
// set.
func (l *Log) syncDirectory() error {
	if !l.options.Sync {
		return nil
	}
	if err := l.filesystem.SyncDirectory(); err != nil {
		return fmt.Errorf("syncing the spool's directory: %w", err)
	}
	l.unsynced = 0
	return nil
}

// truncate cuts a segment's end off. With Options.Sync the file keeps its size,
// because a loss of power would bring the end back, over the limit.
func (l *Log) truncate(s *segment, size int64) {
	s.end = size
	if l.options.Sync {
		return
	}
	if err := l.filesystem.Truncate(s.name(), size); err != nil {
		l.stats.Errors++
		return
	}
	s.size = size
}

func (l *Log) count(err error) {
	if err != nil {
		l.stats.Errors++
	}
}

// Stats returns the present figures.
func (l *Log) Stats() Stats {
	stats := l.stats
	stats.Mark = l.mark.kept.mark
	stats.Bytes = l.bytes()
	stats.Limit = l.options.Limit
	stats.Segments = len(l.segments)
	stats.Unread = l.reader.unread()
	return stats
}

// bytes is the space of all files, each in whole pages.
func (l *Log) bytes() int64 {
	bytes := l.other + l.unsynced
	for _, s := range l.segments {
		bytes += pages(s.size)
	}
	return bytes
}

// pages rounds a file's size up to whole pages, one at least.
func pages(size int64) int64 { return max((size+pageBytes-1)/pageBytes, 1) * pageBytes }

// Close persists the mark and closes the files. Spooled records stay.
func (l *Log) Close() error {
	if l.closed {
		return nil
	}
	err := l.Persist()
	l.closed = true
	l.reader.close()
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.active, l.file, l.buffer = nil, nil, nil
	}
	return errors.Join(err, l.mark.close())
}
