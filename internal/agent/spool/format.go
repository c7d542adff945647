/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

const (
	blockBytes          = 32 << 10
	fragmentHeaderBytes = 4 + 2 + 1 + 8
	recordHeaderBytes   = 4 + 8 + 8
	segmentHeaderBytes  = 8 + 8 + 8 + 8 + 4

	// minRecordBytes is the size of the smallest record. No fragment begins where
	// a block has less room, so a record's first fragment has its whole header.
	minRecordBytes = fragmentHeaderBytes + recordHeaderBytes

	// maxNumber bounds the numbers of file names and marks that are accepted, so
	// that counting on from there never overflows.
	maxNumber = 1 << 62

	segmentSuffix = ".segment"
)

var (
	castagnoli    = crc32.MakeTable(crc32.Castagnoli)
	segmentMagic  = [8]byte{'S', 'N', 'S', 'P', 'O', 'O', 'L', '1'}
	littleEndian  = binary.LittleEndian
	segmentLayout = "%016x-%016x-%016x" + segmentSuffix
)

// fragmentType says which part of a record a fragment holds.
type fragmentType uint8

const (
	fragmentFull fragmentType = iota + 1
	fragmentFirst
	fragmentMiddle
	fragmentLast
)

// identity is what a segment's name and its header say.
type identity struct {
	// number orders segments. It is never used twice in a directory.
	number uint64
	// first is the sequence of the segment's first record. What earlier
	// segments hold of it and above is void.
	first uint64
	// life is the number of the first segment of the process that wrote this
	// one. Sequences are without gaps within a life.
	life uint64
}

func (i identity) name() string { return fmt.Sprintf(segmentLayout, i.number, i.first, i.life) }

// parseName returns what a file's name says, and whether it is a segment's.
func parseName(name string) (identity, bool) {
	var id identity
	if !strings.HasSuffix(name, segmentSuffix) {
		return identity{}, false
	}
	if _, err := fmt.Sscanf(name, segmentLayout, &id.number, &id.first, &id.life); err != nil {
		return identity{}, false
	}
	valid := id.name() == name && id.number > 0 && id.first > 0 && id.life > 0 &&
		id.number < maxNumber && id.first < maxNumber && id.life <= id.number
	return id, valid
}

func (i identity) appendHeader(buffer []byte) []byte {
	begin := len(buffer)
	buffer = append(buffer, segmentMagic[:]...)
	buffer = littleEndian.AppendUint64(buffer, i.number)
	buffer = littleEndian.AppendUint64(buffer, i.first)
	buffer = littleEndian.AppendUint64(buffer, i.life)
	return littleEndian.AppendUint32(buffer, crc32.Checksum(buffer[begin:], castagnoli))
}

// parseHeader returns what a segment's header says, and whether its checksum
// holds.
func parseHeader(b []byte) (identity, bool) {
	if len(b) < segmentHeaderBytes || [8]byte(b[:8]) != segmentMagic {
		return identity{}, false
	}
	const body = segmentHeaderBytes - 4
	if crc32.Checksum(b[:body], castagnoli) != littleEndian.Uint32(b[body:]) {
		return identity{}, false
	}
	return identity{
		number: littleEndian.Uint64(b[8:]),
		first:  littleEndian.Uint64(b[16:]),
		life:   littleEndian.Uint64(b[24:]),
	}, true
}

// seed begins every checksum of a segment, so that a fragment of another segment
// is never valid in this one.
func (i identity) seed() uint32 {
	return crc32.Checksum(littleEndian.AppendUint64(nil, i.number), castagnoli)
}

// roomInBlock is how many bytes are left of the block at offset.
func roomInBlock(offset int64) int { return blockBytes - int(offset%blockBytes) }

// paddingAt is how many bytes at offset are too few for a fragment.
func paddingAt(offset int64) int {
	if room := roomInBlock(offset); room < minRecordBytes {
		return room
	}
	return 0
}

// endOfRecord is where a record ends that begins at offset.
func endOfRecord(offset int64, payload int) int64 {
	for left := recordHeaderBytes + payload; left > 0; {
		offset += int64(paddingAt(offset))
		part := min(left, roomInBlock(offset)-fragmentHeaderBytes)
		offset += int64(fragmentHeaderBytes + part)
		left -= part
	}
	return offset
}

// appendFragment frames the next part of head and then body.
func appendFragment(buffer []byte, seed uint32, kind fragmentType, sequence uint64, head, body []byte) []byte {
	begin := len(buffer)
	buffer = append(buffer, 0, 0, 0, 0)
	buffer = littleEndian.AppendUint16(buffer, uint16(len(head)+len(body)))
	buffer = append(buffer, byte(kind))
	buffer = littleEndian.AppendUint64(buffer, sequence)
	buffer = append(buffer, head...)
	buffer = append(buffer, body...)
	littleEndian.PutUint32(buffer[begin:], crc32.Update(seed, castagnoli, buffer[begin+4:]))
	return buffer
}

type fragment struct {
	kind     fragmentType
	sequence uint64
	// content is part of the buffer that was parsed.
	content []byte
}

// parseFragment returns the fragment that b begins with, b ending with its block
// or its file, and whether it is whole and its checksum holds.
func parseFragment(b []byte, seed uint32) (fragment, bool) {
	if len(b) <= fragmentHeaderBytes {
		return fragment{}, false
	}
	length := int(littleEndian.Uint16(b[4:]))
	kind := fragmentType(b[6])
	if length == 0 || length > len(b)-fragmentHeaderBytes || kind < fragmentFull || kind > fragmentLast {
		return fragment{}, false
	}
	end := fragmentHeaderBytes + length
	if crc32.Update(seed, castagnoli, b[4:end]) != littleEndian.Uint32(b) {
		return fragment{}, false
	}
	return fragment{kind: kind, sequence: littleEndian.Uint64(b[7:]), content: b[fragmentHeaderBytes:end]}, true
}

func (r *Record) header() [recordHeaderBytes]byte {
	var header [recordHeaderBytes]byte
	littleEndian.PutUint32(header[0:], uint32(r.length()))
	littleEndian.PutUint64(header[4:], uint64(r.Deadline))
	littleEndian.PutUint64(header[12:], r.AgentSequence)
	return header
}

// parseRecordHeader returns a record without its payload, and the payload's
// length.
func parseRecordHeader(b []byte) (Record, int64) {
	return Record{
		Deadline:      int64(littleEndian.Uint64(b[4:])),
		AgentSequence: littleEndian.Uint64(b[12:]),
	}, int64(littleEndian.Uint32(b))
}
