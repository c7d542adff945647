/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/capture"
	"github.com/sidenote-dev/sidenote/pkg/agent/delivery"
	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/inference"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// promptSink takes every item at once.
type promptSink struct{ account ledger.Account }

func (s *promptSink) Account() *ledger.Account { return &s.account }

func (s *promptSink) Enqueue(item *delivery.Item) {
	s.account.Deliver()
	item.Release()
}

// costOf makes a pipeline of an agent with the default settings, and gives it
// with a function that has one exchange go through it.
func costOf(tb testing.TB, size int, path string) (*Pipeline, *promptSink, func()) {
	paths, err := inference.ParsePaths([]string{"/v1/models/*:predict"})
	if err != nil {
		tb.Fatal(err)
	}
	sink := new(promptSink)
	attributes := []metadata.Attribute{{Name: "team", Value: "ai-platform"}, {Name: "owner", Value: "ml-ops"}}
	p := NewPipeline(Settings{
		Paths:      paths,
		Selection:  event.Select(event.ModeAll, event.DefaultKinds()),
		Builder:    event.Builder{Identity: event.Identity{Source: "m", InferenceService: "m", Namespace: "n", AgentInstance: "i"}, ContentMode: event.ContentModeAuto, MaxPayloadBytes: 700 << 10},
		Deadline:   time.Minute,
		Attributes: func() []metadata.Attribute { return attributes },
	}, capture.NewBudget(32<<20), []Sink{sink}, new(ledger.Account))
	body := bytes.Repeat([]byte("x"), size)
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.ContentLength = int64(size)
	r.Header.Set("Content-Type", "application/json")
	answer := http.Header{"Content-Type": {"application/json"}}
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
		watching.ResponseHead(http.StatusOK, answer, int64(size))
		for rest := body; len(rest) > 0; {
			chunk := rest[:min(len(rest), 32<<10)]
			watching.ResponseBytes(chunk)
			rest = rest[len(chunk):]
		}
		watching.ResponseDone()
		watching.End(nil)
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
	} {
		b.Run(arm.name, func(b *testing.B) {
			p, _, exchange := costOf(b, arm.size, arm.path)
			b.ReportAllocs()
			for b.Loop() {
				exchange()
				buildAll(p)
			}
		})
		if arm.path != "/other" {
			b.Run(arm.name+" recorder alone", func(b *testing.B) {
				p, _, exchange := costOf(b, arm.size, arm.path)
				b.ReportAllocs()
				for b.Loop() {
					exchange()
					for o := p.pop(); o != nil; o = p.pop() {
						o.lease.Release()
					}
				}
			})
		}
	}
}
