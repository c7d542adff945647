/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
)

// spooledWorld is a filesystem on which a life left records behind.
func spooledWorld(t *testing.T, random *rand.Rand) *world {
	t.Helper()
	w := newWorld(Options{Limit: 16 << 20, SegmentBytes: 96 << 10}, openLog)
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := w.witness.append(w.subject, size(random), size(random), size(random)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// Whatever bits of the files flip, at rest or on the way, each record that
// comes back is as it was, and each that doesn't is counted.
func TestDamage(t *testing.T) {
	chosen := seed(t)
	damages := map[string]func(*rand.Rand, *memoryFilesystem){
		"bits at rest": func(random *rand.Rand, m *memoryFilesystem) {
			for name, node := range m.entries {
				if name == markName || len(node.cache) == 0 {
					continue
				}
				for range random.IntN(4) {
					node.cache[random.IntN(len(node.cache))] ^= 1 << random.IntN(8)
				}
			}
		},
		"a page of zeros": func(random *rand.Rand, m *memoryFilesystem) {
			for _, node := range m.entries {
				if pages := len(node.cache) / pageBytes; pages > 0 {
					page := random.IntN(pages) * pageBytes
					clear(node.cache[page : page+pageBytes])
				}
			}
		},
		"bits on the way, always": func(random *rand.Rand, m *memoryFilesystem) {
			m.damage = func(_ string, _ int64, p []byte) {
				if len(p) > 0 && random.IntN(3) == 0 {
					p[random.IntN(len(p))] ^= 1 << random.IntN(8)
				}
			}
		},
		"blocks that can't be read": func(random *rand.Rand, m *memoryFilesystem) {
			bad := int64(random.IntN(4)) * blockBytes
			m.readFault = func(name string, offset int64) error {
				if offset == bad && name != markName {
					return syscall.EIO
				}
				return nil
			}
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			lost, corrupt := uint64(0), uint64(0)
			for round := range uint64(25 * *roundsFlag) {
				random := rand.New(rand.NewPCG(chosen+round, 4))
				w := spooledWorld(t, random)
				w.filesystem = w.filesystem.afterKill()
				damage(random, w.filesystem)
				w.witness.damaged = true
				if err := w.start(); err != nil {
					t.Fatal(err)
				}
				if err := auditDamaged(w); err != nil {
					t.Fatalf("seed %d: %v", chosen+round, err)
				}
				stats := w.subject.Stats()
				lost += stats.Lost.Recovered
				corrupt += stats.CorruptBlocks + stats.TornTails
			}
			t.Logf("%d records lost, %d blocks skipped or ends cut off", lost, corrupt)
			if corrupt == 0 {
				t.Error("nothing was damaged")
			}
		})
	}
}

// auditDamaged reads over many errors.
func auditDamaged(w *world) error {
	for empty := 0; empty < 10*maxTries; {
		_, ok, err := w.witness.read(w.subject)
		if err != nil {
			return err
		}
		if !ok {
			empty++
		}
	}
	return w.witness.audit(w.subject)
}

// A flip that another read doesn't have costs nothing.
func TestDamageThatPasses(t *testing.T) {
	random := rand.New(rand.NewPCG(seed(t), 5))
	w := spooledWorld(t, random)
	w.filesystem = w.filesystem.afterKill()
	damaged := map[string]bool{}
	w.filesystem.damage = func(name string, offset int64, p []byte) {
		if place := fmt.Sprint(name, offset); !damaged[place] && name != markName {
			damaged[place] = true
			p[random.IntN(len(p))] ^= 1
		}
	}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	if err := w.witness.audit(w.subject); err != nil {
		t.Fatal(err)
	}
	if len(damaged) < 10 {
		t.Errorf("only %d blocks were damaged", len(damaged))
	}
}

// A length that is wrong costs the records of one block.
func TestACorruptLengthCostsOneBlock(t *testing.T) {
	w := newWorld(Options{Limit: 16 << 20, SegmentBytes: 1 << 20}, openLog)
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	const records, perBlock = 320, 32
	for range records {
		if err := w.witness.append(w.subject, 1000-8); err != nil {
			t.Fatal(err)
		}
	}
	w.filesystem = w.filesystem.afterKill()
	for _, node := range w.filesystem.entries {
		// The first fragment of the fourth block.
		node.cache[3*blockBytes+4] ^= 0xff
		node.cache[3*blockBytes+5] ^= 0xff
	}
	w.witness.damaged = true
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	if err := w.witness.audit(w.subject); err != nil {
		t.Fatal(err)
	}
	stats := w.subject.Stats()
	if stats.CorruptBlocks != 1 || stats.Lost.Recovered == 0 || stats.Lost.Recovered > perBlock+1 {
		t.Errorf("a block cost %d records, and %d blocks are counted", stats.Lost.Recovered, stats.CorruptBlocks)
	}
}
