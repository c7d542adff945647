/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Open begins exchanges by a schedule, each on a sender that has nothing to do.
// Where none is idle, exchanges wait for one, and the wait is in their latency.
func Open(ctx context.Context, schedule Schedule, senders []Sender) Outcome {
	count := schedule.Count()
	o := Outcome{Latencies: make([]time.Duration, count), Lateness: make([]time.Duration, count)}
	due := make(chan begin, count)
	var ended atomic.Int64
	var mu sync.Mutex
	var group sync.WaitGroup
	started := time.Now()
	for _, sender := range senders {
		group.Go(func() {
			for b := range due {
				if !b.queued {
					o.Lateness[b.exchange] = time.Since(started) - schedule.At(b.exchange)
				}
				err := sender.Exchange()
				o.Latencies[b.exchange] = time.Since(started) - schedule.At(b.exchange)
				ended.Add(1)
				if err != nil {
					mu.Lock()
					o.fail(err)
					mu.Unlock()
					if closed(ctx) {
						return
					}
				}
			}
		})
	}
	group.Go(func() {
		defer close(due)
		pace(ctx, started, schedule, func(i int) {
			b := begin{exchange: i, queued: int64(i)-ended.Load() >= int64(len(senders))}
			if b.queued {
				o.Lateness[i] = time.Since(started) - schedule.At(i)
			}
			due <- b
			o.Exchanges++
		})
	})
	group.Wait()
	o.Elapsed = time.Since(started)
	o.Latencies, o.Lateness = o.Latencies[:o.Exchanges], o.Lateness[:o.Exchanges]
	return o
}

type begin struct {
	exchange int
	// queued says that every sender was at work.
	queued bool
}

// defaultSlack is the kernel's, in nanoseconds.
const defaultSlack = 50000

// pace calls begin at each time of a schedule. It sleeps in the kernel, on a
// thread of its own: Go's timers may be late by a millisecond, because that is
// what epoll counts in. It must not run on a thread that starts processes: they
// inherit its timer slack, and a Go process whose threads sleep exactly takes a
// quarter more CPU time.
func pace(ctx context.Context, started time.Time, schedule Schedule, begin func(i int)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// By default the kernel may add 50 µs.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, defaultSlack, 0, 0, 0) }()
	for i := range schedule.Count() {
		for {
			early := schedule.At(i) - time.Since(started)
			if early <= 0 {
				break
			}
			// A signal ends it before its time.
			sleep := unix.NsecToTimespec(int64(early))
			_ = unix.Nanosleep(&sleep, nil)
		}
		if closed(ctx) {
			return
		}
		begin(i)
	}
}

func closed(ctx context.Context) bool { return ctx.Err() != nil }
