/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// TestTheBudgetHasTheHeadersOfAnEvent, while it waits to be built and for its sink.
func TestTheBudgetHasTheHeadersOfAnEvent(t *testing.T) {
	long := strings.Repeat("h", 60_000)
	var sources []agentconfig.HeaderSource
	header, longHeader, overlong := make(http.Header), make(http.Header), make(http.Header)
	for i := range metadata.MaxAttributes {
		name := fmt.Sprintf("X-Header-%d", i)
		sources = append(sources, agentconfig.HeaderSource{Attribute: fmt.Sprintf("header%d", i), Header: name})
		header[name] = []string{"v"}
		longHeader[name] = []string{strings.Repeat("v", 1000)}
		overlong[name] = []string{long, long}
	}
	for name, header := range map[string]http.Header{"none": nil, "many": header, "long ones": longHeader, "overlong ones": overlong} {
		t.Run(name, func(t *testing.T) {
			sink := &hangingSink{}
			budget := capture.NewBudget(1 << 30)
			p := NewPipeline(Settings{
				Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
				Builder:    &event.Builder{Identity: event.Identity{Source: "m"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 20},
				Deadline:   time.Minute,
				Attributes: func() []metadata.Attribute { return nil },
				Headers:    event.NewHeaders(sources, metadata.DefaultDeniedValues),
			}, budget, []Sink{sink}, new(ledger.Account))
			const exchanges, spare = 200, 64 << 10
			before := heap()
			for range exchanges {
				converse(p, "/m", header, []byte("{}"))
			}
			if held := heap() - before; held > budget.Used()+spare {
				t.Errorf("%d events hold %d bytes before they are built, the budget has %d", 2*exchanges, held, budget.Used())
			}
			buildAll(p)
			if held := heap() - before; held > budget.Used()+spare {
				t.Errorf("%d events hold %d bytes, the budget has %d", 2*exchanges, held, budget.Used())
			}
			for _, item := range sink.items {
				item.Release()
			}
			if used := budget.Used(); used != 0 {
				t.Errorf("%d bytes are left in the budget", used)
			}
			runtime.KeepAlive(sink)
		})
	}
}
