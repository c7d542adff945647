/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress prints one line for each stage: what is done, how long it took,
// and while a long one lasts a sign of life.
type progress struct {
	out   io.Writer
	start time.Time
	mutex sync.Mutex
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, start: time.Now()}
}

func (p *progress) line(format string, arguments ...any) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	fmt.Fprintf(p.out, "[%6s] %s\n", elapsed(time.Since(p.start)), fmt.Sprintf(format, arguments...))
}

// stage runs work under a title. The hint says how long the work takes the
// first time; "" where it is short.
func (p *progress) stage(title, hint string, work func() error) error {
	if hint != "" {
		p.line("%s (%s)", title, hint)
	}
	began := time.Now()
	done := make(chan struct{})
	var ticker sync.WaitGroup
	ticker.Go(func() {
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				p.line("  … %s: %s so far", title, elapsed(time.Since(began)))
			}
		}
	})
	err := work()
	close(done)
	ticker.Wait()
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	p.line("%s: done in %s", title, elapsed(time.Since(began)))
	return nil
}

// elapsed prints a duration as a person would: 0.4s, 12s, 3m05s.
func elapsed(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	default:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
}
