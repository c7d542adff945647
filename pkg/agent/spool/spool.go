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

// maxBatchBytes bounds the payloads of one group commit, so that the first of
// them doesn't wait for the last of many.
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

// New gives a Spool on a Log, which it owns from now on. It takes payloads of
// at most queueBytes that wait for the filesystem; one is always taken.
func New(log *Log, queueBytes int64) *Spool {
	return &Spool{log: log, queueBytes: queueBytes, stats: log.Stats(), wake: make(chan struct{}, 1)}
}

// Append hands a record over, and returns ErrBusy or ErrClosed where it isn't
// taken. Where it is, done is called once with what became of it, and the
// payload must not change until then.
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

// Read asks for the records at an end that were not handed out yet: at most so
// many, and no further one once their payloads have so many bytes. done is
// called once: with none where there is none, and with an error, beside what
// was read before it, where the filesystem failed or the Spool was closed. It
// returns ErrBusy while another Read is under way, and ErrClosed.
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

// Stats gives the figures after the last step.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run works until ctx is done, then does what was handed over before and
// closes the Log. A filesystem that hangs holds it, and nobody else: whoever
// has to end before it doesn't wait for it.
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

// step does what was handed over, a batch at most, and says whether that was
// anything.
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
		// Its error is counted, and the next step tries again.
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

// publish makes the figures of this moment the ones to be seen.
func (s *Spool) publish() {
	stats := s.log.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = stats
}

// finish gives back what the batch and the read took of the queue, so that
// their functions can ask for more.
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
