/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

var (
	seedFlag   = flag.Uint64("spool.seed", 0, "seed of the random workloads; 0 for a new one")
	roundsFlag = flag.Int("spool.rounds", 1, "factor for the number of random workloads")
)

// seed returns the seed of a test, and says how to have the same one again.
func seed(t *testing.T) uint64 {
	t.Helper()
	chosen := *seedFlag
	if chosen == 0 {
		chosen = uint64(time.Now().UnixNano())
	}
	t.Logf("-spool.seed=%d", chosen)
	return chosen
}

// variants are the options that the battery runs under.
var variants = map[string]Options{
	"oldest dropped":         {Limit: 400 << 10, SegmentBytes: 64 << 10},
	"newest dropped":         {Limit: 400 << 10, SegmentBytes: 64 << 10, DropNewest: true},
	"roomy":                  {Limit: 16 << 20, SegmentBytes: 96 << 10, SegmentSpan: 50},
	"synced, oldest dropped": {Limit: 400 << 10, SegmentBytes: 64 << 10, SegmentSpan: 50, Sync: true},
	"synced, roomy":          {Limit: 16 << 20, SegmentBytes: 96 << 10, Sync: true},
}

// battery is the crash test. Its parts can be replaced by broken ones, to show
// that it finds them.
type battery struct {
	options Options
	open    func(Filesystem, Options) (subject, error)
	// breakPromise breaks a promise of the filesystem.
	breakPromise func(*memoryFilesystem)
	// every takes each so-manieth crash point.
	every int
	// nested crashes the recovery too.
	nested bool

	points int
}

// everyCrashPoint runs the workload of a seed once for each of its operations,
// crashes there, and checks what the next life finds.
func (b *battery) everyCrashPoint(seed uint64, actions int) error {
	dry := b.world()
	if err := dry.run(workload(seed), actions); err != nil {
		return fmt.Errorf("seed %d without a crash: %w", seed, err)
	}
	if err := errors.Join(dry.witness.audit(dry.subject), dry.checkLimit()); err != nil {
		return fmt.Errorf("seed %d without a crash: %w", seed, err)
	}
	for at := 1; at <= dry.filesystem.operations; at += max(b.every, 1) {
		for name, part := range parts {
			if name != "nothing" && !dry.filesystem.writes[at] {
				continue
			}
			crashed := b.world()
			crashed.filesystem.crashAt, crashed.filesystem.crashBytes = at, part
			ended, err := crashing(func() error { return crashed.run(workload(seed), actions) })
			if err != nil {
				return fmt.Errorf("seed %d before the crash at %d: %w", seed, at, err)
			}
			if !ended {
				return fmt.Errorf("seed %d has no operation %d", seed, at)
			}
			if err := b.aftermaths(crashed, seed); err != nil {
				return fmt.Errorf("seed %d, crash at operation %d of %d, %s of a write: %w",
					seed, at, dry.filesystem.operations, name, err)
			}
		}
	}
	return nil
}

// parts are how much of the write that crashes still happens.
var parts = map[string]func(int) int{
	"nothing":       func(int) int { return 0 },
	"half":          func(total int) int { return total / 2 },
	"all but a bit": func(total int) int { return total - 1 },
}

func workload(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func (b *battery) world() *world {
	open := b.open
	if open == nil {
		open = openLog
	}
	w := newWorld(b.options, open)
	if b.breakPromise != nil {
		b.breakPromise(w.filesystem)
	}
	return w
}

// aftermaths checks every state that a crash may leave.
func (b *battery) aftermaths(crashed *world, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 2))
	states := map[string]func() *memoryFilesystem{"killed": crashed.filesystem.afterKill}
	if b.options.Sync {
		states["power lost, nothing unsynced kept"] = func() *memoryFilesystem { return crashed.filesystem.afterPowerLoss(keptNothing) }
		states["power lost, everything kept"] = func() *memoryFilesystem { return crashed.filesystem.afterPowerLoss(keptEverything) }
		for i := range 2 {
			states[fmt.Sprintf("power lost, some kept (%d)", i)] = func() *memoryFilesystem {
				return crashed.filesystem.afterPowerLoss(keptAtRandom(random))
			}
		}
	}
	for name, state := range states {
		b.points++
		surviving := state()
		crashed.witness.powerLost = name != "killed"
		operations, err := b.recover(crashed, surviving.afterKill(), 0)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !b.nested {
			continue
		}
		for at := 1; at <= operations; at++ {
			b.points++
			if _, err := b.recover(crashed, surviving.afterKill(), at); err != nil {
				return fmt.Errorf("%s, and killed again at operation %d of %d of the recovery: %w", name, at, operations, err)
			}
		}
	}
	return nil
}

