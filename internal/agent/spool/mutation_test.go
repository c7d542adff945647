/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

// Beside the mutants of this file, each of these changes to the source made a
// test of the package fail: no sync of a segment, of the mark, or of the
// directory for either; one slot for the mark; a commit that writes nothing; a
// failed segment that is used on; its sequences not used again; a mark that
// passes gaps or is never written; a segment removed too early; a record's cost
// counted wrongly; sizes of earlier lives forgotten; space used again before its
// removal is synced; void records or ended ones read; checksums ignored.

import "testing"

// impatient acknowledges whatever came before a record along with it.
type impatient struct{ subject }

func (i impatient) Acknowledge(sequence uint64) {
	for earlier := sequence; earlier > 0 && earlier+32 > sequence; earlier-- {
		i.subject.Acknowledge(earlier)
	}
}

// boastful shows a mark that isn't written yet.
type boastful struct{ *Log }

func (b boastful) Stats() Stats {
	stats := b.Log.Stats()
	stats.Mark = b.window.low
	return stats
}

// hasty takes sequences for spooled that it hasn't appended yet.
type hasty struct {
	*Log
	late []Record
}

func (h *hasty) Append(batch []Record) []Outcome {
	h.Log.Append(h.late)
	h.late = batch
	outcomes := make([]Outcome, len(batch))
	for i := range outcomes {
		outcomes[i].Sequence = h.next + uint64(i)
	}
	return outcomes
}

func (h *hasty) Stats() Stats {
	stats := h.Log.Stats()
	stats.Watermark += uint64(len(h.late))
	return stats
}

// A battery that passes shows something only if it fails for what is broken.
func TestBatteryFindsFaults(t *testing.T) {
	broken := map[string]battery{
		"a sync that does nothing": {
			options:      variants["synced, roomy"],
			breakPromise: func(m *memoryFilesystem) { m.skipSync = true },
		},
		"a directory's sync that does nothing": {
			options:      variants["synced, roomy"],
			breakPromise: func(m *memoryFilesystem) { m.skipSyncDirectory = true },
		},
		"a watermark ahead of the write": {
			options:      variants["roomy"],
			breakPromise: func(m *memoryFilesystem) { m.delayWrites = true },
		},
		"a record taken before it is written": {
			options: variants["roomy"],
			open: func(filesystem Filesystem, options Options) (subject, error) {
				log, err := Open(filesystem, options)
				return &hasty{Log: log}, err
			},
		},
		"a mark that passes what hasn't ended": {
			options: variants["roomy"],
			open: func(filesystem Filesystem, options Options) (subject, error) {
				log, err := Open(filesystem, options)
				return impatient{log}, err
			},
		},
		"a mark shown before it is kept": {
			options: variants["roomy"],
			open: func(filesystem Filesystem, options Options) (subject, error) {
				log, err := Open(filesystem, options)
				return boastful{log}, err
			},
		},
		"a limit that is taken too lightly": {
			options: variants["oldest dropped"],
			open: func(filesystem Filesystem, options Options) (subject, error) {
				options.Limit += 2 * blockBytes
				return Open(filesystem, options)
			},
		},
		"a limit that forgets what was there before": {
			options:      variants["oldest dropped"],
			breakPromise: func(m *memoryFilesystem) { m.forgetSizes = true },
		},
	}
	base := seed(t)
	for name, b := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range uint64(10) {
				if err := b.everyCrashPoint(base+i, 60); err != nil {
					t.Log(err)
					return
				}
			}
			t.Error("the battery didn't find it")
		})
	}
}

func TestTheBatteryFindsASyncThatIsTriedAgain(t *testing.T) {
	base := seed(t)
	b := &battery{
		options:      variants["synced, roomy"],
		breakPromise: func(m *memoryFilesystem) { m.trySyncAgain = true },
	}
	for at := 1; at < 100; at++ {
		if err := b.failing(base, at, faults["EIO"], false); err != nil {
			t.Log(err)
			return
		}
	}
	t.Error("the battery didn't find it")
}
