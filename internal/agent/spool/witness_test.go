/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
)

// errShortWrite makes a write of a memoryFilesystem short, without an error.
var errShortWrite = errors.New("short write")

// body is the payload of an id: whoever has it can tell whether it is whole.
func body(id uint64, size int) []byte {
	payload := make([]byte, 8+size)
	binary.LittleEndian.PutUint64(payload, id)
	state := id*0x9e3779b97f4a7c15 + uint64(size)
	for rest := payload[8:]; len(rest) > 0; {
		state = state*6364136223846793005 + 1442695040888963407
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], state^state>>29)
		rest = rest[copy(rest, word[:]):]
	}
	return payload
}

func recordOf(id uint64, size int) Record {
	whole := body(id, size)
	head := len(whole) * int(id%4) / 4
	return Record{Deadline: int64(id) * 7, AgentSequence: id, Head: whole[:head], Payload: whole[head:]}
}

// identify returns the id of a record that is as it was spooled.
func identify(record Record) (uint64, error) {
	if len(record.Payload) < 8 {
		return 0, fmt.Errorf("a payload of %d bytes was invented", len(record.Payload))
	}
	id := binary.LittleEndian.Uint64(record.Payload)
	if !bytes.Equal(record.Payload, body(id, len(record.Payload)-8)) {
		return 0, fmt.Errorf("the payload of record %d is damaged", id)
	}
	if record.AgentSequence != id || record.Deadline != int64(id)*7 {
		return 0, fmt.Errorf("the metadata of record %d is damaged", id)
	}
	return id, nil
}

// subject is what the battery examines: a Log, or a broken one.
type subject interface {
	Append([]Record) []Outcome
	Next(End) (Spooled, bool, error)
	Acknowledge(uint64)
	Persist() error
	Stats() Stats
	Close() error
}

// witnessed is what the outside knows of a record.
type witnessed struct {
	sequence uint64
	// spooled says that Append said so; refusedForGood that it never went to
	// the filesystem.
	spooled, refusedForGood bool
	acknowledged, lost      bool
	// ended says that the mark covered its acknowledgement.
	ended bool
}

// witness holds a subject to its promises, from the outside, over all lives.
type witness struct {
	records map[uint64]*witnessed
	lastID  uint64
	// returned are the ids that were read in this life.
	returned map[uint64]bool
	lastRead uint64
	// lastOldest is the last sequence that came from the oldest end.
	lastOldest uint64
	// mark is the highest that was seen.
	mark uint64
	// damaged says that reads were, so that losses are allowed.
	damaged bool
	// powerLost says that the power was: then records that were never called
	// spooled may leave gaps, which count as losses.
	powerLost bool
	lost      uint64
}

func newWitness() *witness {
	return &witness{records: map[uint64]*witnessed{}, returned: map[uint64]bool{}}
}

// begin begins a life.
func (w *witness) begin() {
	clear(w.returned)
	w.lastRead, w.lastOldest = 0, 0
}

func (w *witness) onLoss(loss Loss) {
	if loss.Reason == LossUnreadable {
		w.lost += loss.Records
	}
	for _, record := range w.records {
		if record.sequence >= loss.First && record.sequence <= loss.Last && record.sequence > 0 {
			record.lost = true
		}
	}
}

func (w *witness) append(s subject, sizes ...int) error {
	batch := make([]Record, len(sizes))
	for i, size := range sizes {
		w.lastID++
		batch[i] = recordOf(w.lastID, size)
		w.records[w.lastID] = &witnessed{}
	}
	outcomes := s.Append(batch)
	if len(outcomes) != len(batch) {
		return fmt.Errorf("%d records have %d outcomes", len(batch), len(outcomes))
	}
	watermark := s.Stats().Watermark
	for i, outcome := range outcomes {
		record := w.records[batch[i].AgentSequence]
		switch {
		case outcome.Err == nil:
			if outcome.Sequence == 0 || outcome.Sequence > watermark {
				return fmt.Errorf("record %d is spooled as %d, over the watermark %d", batch[i].AgentSequence, outcome.Sequence, watermark)
			}
			record.spooled, record.sequence = true, outcome.Sequence
		case outcome.Sequence != 0:
			return fmt.Errorf("a refused record has the sequence %d", outcome.Sequence)
		default:
			record.refusedForGood = errors.Is(outcome.Err, ErrTooLarge) || errors.Is(outcome.Err, ErrFull)
		}
	}
	return nil
}

// read reads one record from the oldest end, and checks P3.
func (w *witness) read(s subject) (Spooled, bool, error) { return w.readFrom(s, Oldest) }

func (w *witness) readFrom(s subject, from End) (Spooled, bool, error) {
	read, ok, err := s.Next(from)
	if err != nil || !ok {
		return Spooled{}, false, nil
	}
	id, err := identify(read.Record)
	if err != nil {
		return Spooled{}, false, err
	}
	record := w.records[id]
	switch {
	case record == nil:
		return Spooled{}, false, fmt.Errorf("record %d was invented", id)
	case record.refusedForGood:
		return Spooled{}, false, fmt.Errorf("record %d was refused and came back", id)
	case w.returned[id]:
		return Spooled{}, false, fmt.Errorf("record %d came back twice in one life", id)
	case record.ended:
		return Spooled{}, false, fmt.Errorf("record %d came back after its end was kept", id)
	case record.spooled && record.sequence != read.Sequence:
		return Spooled{}, false, fmt.Errorf("record %d was spooled as %d and came back as %d", id, record.sequence, read.Sequence)
	case from == Oldest && read.Sequence <= w.lastOldest:
		return Spooled{}, false, fmt.Errorf("sequence %d came after %d", read.Sequence, w.lastOldest)
	}
	if from == Oldest {
		w.lastOldest = read.Sequence
	}
	record.sequence = read.Sequence
	w.returned[id] = true
	w.lastRead = max(w.lastRead, read.Sequence)
	return read, true, nil
}

