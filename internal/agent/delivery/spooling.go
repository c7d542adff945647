/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
)

// reopenAfter is how long a directory that can't be opened is left alone.
const reopenAfter = 10 * time.Second

// SpoolDirectory is a directory that is open for a spool.
type SpoolDirectory interface {
	spool.Filesystem
	Close() error
}

// SpoolOptions say where a sink's overflow goes.
type SpoolOptions struct {
	// Open opens the directory. It may be called again where it fails.
	Open func() (SpoolDirectory, error)
	// Log has the spool's limit, and what is dropped at it. OnLoss is the sink's.
	Log spool.Options
	// QueueBytes bounds what the events on their way to the disk hold, and
	// WindowBytes what those hold that were read back, one excepted in each.
	QueueBytes, WindowBytes int64
	// Reserve takes bytes of the agent's budget for a dead letter that was read
	// back, so that it leaves the window to others. ok is false if there are none.
	Reserve func(bytes int64) (release func(), ok bool)
	// OnFailing is called when the spool begins to fail, and OnRecovered when it
	// works again.
	OnFailing   func(SpoolFailure, error)
	OnRecovered func()
}

// SpoolFailure is a class of failures. The set is closed: it may label metrics.
type SpoolFailure string

// The classes.
const (
	// FailureMissing: there is no such directory, and it can't be made.
	FailureMissing SpoolFailure = "missing"
	// FailurePermission: it may not be read or written.
	FailurePermission SpoolFailure = "permission"
	// FailureLocked: another process has it.
	FailureLocked SpoolFailure = "locked"
	// FailureDiskFull: the volume has no room, below the spool's own limit.
	FailureDiskFull SpoolFailure = "disk-full"
	// FailureIO: anything else.
	FailureIO SpoolFailure = "io"
)

// SpoolStatus is how a sink's spool does.
type SpoolStatus struct {
	// Open says that the spool takes events; it may be failing nevertheless.
	Open    bool `json:"open"`
	Failing bool `json:"failing"`
	// LastFailure is the class of the last failure, empty where there was none.
	LastFailure SpoolFailure `json:"lastTrouble,omitempty"`
	// Stats are those of the records, and Errors those of opening the directory
	// too. Unread says also that a record is on its way to the queue.
	spool.Stats
	// SpooledThrough is the highest agentsequence of this process up to which
	// every event has ended or is on the disk: a kill loses none of them.
	SpooledThrough uint64 `json:"spooledThrough"`
}

// Working reports whether the spool takes events and doesn't fail.
func (s SpoolStatus) Working() bool { return s.Open && !s.Failing }

// spooling runs a sink's spool. Its functions are called in the spool's
// goroutine, and hold the sink's lock only to tell the core.
type spooling struct {
	sink    *Sink
	options SpoolOptions

	// The rest is under the sink's lock.

	// spool is nil while the directory isn't open.
	spool   *spool.Spool
	stats   spool.Stats
	errors  uint64
	failure SpoolFailure
	failing bool
}

func newSpooling(s *Sink, options SpoolOptions) *spooling {
	if options.Log.MaxRecordBytes <= 0 {
		options.Log.MaxRecordBytes = spool.DefaultMaxRecordBytes
	}
	sp := &spooling{sink: s, options: options}
	sp.options.Log.OnLoss = sp.lost
	sp.options.Log.SegmentSpan = segmentSpan
	return sp
}

func (sp *spooling) core() *core { return sp.sink.routes[0].core }

func (sp *spooling) bounds() spoolBounds {
	return spoolBounds{
		QueueBytes:     sp.options.QueueBytes,
		WindowBytes:    sp.options.WindowBytes,
		MaxRecordBytes: int64(sp.options.Log.MaxRecordBytes),
	}
}

// RunSpool opens the sink's spool, where it has one, and works on it until ctx
// is done. A directory that can't be opened is tried again at a slow pace. A
// filesystem that hangs holds it, and nobody else.
func (s *Sink) RunSpool(ctx context.Context) {
	if s.spooling == nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.spooling.run(ctx); err != nil {
			s.spooling.failed(err)
		}
		timer.Reset(reopenAfter)
	}
}

func (sp *spooling) run(ctx context.Context) error {
	directory, err := sp.options.Open()
	if err != nil {
		return err
	}
	defer directory.Close()
	log, err := spool.Open(directory, sp.options.Log)
	if err != nil {
		return err
	}
	running := spool.New(log, sp.options.QueueBytes)
	sp.worked()
	sp.sink.change(func(now time.Time) {
		sp.spool = running
		sp.core().Step(now, spoolOpened{})
	})
	err = running.Run(ctx)
	sp.sink.change(func(now time.Time) {
		sp.stats = running.Stats()
		sp.spool = nil
		sp.core().Step(now, spoolClosed{})
	})
	return err
}

// ReadSpool has what was spooled come back from now on.
func (s *Sink) ReadSpool() {
	s.change(func(now time.Time) { s.routes[0].core.Step(now, readsAllowed{}) })
}

// SpoolEmpty reports whether everything on the disk has come back, where that is
// known.
func (s *Sink) SpoolEmpty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.routes[0].core.SpoolEmpty()
}

