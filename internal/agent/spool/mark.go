/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	markName      = "mark"
	markSlotBytes = 8 + 8 + 8 + 4
	// markSlotStride keeps the slots in different pages and sectors.
	markSlotStride = pageBytes
	markSlots      = 3
	markFileBytes  = markSlots * markSlotStride
)

var markMagic = [8]byte{'S', 'N', 'M', 'A', 'R', 'K', '0', '1'}

// markSlot is one of the three places for the mark, which are written in turns.
// A torn write leaves the two newest slots, and the older of those was certainly
// synced.
type markSlot struct {
	// count grows by one with each write.
	count uint64
	// mark is the sequence up to which every record has ended.
	mark uint64
}

func (s markSlot) encode() []byte {
	b := append([]byte(nil), markMagic[:]...)
	b = littleEndian.AppendUint64(b, s.count)
	b = littleEndian.AppendUint64(b, s.mark)
	return littleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeMarkSlot(b []byte) (markSlot, bool) {
	const body = markSlotBytes - 4
	if len(b) < markSlotBytes || [8]byte(b[:8]) != markMagic ||
		crc32.Checksum(b[:body], castagnoli) != littleEndian.Uint32(b[body:]) {
		return markSlot{}, false
	}
	slot := markSlot{count: littleEndian.Uint64(b[8:]), mark: littleEndian.Uint64(b[16:])}
	return slot, slot.count < maxNumber && slot.mark < maxNumber
}

// decodeMark returns the newest slot of a mark file and the one before it: zero
// if there is none that is valid.
func decodeMark(content []byte) (newest, before markSlot) {
	for i := range markSlots {
		at := i * markSlotStride
		if at >= len(content) {
			break
		}
		slot, ok := decodeMarkSlot(content[at:])
		switch {
		case !ok || slot.count%markSlots != uint64(i):
		case slot.count > newest.count:
			newest, before = slot, newest
		case slot.count > before.count:
			before = slot
		}
	}
	return newest, before
}

// markFile keeps the mark.
type markFile struct {
	filesystem Filesystem
	sync       bool
	exists     bool
	file       File
	// kept is the slot that the file certainly holds.
	kept markSlot
}

// load returns the mark of earlier processes. An error is no reason to fail:
// then records that had ended come back, with the same ids.
func (m *markFile) load() (uint64, error) {
	file, err := m.filesystem.Open(markName, false)
	if err != nil {
		return 0, fmt.Errorf("opening the mark: %w", err)
	}
	defer file.Close()
	content := make([]byte, markFileBytes)
	n, err := file.ReadAt(content, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("reading the mark: %w", err)
	}
	newest, before := decodeMark(content[:n])
	m.kept = newest
	if !m.sync {
		return newest.mark, nil
	}
	// The newest slot may not be on the disk: its process may have been killed
	// before the sync, or the sync may have failed.
	m.kept.mark = min(before.mark, newest.mark)
	if err := file.Sync(); err != nil {
		return newest.mark, fmt.Errorf("syncing the mark: %w", err)
	}
	return newest.mark, nil
}

// store writes the mark. After an error the slots that the file held before are
// still there, and the next store writes the same one again.
func (m *markFile) store(mark uint64) error {
	if err := m.open(); err != nil {
		return err
	}
	slot := markSlot{count: m.kept.count + 1, mark: mark}
	at := int64(slot.count%markSlots) * markSlotStride
	if err := writeAt(m.file, slot.encode(), at); err != nil {
		return fmt.Errorf("writing the mark: %w", err)
	}
	if m.sync {
		if err := m.file.Sync(); err != nil {
			// The operating system shows a slot that the disk doesn't have. No later
			// process may read it.
			_ = writeAt(m.file, make([]byte, markSlotBytes), at)
			return fmt.Errorf("syncing the mark: %w", err)
		}
	}
	m.kept = slot
	return nil
}

func (m *markFile) open() error {
	if m.file != nil {
		return nil
	}
	open := func() (File, error) { return m.filesystem.Open(markName, true) }
	if !m.exists {
		open = func() (File, error) { return m.filesystem.Create(markName) }
	}
	file, err := open()
	if err != nil {
		return fmt.Errorf("opening the mark: %w", err)
	}
	m.exists = true
	if m.sync {
		if err := m.filesystem.SyncDirectory(); err != nil {
			return errors.Join(fmt.Errorf("syncing the spool's directory: %w", err), file.Close())
		}
	}
	m.file = file
	return nil
}

func (m *markFile) close() error {
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file = nil
	return err
}

// writeAt writes all of b or fails.
func writeAt(file File, b []byte, offset int64) error {
	n, err := file.WriteAt(b, offset)
	if err == nil && n < len(b) {
		return io.ErrShortWrite
	}
	return err
}