func (w *witness) acknowledge(s subject, read Spooled) {
	w.records[read.AgentSequence].acknowledged = true
	s.Acknowledge(read.Sequence)
}

func (w *witness) persist(s subject) {
	_ = s.Persist()
	w.note(s)
}

// note notes what the mark says.
func (w *witness) note(s subject) {
	mark := s.Stats().Mark
	for _, record := range w.records {
		if record.acknowledged && record.sequence <= mark {
			record.ended = true
		}
	}
}

// audit reads all that is left, and checks P2: every record that was called
// spooled, and has not ended, came back in this life.
func (w *witness) audit(s subject) error {
	for stuck := 0; stuck < 3; {
		_, ok, err := w.read(s)
		if err != nil {
			return err
		}
		if !ok {
			stuck++
		}
	}
	missing := uint64(0)
	for id, record := range w.records {
		if !record.spooled || record.acknowledged || record.lost || w.returned[id] {
			continue
		}
		if !w.damaged || record.sequence < w.lastRead {
			return fmt.Errorf("record %d was spooled as %d and didn't come back", id, record.sequence)
		}
		missing++
	}
	stats := s.Stats()
	if missing > 0 && stats.TornTails+stats.CorruptBlocks == 0 {
		// At the very end no gap shows how many there were.
		return fmt.Errorf("%d records are missing at the end, and nothing says so", missing)
	}
	if lost := stats.Lost.Fresh + stats.Lost.Recovered; !w.damaged && !w.powerLost && lost > 0 {
		return fmt.Errorf("%d records are counted as lost that are not", lost)
	}
	return nil
}

// world is a subject on a filesystem, with its witness.
type world struct {
	filesystem *memoryFilesystem
	subject    subject
	witness    *witness
	options    Options
	open       func(Filesystem, Options) (subject, error)
	held       []Spooled
}

func newWorld(options Options, open func(Filesystem, Options) (subject, error)) *world {
	w := &world{filesystem: newMemoryFilesystem(), witness: newWitness(), options: options, open: open}
	w.filesystem.limit = options.Limit
	return w
}

func openLog(filesystem Filesystem, options Options) (subject, error) {
	return Open(filesystem, options)
}

// start begins a life.
func (w *world) start() error {
	w.witness.begin()
	w.held = nil
	options := w.options
	options.OnLoss = w.witness.onLoss
	opened, err := w.open(w.filesystem, options)
	if err != nil {
		return err
	}
	w.subject = opened
	return nil
}

// crashing does something, and reports whether it crashed.
func crashing(do func() error) (crashed bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			crashed = true
		}
	}()
	return false, do()
}

// size returns a payload's size: mostly small, sometimes over several blocks.
func size(random *rand.Rand) int {
	switch random.IntN(10) {
	case 0:
		return 0
	case 1:
		return blockBytes - minRecordBytes - segmentHeaderBytes - 8 + random.IntN(5) - 2
	case 2:
		return random.IntN(100 << 10)
	case 3, 4:
		return random.IntN(20 << 10)
	default:
		return random.IntN(300)
	}
}

// act does one thing at random.
func (w *world) act(random *rand.Rand) error {
	switch action := random.IntN(100); {
	case action < 45:
		sizes := make([]int, 1+random.IntN(5))
		for i := range sizes {
			sizes[i] = size(random)
		}
		return w.witness.append(w.subject, sizes...)
	case action < 65:
		from := End(random.IntN(2))
		for range random.IntN(8) {
			read, ok, err := w.witness.readFrom(w.subject, from)
			if err != nil {
				return err
			}
			if ok {
				w.held = append(w.held, read)
			}
		}
	case action < 80:
		for range random.IntN(6) {
			if len(w.held) > 0 {
				i := random.IntN(len(w.held))
				w.witness.acknowledge(w.subject, w.held[i])
				w.held = append(w.held[:i], w.held[i+1:]...)
			}
		}
		w.witness.note(w.subject)
	case action < 95:
		w.witness.persist(w.subject)
	default:
		_ = w.subject.Close()
		w.witness.note(w.subject)
		return w.start()
	}
	return nil
}

// run begins a life and does so many things in it.
func (w *world) run(random *rand.Rand, actions int) error {
	if err := w.start(); err != nil {
		return err
	}
	for range actions {
		if err := w.act(random); err != nil {
			return err
		}
	}
	return nil
}

// checkLimit reports whether the files ever took more than the limit.
func (w *world) checkLimit() error {
	if w.filesystem.exceeded > 0 {
		return fmt.Errorf("the limit was exceeded by %d bytes", w.filesystem.exceeded)
	}
	return nil
}
