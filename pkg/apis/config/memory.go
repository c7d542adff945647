/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// minMemoryLimit leaves an agent something to hold events in.
	minMemoryLimit = 32 << 20
	// minRuntimeLimit is below what an idle agent's runtime needs twice over.
	minRuntimeLimit = 16 << 20
	// leastOutside is what the kernel counts and the Go runtime doesn't, however
	// small the container: 13 MiB of the binary's pages are resident, and
	// threads and sockets have theirs.
	leastOutside = 16 << 20
	// exchangeBytes is what an exchange in flight takes of the runtime's memory
	// beside the budget. Up to 93 KiB were measured (docs/operations.md has the
	// figures), and an HTTP/2 stream that nobody reads has a window of 64 KiB more
	// on the side of the model.
	exchangeBytes = 96 << 10
	// minMaxExchanges lets a model be asked and probed at the same time.
	minMaxExchanges = 8
)

// divideMemory returns the Go runtime's soft limit (GOMEMLIMIT) and the budget
// of all that is held for events, for a container's memory limit. All are in
// bytes.
//
// A quarter stays outside the runtime, at least leastOutside: the binary's
// pages, stacks of threads, buffers of sockets and the page cache of a spool
// are the kernel's to count, and a runtime at its limit may overshoot it until
// the collection ends.
//
// Of what the runtime has, events get a third. The budget counts what is held
// by its capacity, but not the garbage until it is collected: a sink that
// hangs with a budget of 32 MiB was seen to keep 80 MiB resident without a
// runtime limit, and 54 with one of 56 MiB, where the collector works most of
// the time. Between them the rest is for the exchanges in flight,
// which the budget doesn't bound.
func divideMemory(limit int64) (runtimeLimit, buffer int64) {
	runtimeLimit = limit - outsideOf(limit)
	return runtimeLimit, bufferOf(runtimeLimit)
}

func outsideOf(limit int64) int64 { return max(limit/4, leastOutside) }

// exchangesOf returns how many exchanges may be in flight. Of what the budget
// leaves of the runtime's limit they get three quarters; the last quarter is for
// the runtime itself and for garbage.
func exchangesOf(runtimeLimit, buffer int64) int64 {
	return max((runtimeLimit-buffer)/4*3/exchangeBytes, minMaxExchanges)
}

func bufferOf(runtimeLimit int64) int64 { return runtimeLimit / 3 }

// limitFor returns the least memory limit whose runtime limit is this one.
func limitFor(runtimeLimit int64) int64 {
	return max(minMemoryLimit, runtimeLimit+leastOutside, (runtimeLimit*4+2)/3)
}

// limitForExchanges returns a memory limit that has room for so many exchanges.
func limitForExchanges(exchanges int64) int64 {
	// What divideMemory leaves for them is half of the runtime's limit.
	return limitFor(2*exchanges*exchangeBytes + exchangeBytes)
}

// checkMemory refuses settings that contradict each other. With a runtime
// limit over nine tenths of the container's the kernel ends the agent before
// the runtime has collected its garbage; with a budget over half of the
// runtime's limit the collector runs without end.
func checkMemory(limit, runtimeLimit, buffer, exchanges int64) error {
	switch {
	case limit < minMemoryLimit:
		return fmt.Errorf("memory-limit is %s: write at least %s", quantity(limit), quantity(minMemoryLimit))
	case runtimeLimit < minRuntimeLimit:
		return fmt.Errorf("gomemlimit is %s: write at least %s, or leave it out", goMemory(runtimeLimit), goMemory(minRuntimeLimit))
	case runtimeLimit > limit/10*9:
		return fmt.Errorf("gomemlimit %s is too much for the memory-limit %s: write at most %s, leave it out, or raise memory-limit to %s",
			goMemory(runtimeLimit), quantity(limit), goMemory(limit/10*9), quantity(limitFor(runtimeLimit)))
	case buffer > runtimeLimit/2:
		return fmt.Errorf("buffer-bytes %d is too much for the gomemlimit %s: write at most %d, leave it out, or raise memory-limit to %s and leave gomemlimit out",
			buffer, goMemory(runtimeLimit), runtimeLimit/2, quantity(limitFor(2*buffer)))
	case exchanges < minMaxExchanges:
		return fmt.Errorf("max-exchanges is %d: write at least %d, or leave it out", exchanges, minMaxExchanges)
	case exchanges > exchangesOf(runtimeLimit, buffer):
		return fmt.Errorf("max-exchanges %d is too much for the gomemlimit %s with buffer-bytes %d: write at most %d, leave it out, or raise memory-limit to %s and leave gomemlimit and buffer-bytes out",
			exchanges, goMemory(runtimeLimit), buffer, exchangesOf(runtimeLimit, buffer), quantity(limitForExchanges(exchanges)))
	}
	return nil
}

// complete returns what was not set of the memory.
func (a *Agent) complete(requestSet, runtimeLimitSet, bufferSet, exchangesSet bool) error {
	limit := a.Resources.Limits[corev1.ResourceMemory]
	if request := a.Resources.Requests[corev1.ResourceMemory]; !requestSet && request.Cmp(limit) > 0 {
		a.Resources.Requests[corev1.ResourceMemory] = limit
	}
	runtimeLimit, _ := divideMemory(limit.Value())
	if runtimeLimitSet {
		var err error
		if runtimeLimit, err = parseGoMemory(a.GoMemoryLimit); err != nil {
			return fmt.Errorf("gomemlimit %w", err)
		}
	} else {
		a.GoMemoryLimit = goMemory(runtimeLimit)
	}
	if !bufferSet {
		a.BufferBytes = bufferOf(runtimeLimit)
	}
	if !exchangesSet {
		a.MaxExchanges = exchangesOf(runtimeLimit, a.BufferBytes)
	}
	return checkMemory(limit.Value(), runtimeLimit, a.BufferBytes, a.MaxExchanges)
}

// goMemoryLimit is the form that the Go runtime reads (package runtime,
// Environment Variables, GOMEMLIMIT).
var goMemoryLimit = regexp.MustCompile(`^([1-9][0-9]*)(B|KiB|MiB|GiB|TiB)?$`)

var goMemoryUnits = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

func parseGoMemory(text string) (int64, error) {
	parts := goMemoryLimit.FindStringSubmatch(text)
	if parts != nil {
		number, err := strconv.ParseInt(parts[1], 10, 64)
		if unit := goMemoryUnits[parts[2]]; err == nil && number <= math.MaxInt64/unit {
			return number * unit, nil
		}
	}
	return 0, fmt.Errorf("invalid number of bytes %q: write it as the Go runtime reads it, such as 96MiB", text)
}

// goMemory writes bytes as the Go runtime reads them.
func goMemory(bytes int64) string {
	if bytes%(1<<20) == 0 {
		return strconv.FormatInt(bytes>>20, 10) + "MiB"
	}
	return strconv.FormatInt(bytes, 10) + "B"
}

// quantity writes bytes as Kubernetes does, rounded up to whole mebibytes.
func quantity(bytes int64) string {
	const mebibyte = 1 << 20
	return resource.NewQuantity((bytes+mebibyte-1)/mebibyte*mebibyte, resource.BinarySI).String()
}
