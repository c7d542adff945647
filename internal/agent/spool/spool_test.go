/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// stuck is a filesystem whose writes hang until they are let go.
type stuck struct {
	*memoryFilesystem
	release chan struct{}
}

func (s stuck) Create(name string) (File, error) {
	<-s.release
	return s.memoryFilesystem.Create(name)
}

// running returns a Spool that runs, and a function that ends it and its
// goroutine.
func running(t *testing.T, filesystem Filesystem, queueBytes int64) (*Spool, func()) {
	t.Helper()
	log, err := Open(filesystem, Options{Limit: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s := New(log, queueBytes)
	ctx, cancel := context.WithCancel(context.Background())
	var owner sync.WaitGroup
	owner.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, func() {
		cancel()
		owner.Wait()
	}
}

func TestAppendDoesNotWaitForAFilesystemThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		filesystem := stuck{memoryFilesystem: newMemoryFilesystem(), release: make(chan struct{})}
		s, end := running(t, filesystem, 10_000)
		spooled, busy := 0, 0
		for id := range uint64(100) {
			switch err := s.Append(recordOf(id, 1000), func(outcome Outcome) {
				if outcome.Err != nil {
					t.Error(outcome.Err)
				}
				spooled++
			}); {
			case errors.Is(err, ErrBusy):
				busy++
			case err != nil:
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if spooled != 0 || busy != 91 {
			t.Errorf("%d records are spooled and %d were not taken while the filesystem hangs", spooled, busy)
		}
		s.Acknowledge(1)
		if err := s.Read(Oldest, 1, 1, func([]Spooled, error) {}); err != nil {
			t.Error(err)
		}
		if err := s.Read(Oldest, 1, 1, func([]Spooled, error) {}); !errors.Is(err, ErrBusy) {
			t.Errorf("a second read beside the first: %v", err)
		}
		close(filesystem.release)
		synctest.Wait()
		if spooled != 9 {
			t.Errorf("%d of 9 records are spooled once the filesystem goes on", spooled)
		}
		end()
	})
}

func TestEverythingTakenIsDoneBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		filesystem := newMemoryFilesystem()
		s, end := running(t, filesystem, 1<<20)
		done := 0
		for id := range uint64(50) {
			if err := s.Append(recordOf(id, 1000), func(outcome Outcome) {
				if outcome.Err == nil {
					done++
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		end()
		if done != 50 {
			t.Errorf("%d of 50 records are spooled at the end", done)
		}
		if err := s.Append(recordOf(51, 1), nil); !errors.Is(err, ErrClosed) {
			t.Errorf("an append after the end: %v", err)
		}
		if err := s.Read(Oldest, 1, 1, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("a read after the end: %v", err)
		}
		if filesystem.openFiles() != 0 {
			t.Errorf("%d files are open after the end", filesystem.openFiles())
		}

		s, end = running(t, filesystem, 1<<20)
		defer end()
		read := 0
		var again func(records []Spooled, err error)
		again = func(records []Spooled, err error) {
			if err != nil {
				t.Error(err)
			}
			for _, record := range records {
				if !record.Recovered || record.AgentSequence != uint64(read) {
					t.Errorf("record %d is %+v", read, record.AgentSequence)
				}
				read++
				s.Acknowledge(record.Sequence)
			}
			if len(records) > 0 {
				if err := s.Read(Oldest, 7, 1<<20, again); err != nil {
					t.Error(err)
				}
			}
		}
		if err := s.Read(Oldest, 7, 1<<20, again); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if stats := s.Stats(); read != 50 || stats.Mark < 50 || stats.Unread {
			t.Errorf("%d of 50 records came back: %+v", read, stats)
		}
	})
}

func TestAReadGivesNoMoreThanItsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := running(t, newMemoryFilesystem(), 1<<20)
		defer end()
		for id := range uint64(10) {
			if err := s.Append(recordOf(id, 1000), func(Outcome) {}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		got := 0
		if err := s.Read(Oldest, 100, 3000, func(records []Spooled, _ error) { got = len(records) }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got != 3 {
			t.Errorf("a read of 3000 bytes gave %d records of 1008", got)
		}
	})
}