// recover begins the next life, in which it reads half, appends, and reads the
// rest, and then one more. With crashAt the first of them crashes there.
func (b *battery) recover(crashed *world, filesystem *memoryFilesystem, crashAt int) (int, error) {
	next := &world{filesystem: filesystem, witness: crashed.witness.clone(), options: crashed.options, open: crashed.open}
	life := func() error {
		if err := next.start(); err != nil {
			return err
		}
		for range 3 {
			if _, _, err := next.witness.read(next.subject); err != nil {
				return err
			}
		}
		if err := next.witness.append(next.subject, 10, 5000); err != nil {
			return err
		}
		if err := next.witness.audit(next.subject); err != nil {
			return err
		}
		next.witness.persist(next.subject)
		return nil
	}
	filesystem.crashAt, filesystem.crashBytes = crashAt, parts["half"]
	ended, err := crashing(life)
	operations := filesystem.operations
	if err != nil {
		return operations, err
	}
	if ended {
		next.filesystem = filesystem.afterKill()
	} else {
		_ = next.subject.Close()
		next.witness.note(next.subject)
	}
	if err := errors.Join(next.start(), next.checkLimit()); err != nil {
		return operations, err
	}
	return operations, next.witness.audit(next.subject)
}

func (w *witness) clone() *witness {
	clone := newWitness()
	for id, record := range w.records {
		copied := *record
		clone.records[id] = &copied
	}
	clone.lastID, clone.powerLost = w.lastID, w.powerLost
	return clone
}

// P2 and P3, exhaustively: whatever write, sync or removal a process
// is killed at, or the power is lost at, what was called spooled comes back,
// and nothing else does.
func TestEveryCrashPoint(t *testing.T) {
	base := seed(t)
	for name, options := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &battery{options: options, every: stride}
			for i := range uint64(*roundsFlag) {
				if err := b.everyCrashPoint(base+i, 40); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d crashes", b.points)
		})
	}
}

func TestEveryCrashPointOfTheRecovery(t *testing.T) {
	base := seed(t)
	for name, options := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &battery{options: options, nested: true, every: 5 * stride}
			for i := range uint64(*roundsFlag) {
				if err := b.everyCrashPoint(base+i, 40); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d crashes", b.points)
		})
	}
}

// Many crashes in a row, with work between them.
func TestCrashAfterCrash(t *testing.T) {
	base := seed(t)
	for name, options := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range uint64(15 * *roundsFlag) {
				if err := (&battery{options: options}).crashAfterCrash(base + i); err != nil {
					t.Fatalf("seed %d: %v", base+i, err)
				}
			}
		})
	}
}

func (b *battery) crashAfterCrash(seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 3))
	w := b.world()
	for life := range 12 {
		w.filesystem.crashAt = w.filesystem.operations + 1 + random.IntN(60)
		w.filesystem.crashBytes = func(total int) int { return random.IntN(total + 1) }
		_, err := crashing(func() error { return w.run(random, 30) })
		if err = errors.Join(err, w.checkLimit()); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if b.options.Sync && random.IntN(2) == 0 {
			w.filesystem = w.filesystem.afterPowerLoss(keptAtRandom(random))
			w.witness.powerLost = true
		} else {
			w.filesystem = w.filesystem.afterKill()
		}
		if random.IntN(3) > 0 {
			continue
		}
		// What the next life has is only looked at.
		filesystem := w.filesystem.afterKill()
		looked := &world{filesystem: filesystem, witness: w.witness.clone(), options: w.options, open: w.open}
		if err := looked.start(); err != nil {
			return err
		}
		if err := looked.witness.audit(looked.subject); err != nil {
			return fmt.Errorf("after life %d: %w", life, err)
		}
	}
	return nil
}

const failingActions = 30

// faults are what a filesystem may return for an operation.
var faults = map[string]error{
	"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EROFS": syscall.EROFS, "a short write": errShortWrite,
}

// Whatever operation fails, once or from then on, the caller hears of it, and
// what was called spooled still comes back: in the same life, in the next, and
// after a loss of power.
func TestEveryFailingOperation(t *testing.T) {
	base := seed(t)
	for name, options := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dry := (&battery{options: options}).world()
			if err := dry.run(workload(base), failingActions); err != nil {
				t.Fatal(err)
			}
			for fault, response := range faults {
				for at := 1 + int(base%stride); at <= dry.filesystem.operations; at += stride {
					for _, lasting := range []bool{false, true} {
						if err := (&battery{options: options}).failing(base, at, response, lasting); err != nil {
							t.Fatalf("%s at operation %d, lasting: %t: %v", fault, at, lasting, err)
						}
					}
				}
			}
		})
	}
}

func (b *battery) failing(seed uint64, at int, response error, lasting bool) error {
	w := b.world()
	failed := operation{}
	w.filesystem.fault = func(op operation) error {
		hit := op.index == at || lasting && op.index > at
		if !hit || errors.Is(response, errShortWrite) && op.kind != opWrite {
			return nil
		}
		failed = op
		return response
	}
	if err := w.run(workload(seed), failingActions); err != nil {
		return fmt.Errorf("%s: %w", failed.kind, err)
	}
	w.filesystem.fault = nil
	if err := errors.Join(w.witness.audit(w.subject), w.checkLimit()); err != nil {
		return fmt.Errorf("%s, in the same life: %w", failed.kind, err)
	}
	if err := b.aftermaths(w, seed); err != nil {
		return fmt.Errorf("%s, in the next life: %w", failed.kind, err)
	}
	return nil
}
