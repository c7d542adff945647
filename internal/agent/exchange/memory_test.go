/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// hangingSink keeps every item.
type hangingSink struct {
	account ledger.Account
	items   []*delivery.Item
}

func (s *hangingSink) Account() *ledger.Account { return &s.account }

func (s *hangingSink) Accept(item *delivery.Item) func() { s.items = append(s.items, item); return nil }

// TestTheBudgetHasAllThatAQueuedEventHolds: events of hostile requests that
// wait for a sink take no more of the heap than the budget says.
func TestTheBudgetHasAllThatAQueuedEventHolds(t *testing.T) {
	const size = 60_000
	long := strings.Repeat("a", size)
	text := hex.EncodeToString(randomBytes(size / 2))
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	_, _ = writer.Write([]byte(text))
	_ = writer.Close()
	var attributes []metadata.Attribute
	for n := range metadata.MaxAttributes {
		attributes = append(attributes, metadata.Attribute{Name: fmt.Sprintf("attribute%d", n), Value: strings.Repeat("v", 100)})
	}
	for name, test := range map[string]struct {
		path   string
		header http.Header
		body   []byte
	}{
		"a small one":           {path: "/v1/models/m:predict", body: []byte("{}")},
		"a long path":           {path: "/" + long},
		"a long query":          {path: "/v1/models/m:predict?q=" + long},
		"a long Content-Type":   {path: "/m", header: http.Header{"Content-Type": {"application/json; a=" + long}}},
		"a long coding":         {path: "/m", header: http.Header{"Content-Encoding": {long}, "Grpc-Encoding": {long}}},
		"a long id":             {path: "/m", header: http.Header{"X-Request-Id": {long}}},
		"a long trace context":  {path: "/m", header: http.Header{"Traceparent": {long}, "Tracestate": {long, long}}},
		"many trace contexts":   {path: "/m", header: http.Header{"Traceparent": strings.Split(strings.Repeat("a,", 10), ",")}},
		"a long tracestate":     {path: "/m", header: http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "Tracestate": {strings.Repeat("a=b,", size/4)}}},
		"a long tensor header":  {path: "/m", header: http.Header{"Inference-Header-Content-Length": {long}}},
		"parts of a large head": {path: "/m", header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"r"}, "Content-Encoding": {"identity"}, "Grpc-Encoding": {"identity"}, "Inference-Header-Content-Length": {"1"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "Tracestate": {"a=b"}}},
		"a gzip body":           {path: "/m", header: http.Header{"Content-Encoding": {"gzip"}}, body: compressed.Bytes()},
		"a body":                {path: "/m", body: []byte(text)},
		"a chat":                {path: "/v1/chat/completions", header: http.Header{"Content-Type": {"application/json"}}, body: chat(100, text)},
		"a chat with odd texts": {path: "/v1/chat/completions", header: http.Header{"Content-Type": {"application/json"}}, body: chat(1000, text)},
	} {
		t.Run(name, func(t *testing.T) {
			sink := &hangingSink{}
			budget := capture.NewBudget(1 << 30)
			settings := Settings{
				Paths:      inference.Paths{},
				Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
				Builder:    &event.Builder{Identity: event.Identity{Source: "m", InferenceService: "m", Namespace: "n", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 20},
				Deadline:   time.Minute,
				Attributes: func() []metadata.Attribute { return attributes },
			}
			p := NewPipeline(settings, budget, []Sink{sink}, new(ledger.Account))
			const exchanges = 200
			before := heap()
			for range exchanges {
				converse(p, test.path, test.header, test.body)
				buildAll(p)
			}
			held := heap() - before
			if dropped := sink.account.Snapshot().DroppedTotal(); len(sink.items) != 2*exchanges || dropped != 0 {
				t.Fatalf("%d events wait, %d are dropped", len(sink.items), dropped)
			}
			// What the allocator and the test's sink add.
			const spare = 64 << 10
			t.Logf("an event holds %d bytes, the budget has %d", held/int64(len(sink.items)), budget.Used()/int64(len(sink.items)))
			if held > budget.Used()+spare {
				t.Errorf("%d events hold %d bytes, the budget has %d", len(sink.items), held, budget.Used())
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

// chat is a body of a chat completion with a model's name of that length.
func chat(length int, text string) []byte {
	return fmt.Appendf(nil, `{"model":"%s","choices":[{"finish_reason":"%[1]s","message":"%s"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":1}}}`,
		strings.Repeat("m", length), text)
}

// weakSink remembers the data of events, and keeps none.
type weakSink struct {
	account ledger.Account
	data    []weak.Pointer[byte]
}

func (s *weakSink) Account() *ledger.Account { return &s.account }

func (s *weakSink) Accept(item *delivery.Item) func() {
	s.data = append(s.data, weak.Make(&item.Event.Data()[0]))
	item.Release()
	return nil
}

// TestAnExchangeHoldsNoBodyOfAnEventThatHasEnded: a model may take minutes for
// its response, and the budget has nothing of the request any more by then.
func TestAnExchangeHoldsNoBodyOfAnEventThatHasEnded(t *testing.T) {
	sink := new(weakSink)
	budget := capture.NewBudget(1 << 20)
	p := NewPipeline(Settings{
		Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
		Builder:    &event.Builder{Identity: event.Identity{Source: "m"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 20},
		Attributes: func() []metadata.Attribute { return nil },
	}, budget, []Sink{sink}, new(ledger.Account))
	body := randomBytes(60_000)
	watching, _ := p.Begin(httptest.NewRequest(http.MethodPost, "/m", bytes.NewReader(body)), nil)
	watching.RequestBytes(body)
	watching.RequestDone()
	buildAll(p)
	if used := budget.Used(); len(sink.data) != 1 || used != 0 {
		t.Fatalf("%d events came to the sink, and %d bytes are held", len(sink.data), used)
	}
	// A buffer that is free to be used again outlasts one collection.
	for range 3 {
		runtime.GC()
	}
	if sink.data[0].Value() != nil {
		t.Error("the request's body is still there")
	}
	runtime.KeepAlive(watching)
}

// buildAll builds the events of all that waits.
func buildAll(p *Pipeline) {
	for !p.Empty() {
		next := p.next()
		p.build(next)
		p.built(next)
	}
}

// converse has an exchange observed whose response is the request.
func converse(p *Pipeline, path string, header http.Header, body []byte) {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	// As the server has it: a text of its own for each request.
	r.RequestURI = strings.Clone(path)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(r.RequestURI, "?")
	for name, values := range header {
		for _, value := range values {
			r.Header.Add(name, ofItsOwn(value))
		}
	}
	watching, _ := p.Begin(r, nil)
	watching.RequestBytes(body)
	watching.RequestDone()
	watching.ResponseHead(http.StatusOK, r.Header, int64(len(body)))
	watching.ResponseBytes(body)
	watching.ResponseDone()
	watching.End(nil)
}

// ofItsOwn copies a value, and leaves it a part of a larger text.
func ofItsOwn(value string) string {
	text := strings.Repeat("x", 60_000) + value
	return text[60_000:]
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func randomBytes(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, n)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	return content
}

// TestLongDecodingIsAnnounced: a large encoded body keeps a processor busy. A small
// body doesn't, and a body that isn't decoded doesn't.
func TestLongDecodingIsAnnounced(t *testing.T) {
	compress := func(data []byte) []byte {
		var compressed bytes.Buffer
		writer := gzip.NewWriter(&compressed)
		_, _ = writer.Write(data)
		_ = writer.Close()
		return compressed.Bytes()
	}
	for name, test := range map[string]struct {
		encoding string
		body     []byte
		// want counts both sides.
		want int
	}{
		"large and encoded": {"gzip", compress(randomBytes(longDecoding)), 2},
		"small and encoded": {"gzip", compress([]byte("{}")), 0},
		"large and plain":   {"", randomBytes(longDecoding), 0},
	} {
		announced := 0
		p := NewPipeline(Settings{
			Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
			Builder:    &event.Builder{Identity: event.Identity{Source: "m"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 20},
			Attributes: func() []metadata.Attribute { return nil },
			LongWork:   func() { announced++ },
		}, capture.NewBudget(32<<20), []Sink{new(hangingSink)}, new(ledger.Account))
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		if test.encoding != "" {
			header.Set("Content-Encoding", test.encoding)
		}
		converse(p, "/v1/models/m:predict", header, test.body)
		buildAll(p)
		if announced != test.want {
			t.Errorf("%s: announced %d times, want %d", name, announced, test.want)
		}
	}
}
