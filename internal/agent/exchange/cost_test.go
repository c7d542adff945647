/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// promptSink takes every item at once.
type promptSink struct{ account ledger.Account }

func (s *promptSink) Account() *ledger.Account { return &s.account }

func (s *promptSink) Accept(item *delivery.Item) func() {
	s.account.Deliver()
	item.Release()
	return nil
}

// costOf makes a pipeline of an agent with the default settings, and gives it
// with a function that has one exchange go through it.
func costOf(tb testing.TB, size int, path string, options ...func(*Settings)) (*Pipeline, *promptSink, func()) {
	paths, err := inference.ParsePaths([]string{"/v1/models/*:predict"})
	if err != nil {
		tb.Fatal(err)
	}
	sink := new(promptSink)
	attributes := []metadata.Attribute{{Name: "team", Value: "ai-platform"}, {Name: "owner", Value: "ml-ops"}}
	settings := Settings{
		Paths:      paths,
		Selection:  event.Select(agentconfig.ModeAll, agentconfig.DefaultKinds()),
		Builder:    &event.Builder{Identity: event.Identity{Source: "m", InferenceService: "m", Namespace: "n", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 700 << 10},
		Deadline:   time.Minute,
		Attributes: func() []metadata.Attribute { return attributes },
	}
	for _, change := range options {
		change(&settings)
	}
	p := NewPipeline(settings, capture.NewBudget(32<<20), []Sink{sink}, new(ledger.Account))
	body := bytes.Repeat([]byte("x"), size)
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.ContentLength = int64(size)
	r.Header.Set("Content-Type", "application/json")
	response := http.Header{"Content-Type": {"application/json"}}
	return p, sink, func() {
		watching, _ := p.Begin(r, nil)
		if watching == nil {
			return
		}
		for rest := body; len(rest) > 0; {
			chunk := rest[:min(len(rest), 32<<10)]
			watching.RequestBytes(chunk)
			rest = rest[len(chunk):]
		}
		watching.RequestDone()
		watching.ResponseHead(http.StatusOK, response, int64(size))
		for rest := body; len(rest) > 0; {
			chunk := rest[:min(len(rest), 32<<10)]
			watching.ResponseBytes(chunk)
			rest = rest[len(chunk):]
		}
		watching.ResponseDone()
		watching.End(nil)
	}
}

// TestAllocationsOfAnExchange bounds the allocations of one exchange, with a
// margin over what there are: with the race detector there are a few more.
func TestAllocationsOfAnExchange(t *testing.T) {
	const runs = 200
	for _, test := range []struct {
		name, path string
		// build says that the events are built and come to their sink.
		build bool
		most  float64
		bytes uint64
	}{
		{name: "a path that is not inference", path: "/other", most: 4, bytes: 600},
		{name: "recorded", path: "/v1/models/m:predict", most: 17, bytes: 7000},
		{name: "recorded and built", path: "/v1/models/m:predict", build: true, most: 29, bytes: 9000},
	} {
		p, sink, exchange := costOf(t, 1<<10, test.path)
		once := func() {
			exchange()
			if test.build {
				buildAll(p)
			} else {
				dropAll(p)
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		allocations := testing.AllocsPerRun(runs, once)
		runtime.ReadMemStats(&after)
		// AllocsPerRun has one run more.
		taken := (after.TotalAlloc - before.TotalAlloc) / (runs + 1)
		t.Logf("%s: %.0f allocations, %d bytes", test.name, allocations, taken)
		if allocations > test.most || taken > test.bytes {
			t.Errorf("%s: %.0f allocations and %d bytes, want at most %.0f and %d", test.name, allocations, taken, test.most, test.bytes)
		}
		want := uint64(0)
		if test.build {
			want = 2 * (runs + 1)
		}
		if delivered := sink.account.Snapshot().Delivered; delivered != want {
			t.Errorf("%s: %d events are delivered, want %d", test.name, delivered, want)
		}
		if used := p.budget.Used(); used != 0 {
			t.Errorf("%s: %d bytes are held", test.name, used)
		}
	}
}

// dropAll drops all that waits.
func dropAll(p *Pipeline) {
	for o := p.pop(); o != nil; o = p.pop() {
		p.drop(o, ledger.ReasonShutdown)
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, arm := range []struct {
		name, path string
		size       int
	}{
		{"not inference", "/other", 1 << 10},
		{"1KiB", "/v1/models/m:predict", 1 << 10},
		{"64KiB", "/v1/models/m:predict", 64 << 10},
		{"256KiB", "/v1/models/m:predict", 256 << 10},
	} {
		for what, end := range map[string]func(*Pipeline){"recorded": dropAll, "recorded and built": buildAll} {
			b.Run(arm.name+" "+what, func(b *testing.B) {
				p, _, exchange := costOf(b, arm.size, arm.path)
				b.ReportAllocs()
				for b.Loop() {
					exchange()
					end(p)
				}
			})
		}
	}
}
