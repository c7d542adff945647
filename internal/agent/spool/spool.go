/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"context"
	"slices"
	"sync"
)

// maxBatchBytes bounds the payloads of one group commit, so that its first
// record doesn't wait for many others.
const maxBatchBytes = 4 << 20

// Spool runs a Log in one goroutine, Run's, so that no caller waits for the
// filesystem. It is safe for concurrent use. Functions that it is given are
// called in that goroutine, one at a time, and must not block.
type Spool struct {
	log        *Log
	queueBytes int64

	mu           sync.Mutex
	appends      []pendingAppend
	queued       int64
	acknowledged []uint64
	read         *pendingRead
	// closed is set when nothing more is taken but acknowledgements, ended
	// when the Log is closed.
	closed, ended bool
	stats         Stats

	wake chan struct{}
}

type pendingAppend struct {
	record Record
	done   func(Outcome)
}

type pendingRead struct {
	from           End
	records, bytes int
	done           func([]Spooled, error)
}

// New returns a Spool on a Log, which it owns from now on. At most queueBytes of
// payloads wait for the filesystem; an empty queue takes a payload of any size.
func New(log *Log, queueBytes int64) *Spool {
	return &Spool{log: log, queueBytes: queueBytes, stats: log.Stats(), wake: make(chan struct{}, 1)}
}

// Append queues a record. It returns ErrBusy where the queue is full, and
// ErrClosed after the end of Run. Otherwise done is called once with the
// outcome, and the payload must not change until then.
func (s *Spool) Append(record Record, done func(Outcome)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(s.appends) > 0 && s.queued+int64(record.length()) > s.queueBytes:
		return ErrBusy
	}
	s.appends = append(s.appends, pendingAppend{record: record, done: done})
	s.queued += int64(record.length())
	s.signal()
	return nil
}

// Acknowledge ends a record that was appended or read. The mark follows.
func (s *Spool) Acknowledge(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.acknowledged = append(s.acknowledged, sequence)
		s.signal()
	}
}

// Read asks for records at an end that were not handed out yet. It stops after
// so many records, or once their payloads have so many bytes. done is called
// once, with no record where none is left. Where the filesystem failed or the
// Spool was closed, done gets the error and the records read before it. Read
// returns ErrBusy while another Read is in flight, and ErrClosed after the end
// of Run.
func (s *Spool) Read(from End, records, bytes int, done func([]Spooled, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.read != nil:
		return ErrBusy
	}
	s.read = &pendingRead{from: from, records: records, bytes: bytes, done: done}
	s.signal()
	return nil
}

// Stats returns the figures after the last step.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run works until ctx is done. Then it finishes what was queued and closes the
// Log. A filesystem that hangs blocks Run and no other method, so a caller that
// must end in time doesn't wait for Run.
func (s *Spool) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-s.wake:
			s.step()
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for s.step() {
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	err := s.log.Close()
	s.publish()
	return err
}

// step does what is queued, one batch at most, and reports whether there was
// anything to do.
func (s *Spool) step() bool {
	s.mu.Lock()
	batch := s.takeBatch()
	acknowledged := s.acknowledged
	s.acknowledged = nil
	read := s.read
	closed := s.closed
	s.mu.Unlock()
	if len(batch) == 0 && len(acknowledged) == 0 && read == nil {
		return false
	}

	outcomes := s.append(batch)
	for _, sequence := range acknowledged {
		s.log.Acknowledge(sequence)
	}
	if len(acknowledged) > 0 {
		// Persist counts its errors, and the next step tries again.
		_ = s.log.Persist()
	}
	var spooled []Spooled
	var err error
	switch {
	case read != nil && closed:
		err = ErrClosed
	case read != nil:
		spooled, err = s.readUpTo(read)
	}

	s.publish()
	s.finish(batch, read)
	for i := range batch {
		batch[i].done(outcomes[i])
	}
	if read != nil {
		read.done(spooled, err)
	}
	return true
}

func (s *Spool) takeBatch() []pendingAppend {
	n, bytes := 0, 0
	for n < len(s.appends) && (n == 0 || bytes+s.appends[n].record.length() <= maxBatchBytes) {
		bytes += s.appends[n].record.length()
		n++
	}
	batch := slices.Clone(s.appends[:n])
	s.appends = slices.Delete(s.appends, 0, n)
	if len(s.appends) > 0 {
		s.signal()
	}
	return batch
}

func (s *Spool) append(batch []pendingAppend) []Outcome {
	if len(batch) == 0 {
		return nil
	}
	records := make([]Record, len(batch))
	for i := range batch {
		records[i] = batch[i].record
	}
	return s.log.Append(records)
}

func (s *Spool) readUpTo(asked *pendingRead) ([]Spooled, error) {
	var spooled []Spooled
	for read := 0; len(spooled) < asked.records && read < asked.bytes; {
		record, ok, err := s.log.Next(asked.from)
		if err != nil || !ok {
			return spooled, err
		}
		spooled = append(spooled, record)
		read += record.length()
	}
	return spooled, nil
}

// publish makes the present figures visible to Stats.
func (s *Spool) publish() {
	stats := s.log.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = stats
}

// finish frees the room of the batch and the read in the queue, so that their
// callbacks can ask for more.
func (s *Spool) finish(batch []pendingAppend, read *pendingRead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batch {
		s.queued -= int64(batch[i].record.length())
	}
	if s.read == read {
		s.read = nil
	}
}

func (s *Spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
