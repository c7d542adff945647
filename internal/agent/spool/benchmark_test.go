/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"fmt"
	"testing"
)

// BenchmarkAppend appends to a real directory, whose oldest records make room,
// in group commits of so many.
func BenchmarkAppend(b *testing.B) {
	for _, bytes := range []int{1 << 10, 64 << 10} {
		for _, synced := range []bool{false, true} {
			for _, batch := range []int{1, 32} {
				b.Run(fmt.Sprintf("bytes=%d/sync=%t/batch=%d", bytes, synced, batch), func(b *testing.B) {
					directory, err := OpenDirectory(b.TempDir())
					if err != nil {
						b.Fatal(err)
					}
					defer directory.Close()
					log, err := Open(directory, Options{Limit: 256 << 20, Sync: synced})
					if err != nil {
						b.Fatal(err)
					}
					defer log.Close()
					records := make([]Record, batch)
					for i := range records {
						records[i] = recordOf(uint64(i), bytes-8)
					}
					b.SetBytes(int64(bytes))
					b.ReportAllocs()
					b.ResetTimer()
					for done := 0; done < b.N; done += batch {
						for _, outcome := range log.Append(records[:min(batch, b.N-done)]) {
							if outcome.Err != nil {
								b.Fatal(outcome.Err)
							}
						}
					}
				})
			}
		}
	}
}

// BenchmarkNext reads back from the page cache.
func BenchmarkNext(b *testing.B) {
	for _, bytes := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", bytes), func(b *testing.B) {
			directory, err := OpenDirectory(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer directory.Close()
			log, err := Open(directory, Options{Limit: 256 << 20})
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				sequence := log.Append([]Record{recordOf(1, bytes-8)})[0].Sequence
				b.StartTimer()
				if read, ok, err := log.Next(Oldest); !ok || err != nil || read.Sequence != sequence {
					b.Fatal(read.Sequence, ok, err)
				}
				log.Acknowledge(sequence)
			}
		})
	}
}
