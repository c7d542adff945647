/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package spool keeps one sink's overflow of events in a directory that
// outlives the process. A crash or an OOM kill of the container doesn't touch
// the volume.
//
// A Log has the files and makes the decisions about them. It has no goroutine
// and no clock, and gets its filesystem from the caller. A Spool runs a Log in
// one goroutine, so callers that append, read or acknowledge never wait for the
// filesystem.
//
// # Promises
//
// The tests in parentheses hold them.
//
//   - A record that Append gave a sequence for comes back in every later
//     process, until it is acknowledged or OnLoss was told of it: after a
//     SIGKILL at any moment, and with Options.Sync after a loss of power at any
//     moment (TestEveryCrashPoint, TestEveryCrashPointOfTheRecovery,
//     TestCrashAfterCrash, TestKill).
//   - Only appended records come back, unchanged
//     (the same, TestDamage, FuzzSegment).
//   - A record that was acknowledged doesn't come back once the mark covers it.
//     Before that it may, as it was, after a crash. Within one process no
//     record is handed out twice.
//   - The files never take more than Options.Limit, counted in whole pages, not
//     even for a moment (all of the above check it).
//   - When the filesystem fails or is full, Append returns the records that it
//     could not write, and no other record is harmed
//     (TestEveryFailingOperation). After a failed sync the segment is never
//     written or trusted again.
//   - Damaged bytes cost the records of their block, and are counted
//     (TestDamage).
//
// Not promised: an emptyDir is deleted with its pod, and a disk may lose what
// it synced. Loss at the very end of what a killed process wrote looks like a
// write that never finished: Stats.TornTails counts those ends.
// After a loss of power Stats.Lost may count records that were on their way
// and never called spooled. A segment that fails to be read five times is
// skipped, and may be removed. A record whose append failed may come back after
// a crash.
//
// # Format
//
// Integers are little-endian, checksums CRC-32C (Castagnoli). The framing is
// that of LevelDB's log: fragments that never cross a block of 32 KiB, so that
// reading goes on at the next block whatever a length says.
//
// A segment is a file <number>-<first>-<life>.segment, the three in 16
// hexadecimal digits each. number orders the segments of a directory and is
// never used twice. first is the sequence of the segment's first record: what
// earlier segments hold of it and above is void. life is the number of the
// first segment that the same process made; sequences have no gaps within a
// life. Sequences are counted on from one process to the next, with a gap,
// since a process begins before it has read what the last one left.
//
// It begins with a header of 36 bytes:
//
//	 0  8  "SNSPOOL1"
//	 8  8  number
//	16  8  first
//	24  8  life
//	32  4  checksum of bytes 0 to 31
//
// Then come fragments. Where a block has less than 35 bytes left, they are
// zero, and the next fragment begins the next block.
//
//	 0  4  checksum of the number in 8 bytes, and of byte 4 up to the end
//	 4  2  length of the content, n, at least 1
//	 6  1  type: 1 full, 2 first, 3 middle, 4 last
//	 7  8  sequence of the record
//	15  n  content
//
// A record is the contents of one full fragment, or of a first one, any number
// of middle ones and a last one, with the same sequence and nothing between:
//
//	 0  4  length of the payload, m
//	 4  8  deadline in Unix nanoseconds, signed
//	12  8  the event's agentsequence
//	20  m  payload
//
// The file mark says up to which sequence all records have ended. It has three
// slots, at 0, 4096 and 8192, which are written in turns; the valid one with
// the highest count is the newest:
//
//	 0  8  "SNMARK01"
//	 8  8  count of the writes, which modulo 3 is the slot
//	16  8  the sequence
//	24  4  checksum of bytes 0 to 23
//
// Other files are left alone, and counted.
package spool
