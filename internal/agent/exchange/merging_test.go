/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/genai"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// TestAStreamIsMergedWithinTheBudget: without room for it the event has the frames,
// and what merging took is given back.
func TestAStreamIsMergedWithinTheBudget(t *testing.T) {
	frame := `data: {"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n"
	stream := strings.Repeat(frame, 10) + "data: [DONE]\n\n"
	const toBuild = delivery.OverheadBytes + 64<<10
	for name, test := range map[string]struct {
		budget int64
		merged bool
	}{
		"with room":    {toBuild + genai.MergingBytes(int64(len(stream))), true},
		"without room": {delivery.OverheadBytes + genai.MergingBytes(int64(len(stream))), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			sink := &hangingSink{}
			budget := capture.NewBudget(test.budget)
			p := NewPipeline(Settings{
				Selection:  event.Select(agentconfig.ModeResponse, agentconfig.Kinds()),
				Builder:    &event.Builder{Identity: event.Identity{Source: "m"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 20, Streams: agentconfig.StreamMerged},
				Deadline:   time.Minute,
				Attributes: func() []metadata.Attribute { return nil },
			}, budget, []Sink{sink}, new(ledger.Account))
			watching, _ := p.Begin(httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader("{}")), nil)
			watching.RequestDone()
			watching.ResponseHead(http.StatusOK, http.Header{"Content-Type": {"text/event-stream"}}, -1)
			time.Sleep(250 * time.Millisecond)
			watching.ResponseBytes([]byte(stream[:100]))
			time.Sleep(time.Second)
			watching.ResponseBytes([]byte(stream[100:]))
			watching.ResponseDone()
			watching.End(nil)
			buildAll(p)
			if len(sink.items) != 1 {
				t.Fatalf("%s: %d events", name, len(sink.items))
			}
			item := sink.items[0]
			if merged := string(item.Event.Data()) != stream; merged != test.merged {
				t.Errorf("%s: the data are %s", name, item.Event.Data())
			}
			if lines := string(item.Event.AppendHeader(nil, 1)); !strings.Contains(lines, "Ce-Genaifirstchunkms: 250\r\n") {
				t.Errorf("%s: the first chunk came after 250 ms: %s", name, lines)
			}
			if used := budget.Used(); used != item.Bytes || used > toBuild {
				t.Errorf("%s: the event has %d bytes, and the budget %d", name, item.Bytes, used)
			}
			item.Release()
		})
	}
}
