/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// refusing is a sender to a sink that is there or isn't.
type refusing struct {
	mu    sync.Mutex
	down  bool
	taken []uint64
}

func (r *refusing) Send(_ context.Context, _ *event.Event, sequence uint64) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return NoResponse
	}
	r.taken = append(r.taken, sequence)
	return Result{Status: http.StatusAccepted}
}

func (r *refusing) become(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// rig is a sink with a spool, that runs.
type rig struct {
	*Sink
	sender *refusing
	end    func()

	mu        sync.Mutex
	failures  []SpoolFailure
	recovered int
}

// told returns what was told of the spool so far.
func (r *rig) told() (failures []SpoolFailure, recovered int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failures), r.recovered
}

func newRig(t *testing.T, open func() (SpoolDirectory, error)) *rig {
	sender := &refusing{down: true}
	r := runRig(t, sender, func(o *Options) { o.Spool.Open = open })
	r.sender = sender
	return r
}

func runRig(t *testing.T, sender Sender, change func(*Options)) *rig {
	r := new(rig)
	options := Options{
		Config:         Config{FirstInFlight: 4, MaxInFlight: 8, MaxBytes: 1 << 20, Random: func() float64 { return 0.5 }},
		AttemptTimeout: time.Minute,
		BeginAttempt: func(ctx context.Context, _ *event.Event, _ int) (context.Context, func(Result)) {
			return ctx, func(Result) {}
		},
		Spool: &SpoolOptions{
			Log: spool.Options{Limit: 1 << 20}, QueueBytes: 1 << 20, WindowBytes: 1 << 25,
			Reserve: func(int64) (func(), bool) { return func() {}, true },
			OnFailing: func(failure SpoolFailure, _ error) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.failures = append(r.failures, failure)
			},
			OnRecovered: func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.recovered++
			},
		},
	}
	change(&options)
	r.Sink = NewSink("default", sender, options)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	running.Go(func() { r.RunSpool(ctx) })
	r.end = func() {
		cancel()
		running.Wait()
	}
	r.ReadSpool()
	return r
}

func (r *rig) observe(t *testing.T) {
	now := time.Now()
	r.Enqueue(&Item{
		Event: someEvent(t, "{}"), Sequence: r.Account().Observe(), Observed: now, Deadline: now.Add(agentconfig.EventDeadline),
		Bytes: OverheadBytes, Release: func() {},
	})
}

// TestADirectoryIsTriedAgain at a slow pace, until it opens; what waits
// meanwhile is in memory, and delivered from there.
func TestADirectoryIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	synctest.Test(t, func(t *testing.T) {
		var there atomic.Bool
		var tries atomic.Int64
		r := newRig(t, func() (SpoolDirectory, error) {
			tries.Add(1)
			if !there.Load() {
				return nil, fmt.Errorf("opening: %w", fs.ErrNotExist)
			}
			return spool.OpenDirectory(path)
		})
		r.observe(t)
		time.Sleep(35 * time.Second)
		synctest.Wait()
		status, _ := r.SpoolStatus(1)
		failures, _ := r.told()
		if tries.Load() != 4 || len(failures) != 1 || status.Open || !status.Failing || status.LastFailure != FailureMissing || status.SpooledThrough != 0 {
			t.Errorf("%d tries, told %d times, %+v", tries.Load(), len(failures), status)
		}
		there.Store(true)
		time.Sleep(reopenAfter)
		synctest.Wait()
		status, _ = r.SpoolStatus(1)
		if _, recovered := r.told(); recovered != 1 || !status.Open || status.Failing || status.SpooledThrough != 1 {
			t.Errorf("recovered %d times, %+v", recovered, status)
		}
		r.sender.become(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := r.Account().Snapshot(); s.Delivered != 1 || s.Spooled != 1 || s.Pending != 0 {
			t.Errorf("the ledger says %+v", s)
		}
		r.end()
	})
}

// TestADiskThatFailsIsTriedAgain, and nothing spins meanwhile.
func TestADiskThatFailsIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	synctest.Test(t, func(t *testing.T) {
		broken := new(failing)
		broken.full.Store(true)
		r := newRig(t, func() (SpoolDirectory, error) {
			directory, err := spool.OpenDirectory(path)
			broken.SpoolDirectory = directory
			return broken, err
		})
		for range 10 {
			r.observe(t)
		}
		time.Sleep(21 * time.Second)
		synctest.Wait()
		// Four times, each with all events at once or one after the other.
		if failures, _ := r.told(); broken.tries.Load() > 4*10 || len(failures) != 1 || failures[0] != FailureDiskFull {
			t.Errorf("the disk was tried %d times, and told of %v", broken.tries.Load(), failures)
		}
		broken.full.Store(false)
		time.Sleep(overflowPause + time.Second)
		synctest.Wait()
		status, _ := r.SpoolStatus(10)
		if _, recovered := r.told(); recovered != 1 || status.SpooledThrough != 10 || status.Failing {
			t.Errorf("recovered %d times, %+v", recovered, status)
		}
		r.end()
		if s := r.Account().Snapshot(); s.Pending != 0 || s.DroppedTotal() != 10 {
			t.Errorf("the ledger says %+v", s)
		}
	})
}

type failing struct {
	SpoolDirectory
	full  atomic.Bool
	tries atomic.Int64
}

func (f *failing) Create(name string) (spool.File, error) {
	f.tries.Add(1)
	if f.full.Load() {
		return nil, syscall.ENOSPC
	}
	return f.SpoolDirectory.Create(name)
}

// TestARecordThatMakesNoSenseIsCounted, and doesn't come again.
func TestARecordThatMakesNoSenseIsCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	directory, err := spool.OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := spool.Open(directory, spool.Options{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	log.Append([]spool.Record{{Payload: []byte("what?")}, {Payload: nil}})
	if err := errors.Join(log.Close(), directory.Close()); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for _, want := range []uint64{2, 0} {
			r := newRig(t, func() (SpoolDirectory, error) { return spool.OpenDirectory(path) })
			time.Sleep(time.Second)
			synctest.Wait()
			if s := r.Account().Snapshot(); s.Recovered != want || s.Dropped["unreadable"] != want || s.Pending != 0 {
				t.Errorf("the ledger says %+v", s)
			}
			r.end()
		}
	})
}

func TestSpoolFailuresHaveClasses(t *testing.T) {
	for err, want := range map[error]SpoolFailure{
		fs.ErrNotExist: FailureMissing, fs.ErrPermission: FailurePermission, syscall.EACCES: FailurePermission, syscall.EROFS: FailurePermission,
		syscall.EWOULDBLOCK: FailureLocked, syscall.ENOSPC: FailureDiskFull, syscall.EDQUOT: FailureDiskFull, syscall.EIO: FailureIO,
		errors.New("?"): FailureIO,
	} {
		if got := spoolFailureOf(fmt.Errorf("doing: %w", err)); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}
