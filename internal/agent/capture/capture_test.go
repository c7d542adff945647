/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRecorder(t *testing.T) {
	text := strings.Repeat("0123456789", 300)
	sum := sha256.Sum256([]byte(text))
	for _, test := range []struct {
		name     string
		settings Settings
		budget   int64
		kept     int
		hashed   bool
	}{
		{"under the cap", Settings{MaxBytes: 5000, Hash: true, Expected: -1}, 1 << 20, 3000, false},
		{"exactly the cap", Settings{MaxBytes: 3000, Hash: true, Expected: -1}, 1 << 20, 3000, false},
		{"announced", Settings{MaxBytes: 5000, Hash: true, Expected: 3000}, 1 << 20, 3000, false},
		{"announced too small", Settings{MaxBytes: 5000, Hash: true, Expected: 10}, 1 << 20, 3000, false},
		{"over the cap", Settings{MaxBytes: 1000, Hash: true, Expected: -1}, 1 << 20, 0, true},
		{"over the cap, start kept", Settings{MaxBytes: 1000, KeepOverCap: true, Hash: true, Expected: -1}, 1 << 20, 1000, true},
		{"over the cap, no hash", Settings{MaxBytes: 1000, Expected: -1}, 1 << 20, 0, false},
		{"over the budget", Settings{MaxBytes: 5000, Hash: true, Expected: -1}, 1500, 0, true},
		{"no budget at all", Settings{MaxBytes: 5000, Hash: true, Expected: -1}, 0, 0, true},
	} {
		for _, chunk := range []int{1, 7, 1000, 3000} {
			budget := NewBudget(test.budget)
			lease := budget.Lease()
			recorder := NewRecorder(lease, test.settings)
			for rest := []byte(text); len(rest) > 0; {
				n := min(chunk, len(rest))
				recorder.Write(rest[:n])
				rest = rest[n:]
			}
			body := recorder.Body()
			if body.Size != 3000 || string(body.Data) != text[:test.kept] {
				t.Errorf("%s, chunks of %d: %d of %d bytes kept", test.name, chunk, len(body.Data), body.Size)
			}
			if (body.SHA256 == hex.EncodeToString(sum[:])) != test.hashed {
				t.Errorf("%s, chunks of %d: hash %q", test.name, chunk, body.SHA256)
			}
			if used := budget.Used(); used != int64(cap(body.Data)) {
				t.Errorf("%s, chunks of %d: %d bytes reserved for a capacity of %d", test.name, chunk, used, cap(body.Data))
			}
			lease.Release()
			if budget.Used() != 0 {
				t.Errorf("%s: %d bytes are held after the release", test.name, budget.Used())
			}
		}
	}
}

// TestAnAnnouncedLengthReservesWithWhatFlows: a body is copied seldom as it
// grows, and who only announces a long one takes little of the budget.
func TestAnAnnouncedLengthReservesWithWhatFlows(t *testing.T) {
	const announced = 700 << 10
	budget := NewBudget(1 << 20)
	lease := budget.Lease()
	recorder := NewRecorder(lease, Settings{MaxBytes: 1 << 20, Expected: announced})
	chunk := make([]byte, 1<<10)
	copies, last := 0, int64(0)
	for flowed := int64(0); flowed < announced; {
		recorder.Write(chunk)
		flowed += int64(len(chunk))
		held := lease.Held()
		if most := max(maxFirstBytes, maxGrowth*flowed); held > most {
			t.Fatalf("%d bytes are held when %d of %d have flowed", held, flowed, announced)
		}
		if held != last {
			copies++
			last = held
		}
	}
	if copies != 3 || last >= announced+announced/8 {
		t.Errorf("the buffer has %d bytes, and is the one after %d others", last, copies-1)
	}
}

// TestTheBudgetIsNeverExceededAndAlwaysReturned, whatever many leases do at
// the same time.
func TestTheBudgetIsNeverExceededAndAlwaysReturned(t *testing.T) {
	const limit = 10_000
	budget := NewBudget(limit)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 2000 {
				lease := budget.Lease()
				held := int64(0)
				for range random.IntN(6) {
					n := random.Int64N(4000)
					switch random.IntN(3) {
					case 0, 1:
						if lease.Grow(n) {
							held += n
						}
					case 2:
						lease.Shrink(n)
						held -= min(n, held)
					}
					if lease.Held() != held {
						t.Errorf("the lease holds %d, want %d", lease.Held(), held)
					}
					if used := budget.Used(); used > limit || used < 0 {
						t.Errorf("%d bytes of %d are used", used, limit)
					}
				}
				lease.Release()
				lease.Release()
				if lease.Grow(1) || lease.Held() != 0 {
					t.Error("a released lease holds something")
				}
			}
		})
	}
	group.Wait()
	if budget.Used() != 0 {
		t.Errorf("%d bytes are lost", budget.Used())
	}
}

// TestSpareLeasesHoldAQuarter of the budget together, until they are claimed or give
// it back.
func TestSpareLeasesHoldAQuarter(t *testing.T) {
	budget := NewBudget(400)
	first, second, third := budget.SpareLease(), budget.SpareLease(), budget.SpareLease()
	expect := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s finds room: %t", what, got)
		}
	}
	expect("the first", first.Grow(60), true)
	expect("one byte more than the quarter", second.Grow(41), false)
	expect("the rest of the quarter", second.Grow(40), true)
	first.Shrink(10)
	expect("what was given back", third.Grow(10), true)
	second.Claim()
	second.Claim()
	expect("one that was claimed, of the whole budget", second.Grow(100), true)
	expect("what was claimed", third.Grow(40), true)
	first.Release()
	first.Claim()
	first.Release()
	expect("one that was released", first.Grow(1), false)
	expect("what was released", third.Grow(50), true)
	expect("one byte more", third.Grow(1), false)
	full := budget.Lease()
	expect("the rest of the budget", full.Grow(400-budget.Used()), true)
	third.Shrink(1)
	full.Grow(1)
	expect("a full budget", third.Grow(1), false)
	for _, lease := range []*Lease{second, third, full} {
		lease.Release()
	}
	if used, spare := budget.Used(), budget.spare.Load(); used != 0 || spare != 0 {
		t.Errorf("%d bytes are held, %d of them spare", used, spare)
	}
}

// TestHandedOverBufferHasNoOwner, and is given back nevertheless.
func TestHandedOverBufferHasNoOwner(t *testing.T) {
	budget := NewBudget(100)
	assert := func(when string, used, captured int64) {
		t.Helper()
		if budget.Used() != used || budget.Usage().Captured != captured {
			t.Errorf("%s: %d are used and %d captured, want %d and %d", when, budget.Used(), budget.Usage().Captured, used, captured)
		}
	}
	flowing, built := budget.Lease(), budget.Lease()
	flowing.Grow(10)
	built.Grow(40)
	assert("both flow", 50, 50)
	built.Shrink(10)
	assert("one was too large", 40, 40)
	built.HandOver()
	assert("one is built", 40, 10)
	built.Grow(5)
	built.Shrink(1)
	assert("it changes", 44, 10)
	built.Release()
	assert("it is delivered", 10, 10)
	if flowing.Grow(91) {
		t.Error("there was room for more than the budget")
	}
	flowing.Release()
	assert("the other is gone", 0, 0)
}