// SpoolStatus says how the spool does, and whether there is one. observed is
// the sequence up to which every event has come to this sink, or ended.
func (s *Sink) SpoolStatus(observed uint64) (SpoolStatus, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.spooling
	if sp == nil {
		return SpoolStatus{}, false
	}
	status := SpoolStatus{
		Open: sp.spool != nil, Failing: sp.failing, LastFailure: sp.failure,
		Stats: sp.stats, SpooledThrough: observed,
	}
	if status.Open {
		status.Stats = sp.spool.Stats()
	}
	status.Errors += sp.errors
	status.Limit = sp.options.Log.Limit
	status.Unread = status.Unread || !sp.core().SpoolEmpty()
	for _, r := range s.routes {
		if first := r.core.FirstExposed(); first > 0 {
			status.SpooledThrough = min(status.SpooledThrough, first-1)
		}
	}
	return status, true
}

// move starts what the core asked of its spool, and reports whether the core was
// told of a failure. It needs the sink's lock.
func (sp *spooling) move(asked *ready, now time.Time) (told bool) {
	for _, item := range asked.Spool {
		if in := sp.append(item); in != nil {
			sp.core().Step(now, in)
			told = true
		}
	}
	if read := asked.Read; read.Records > 0 {
		if err := sp.spool.Read(read.From, read.Records, read.Bytes, sp.read); err != nil {
			sp.core().Step(now, readEnded{failed: true})
			told = true
		}
	}
	return told
}

// append hands an item to the spool, or gives the input that says why not.
func (sp *spooling) append(item *Item) input {
	var record spool.Record
	if !sp.sink.panics.Event(func() { record = recordOf(item) }) {
		return unspoolable{item: item}
	}
	err := sp.spool.Append(record, func(outcome spool.Outcome) { sp.appended(item, outcome) })
	if err != nil {
		return notSpooled{item: item, tooLarge: errors.Is(err, spool.ErrTooLarge)}
	}
	return nil
}

// acknowledge ends records whose events have ended. It needs the sink's lock.
func (sp *spooling) acknowledge(records []uint64) {
	for _, record := range records {
		if sp.spool != nil {
			sp.spool.Acknowledge(record)
		}
	}
}

// reserve has an item hold a part of the budget instead of the window, and
// reports whether there was room.
func (sp *spooling) reserve(item *Item) bool {
	bytes := item.record.window
	if bytes == 0 {
		return true
	}
	release, ok := sp.options.Reserve(bytes)
	if ok {
		item.Bytes, item.Release, item.record.window = bytes, release, 0
	}
	return ok
}

func (sp *spooling) appended(item *Item, outcome spool.Outcome) {
	switch err := outcome.Err; {
	case err == nil:
		sp.worked()
	case !errors.Is(err, spool.ErrFull) && !errors.Is(err, spool.ErrTooLarge) && !errors.Is(err, spool.ErrClosed):
		sp.failed(err)
	}
	sp.sink.change(func(now time.Time) {
		if outcome.Err == nil {
			sp.core().Step(now, spooled{item: item})
		} else {
			sp.core().Step(now, notSpooled{item: item, tooLarge: errors.Is(outcome.Err, spool.ErrTooLarge)})
		}
	})
}

func (sp *spooling) read(records []spool.Spooled, err error) {
	if err != nil && !errors.Is(err, spool.ErrClosed) {
		sp.failed(err)
	}
	inputs := make([]input, len(records))
	for i, record := range records {
		inputs[i] = sp.inputOf(record)
	}
	sp.sink.change(func(now time.Time) {
		for _, in := range inputs {
			sp.core().Step(now, in)
		}
		sp.core().Step(now, readEnded{records: len(records), failed: err != nil})
	})
}

// inputOf returns the input for a record that was read.
func (sp *spooling) inputOf(record spool.Spooled) input {
	var item *Item
	var err error
	sound := sp.sink.panics.Event(func() { item, err = itemOf(record) })
	switch {
	case !sound:
		return unreadable{record: record.Sequence, recovered: record.Recovered, reason: ledger.ReasonInvalid}
	case err != nil:
		return unreadable{record: record.Sequence, recovered: record.Recovered, reason: ledger.ReasonUnreadable}
	default:
		return readBack{item: item}
	}
}

func (sp *spooling) lost(loss spool.Loss) {
	sp.sink.change(func(now time.Time) {
		switch loss.Reason {
		case spool.LossUnprotected:
			sp.sink.stepAll(now, exposed{first: loss.First, last: loss.Last})
		case spool.LossOldest:
			sp.core().Step(now, lost{events: loss.Records, recovered: loss.Recovered, reason: ledger.ReasonOverflow})
		default:
			sp.core().Step(now, lost{events: loss.Records, recovered: loss.Recovered, reason: ledger.ReasonUnreadable})
		}
	})
}

func (sp *spooling) failed(err error) {
	class := spoolFailureOf(err)
	sp.sink.mu.Lock()
	told := sp.failing && sp.failure == class
	sp.failing, sp.failure = true, class
	if sp.spool == nil {
		sp.errors++
	}
	sp.sink.mu.Unlock()
	if !told && sp.options.OnFailing != nil {
		sp.options.OnFailing(class, err)
	}
}

func (sp *spooling) worked() {
	sp.sink.mu.Lock()
	recovered := sp.failing
	sp.failing = false
	sp.sink.mu.Unlock()
	if recovered && sp.options.OnRecovered != nil {
		sp.options.OnRecovered()
	}
}

func spoolFailureOf(err error) SpoolFailure {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return FailureMissing
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return FailurePermission
	case errors.Is(err, syscall.EAGAIN):
		return FailureLocked
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return FailureDiskFull
	default:
		return FailureIO
	}
}
