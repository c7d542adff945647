/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package procs

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoad(t *testing.T) {
	type period struct {
		length   time.Duration
		share    float64
		longWork bool
		want     int
	}
	for name, periods := range map[string][]period{
		"a light load takes the others away":        {{1900 * time.Millisecond, 0.1, false, 4}, {100 * time.Millisecond, 0.1, false, 1}},
		"a heavy load adds them at once":            {{2 * time.Second, 0.1, false, 1}, {100 * time.Millisecond, 0.6, false, 4}},
		"a middling load leaves one":                {{2 * time.Second, 0.1, false, 1}, {time.Second, 0.5, false, 1}},
		"a middling load leaves all":                {{time.Minute, 0.5, false, 4}},
		"a short calm is not enough":                {{time.Second, 0.1, false, 4}, {time.Second, 0.5, false, 4}, {time.Second, 0.1, false, 4}},
		"long work adds them whatever the load is":  {{2 * time.Second, 0.1, false, 1}, {time.Millisecond, 0, true, 4}, {1900 * time.Millisecond, 0, false, 4}, {100 * time.Millisecond, 0, false, 1}},
		"two calls at the same time divide nothing": {{0, 0, false, 4}},
	} {
		l := load{limit: 4, procs: 4}
		for i, p := range periods {
			l.procs = l.next(time.Duration(p.share*float64(p.length)), p.length, p.longWork)
			if l.procs != p.want {
				t.Errorf("%s, period %d: %d processors, want %d", name, i, l.procs, p.want)
			}
		}
	}
}

func TestGovernor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		// The process uses this part of a processor.
		share := 0.1
		used, at := time.Duration(0), time.Now()
		var set []int
		g := newGovernor(2, func() (time.Duration, bool) {
			mu.Lock()
			defer mu.Unlock()
			used, at = used+time.Duration(share*float64(time.Since(at))), time.Now()
			return used, true
		}, func(procs int) {
			mu.Lock()
			defer mu.Unlock()
			set = append(set, procs)
		})
		use := func(part float64) {
			mu.Lock()
			defer mu.Unlock()
			share = part
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			g.Run(ctx)
		}()
		pass := func(d time.Duration, want ...int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(set, want) {
				t.Errorf("set %v, want %v", set, want)
			}
			set = nil
		}
		pass(time.Minute, 1)
		use(0.9)
		pass(2*interval, 2)
		use(0.1)
		pass(time.Minute, 1)
		g.LongWork()
		g.LongWork()
		pass(time.Second, 2)
		pass(time.Minute, 1)
		stop()
		<-ended
		pass(0, 2)
	})
}

func TestOneProcessorIsNotGoverned(t *testing.T) {
	set := func(procs int) { t.Errorf("set %d", procs) }
	newGovernor(1, func() (time.Duration, bool) { return 0, true }, set).Run(t.Context())
	newGovernor(2, func() (time.Duration, bool) { return 0, false }, set).Run(t.Context())
}
