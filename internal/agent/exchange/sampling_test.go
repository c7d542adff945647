/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/sampling"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// sampleOf is a pipeline that samples, with a sink that keeps all events.
type sampleOf struct {
	*Pipeline
	sink *hangingSink
}

func newSample(given agentconfig.Sampling, maxEventsPerSecond, budget int64, kinds ...agentconfig.Kind) *sampleOf {
	if kinds == nil {
		kinds = agentconfig.Kinds()
	}
	sink := new(hangingSink)
	return &sampleOf{sink: sink, Pipeline: NewPipeline(Settings{
		Selection:  event.Select(agentconfig.ModeAll, kinds),
		Sampler:    sampling.New(sampling.NewKey(), given),
		Ceiling:    sampling.NewCeiling(maxEventsPerSecond),
		Builder:    &event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1 << 20},
		Deadline:   time.Minute,
		Attributes: func() []metadata.Attribute { return nil },
	}, capture.NewBudget(budget), []Sink{sink}, new(ledger.Account))}
}

// begin begins an exchange with a request's body: nil if it isn't watched.
func (s *sampleOf) begin(body string) *watcher {
	r := httptest.NewRequest(http.MethodPost, "/v1/models/m:predict", strings.NewReader(body))
	watching, _ := s.Begin(r, nil)
	if watching == nil {
		return nil
	}
	watching.RequestBytes([]byte(body))
	watching.RequestDone()
	return watching.(*watcher)
}

// respond ends an exchange, after a response with a body.
func (r *watcher) respond(status int, body string) {
	r.ResponseHead(status, http.Header{}, int64(len(body)))
	r.ResponseBytes([]byte(body))
	r.ResponseDone()
	r.End(nil)
}

// sent are the events that came to the sink since the last call, each with its kind,
// its sampledrate and its data. Their memory is given back.
func (s *sampleOf) sent(t *testing.T) []*sentEvent {
	t.Helper()
	buildAll(s.Pipeline)
	var all []*sentEvent
	for _, item := range s.sink.items {
		var attributes struct {
			Rate        json.Number `json:"sampledrate"`
			Correlation string      `json:"correlationid"`
		}
		line, err := item.Event.Line(item.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(line, &attributes); err != nil {
			t.Fatal(err)
		}
		all = append(all, &sentEvent{string(item.Event.Kind), attributes.Rate.String(), attributes.Correlation, string(item.Event.Data())})
		s.sink.account.Deliver()
		item.Release()
	}
	s.sink.items = nil
	return all
}

type sentEvent struct{ kind, rate, correlation, data string }

// only expects the kinds, rates and data of events.
func only(t *testing.T, got []*sentEvent, want ...string) {
	t.Helper()
	var all []string
	for _, e := range got {
		all = append(all, e.kind+" "+e.rate+" "+e.data)
	}
	if strings.Join(all, "\n") != strings.Join(want, "\n") {
		t.Errorf("the events are %q, want %q", all, want)
	}
}

// rarely selects no exchange of a test: each with a chance of one in a million.
var rarely = agentconfig.Sampling{OneIn: agentconfig.MaxSamplingOneIn}

func TestAnUnselectedExchangeIsNotWatched(t *testing.T) {
	s := newSample(rarely, 0, 1<<20)
	for range 3 {
		if s.begin("{}") != nil {
			t.Fatal("it is watched")
		}
	}
	if skipped := s.Skips().Snapshot(); skipped.Exchanges[ledger.SkipSampling] != 3 || len(skipped.Exchanges) != 1 || skipped.OfInference() != 3 {
		t.Errorf("skipped are %+v", skipped)
	}
	if counts := s.sink.account.Snapshot(); counts.Observed != 0 {
		t.Errorf("%d are observed", counts.Observed)
	}
}

// TestAProbeIsNoUnselectedExchange, also where only its body tells: it is counted as
// a probe.
func TestAProbeIsNoUnselectedExchange(t *testing.T) {
	s := newSample(rarely, 0, 1<<20)
	for body, reason := range map[string]ledger.SkipReason{"": ledger.SkipProbe, "{}": ledger.SkipSampling} {
		r := httptest.NewRequest(http.MethodGet, "/v1/models/m", strings.NewReader(body))
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
		watching, _ := s.Begin(r, nil)
		watching.RequestBytes([]byte(body))
		watching.RequestDone()
		watching.(*watcher).respond(http.StatusOK, "{}")
		if skipped := s.Skips().Snapshot().Exchanges; skipped[reason] != 1 {
			t.Errorf("a body of %q: skipped are %v", body, skipped)
		}
	}
	if used := s.budget.Used(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}

// TestKeptOutcomes: an exchange that is kept sends both events with their bodies and
// the rate 1, and any other nothing. Nothing is sent before the end.
func TestKeptOutcomes(t *testing.T) {
	ok := func(r *watcher) { r.respond(http.StatusOK, "answer") }
	for name, test := range map[string]struct {
		given agentconfig.Sampling
		end   func(*watcher)
		// want are the events of an exchange that isn't selected, selected those of one
		// that is.
		want, selected []string
	}{
		"a success": {agentconfig.Sampling{KeepFailures: true}, ok, nil, []string{"request R question", "response R answer"}},
		"a status": {agentconfig.Sampling{KeepFailures: true}, func(r *watcher) { r.respond(http.StatusTeapot, "no") },
			[]string{"request 1 question", "response.failure 1 no"}, nil},
		"a redirect": {agentconfig.Sampling{KeepFailures: true}, func(r *watcher) { r.respond(http.StatusFound, "") },
			[]string{"request 1 question", "response.failure 1 "}, nil},
		"a gRPC status": {agentconfig.Sampling{KeepFailures: true}, func(r *watcher) {
			r.ResponseHead(http.StatusOK, http.Header{"Content-Type": {"application/grpc"}}, -1)
			r.ResponseDone()
			r.End(http.Header{"Grpc-Status": {"5"}})
		}, []string{"request 1 question", "response.failure 1 "}, nil},
		"a gRPC status of 0": {agentconfig.Sampling{KeepFailures: true}, func(r *watcher) {
			r.ResponseHead(http.StatusOK, http.Header{"Content-Type": {"application/grpc"}}, -1)
			r.ResponseDone()
			r.End(http.Header{"Grpc-Status": {"0"}})
		}, nil, []string{"request R question", "stream R "}},
		"no response": {agentconfig.Sampling{KeepFailures: true}, func(r *watcher) { r.End(nil) },
			[]string{"request 1 question", "response.failure 1 "}, nil},
		"a response that breaks off": {agentconfig.Sampling{KeepFailures: true}, func(r *watcher) {
			r.ResponseHead(http.StatusOK, http.Header{}, 9)
			r.ResponseBytes([]byte("half"))
			r.End(nil)
		}, []string{"request 1 question", "response.failure 1 half"}, nil},
		"a fast failure, where slow ones are kept": {agentconfig.Sampling{KeepSlowerThan: time.Hour}, func(r *watcher) { r.respond(http.StatusTeapot, "no") },
			nil, []string{"request R question", "response.failure R no"}},
		"a slow success": {agentconfig.Sampling{KeepSlowerThan: time.Hour}, func(r *watcher) {
			r.exchange.Received = r.exchange.Received.Add(-time.Hour)
			ok(r)
		}, []string{"request 1 question", "response 1 answer"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, oneIn := range []int64{rarely.OneIn, 1} {
				given, want := test.given, test.want
				if given.OneIn = oneIn; oneIn == 1 && test.selected != nil {
					want = nil
					for _, e := range test.selected {
						want = append(want, strings.Replace(e, " R ", " 1 ", 1))
					}
				}
				s := newSample(given, 0, 1<<20)
				exchange := s.begin("question")
				only(t, s.sent(t))
				test.end(exchange)
				only(t, s.sent(t), want...)
				skipped := uint64(0)
				if len(want) == 0 {
					skipped = 1
				}
				if got := s.Skips().Snapshot(); got.Exchanges[ledger.SkipSampling] != skipped || len(got.Events) != 0 {
					t.Errorf("one in %d: skipped are %+v, want %d", oneIn, got, skipped)
				}
				if used := s.budget.Used(); used != 0 {
					t.Errorf("one in %d: %d bytes are held", oneIn, used)
				}
			}
		})
	}
}

// TestBothEventsOfAnExchangeHaveItsRate, also where every event waits for the
// outcome, and totals are estimated: of all exchanges, and of those that are kept.
func TestBothEventsOfAnExchangeHaveItsRate(t *testing.T) {
	const count, failing, on = 20_000, 10, 1 / .03
	for name, given := range map[string]agentconfig.Sampling{
		"by chance alone": {Percent: 3}, "with failures": {Percent: 3, KeepFailures: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(given, 0, 1<<20)
			var total, failed float64
			left := 0
			for n := range count {
				status := http.StatusOK
				if n%failing == 0 {
					status = http.StatusInternalServerError
				}
				exchange := s.begin("{}")
				if exchange == nil {
					left++
					continue
				}
				exchange.respond(status, "{}")
				events := s.sent(t)
				if len(events) == 0 {
					left++
					continue
				}
				if len(events) != 2 || events[0].correlation != events[1].correlation || events[0].rate != events[1].rate {
					t.Fatalf("an exchange gives %+v", events)
				}
				rate := map[string]float64{"1": 1, "33": 33, "34": 34}[events[0].rate]
				if kept := given.KeepFailures && status != http.StatusOK; rate == 0 || kept != (rate == 1) {
					t.Fatalf("an exchange with the status %d has the rate %s", status, events[0].rate)
				}
				total += rate
				if status != http.StatusOK {
					failed += rate
				}
			}
			// Six standard deviations: the ids are others in each run.
			within := func(n float64) float64 { return 6 * math.Sqrt(n*(on-1+.25/on)) }
			if math.Abs(total-count) > within(count) {
				t.Errorf("%d exchanges are estimated to be %.0f", count, total)
			}
			switch {
			case given.KeepFailures && failed != count/failing:
				t.Errorf("%d failures are said to be %.0f", count/failing, failed)
			case math.Abs(failed-count/failing) > within(count/failing):
				t.Errorf("%d failures are estimated to be %.0f", count/failing, failed)
			}
			if skipped := s.Skips().Snapshot().Exchanges[ledger.SkipSampling]; int(skipped) != left {
				t.Errorf("%d are skipped, want %d", skipped, left)
			}
		})
	}
}

// TestHeldBodiesLeaveRoom: exchanges that are probably left out hold a quarter of
// the budget at most. A kept one whose request found no room sends its response.
func TestHeldBodiesLeaveRoom(t *testing.T) {
	const budget, size = 256 << 10, 40 << 10
	body := strings.Repeat("q", size)
	given := rarely
	given.KeepFailures = true
	s := newSample(given, 0, budget, agentconfig.KindRequest, agentconfig.KindResponse, agentconfig.KindResponseFailure)
	var held []*watcher
	for range 20 {
		held = append(held, s.begin(body))
	}
	if used := s.budget.Used(); used > budget/4 || used < size {
		t.Errorf("%d bytes are held of %d", used, budget)
	}
	if lease := s.budget.Lease(); !lease.Grow(budget / 4 * 3) {
		t.Error("three quarters aren't free for others")
	} else {
		lease.Release()
	}
	for n, exchange := range held {
		exchange.respond(http.StatusInternalServerError, "no")
		want := []string{"request 1 " + body, "response.failure 1 no"}
		if n > 0 {
			want = want[1:]
		}
		only(t, s.sent(t), want...)
	}
	if counts := s.sink.account.Snapshot(); counts.Observed != 40 || counts.Delivered != 21 || counts.Dropped[ledger.ReasonBudget] != 19 {
		t.Errorf("the ledger says %+v", counts)
	}
	if used := s.budget.Used(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
	// A kept one holds nothing of the quarter.
	held = []*watcher{s.begin(body)}
	held[0].respond(http.StatusInternalServerError, "no")
	buildAll(s.Pipeline)
	held = append(held, s.begin(body))
	held[1].respond(http.StatusInternalServerError, "no")
	only(t, s.sent(t), "request 1 "+body, "response.failure 1 no", "request 1 "+body, "response.failure 1 no")
}

// TestTheCeilingDropsPairs, with a gap for each event, and counts them.
func TestTheCeilingDropsPairs(t *testing.T) {
	s := newSample(agentconfig.Sampling{}, 4, 1<<20)
	for range 5 {
		s.begin("question").respond(http.StatusOK, "answer")
	}
	only(t, s.sent(t), "request  question", "response  answer", "request  question", "response  answer")
	if counts := s.sink.account.Snapshot(); counts.Observed != 10 || counts.Delivered != 4 || counts.Dropped[ledger.ReasonRate] != 6 || counts.Pending != 0 {
		t.Errorf("the ledger says %+v", counts)
	}
	if used := s.budget.Used(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}

// TestTheCeilingCountsEventsThatAreSent: those of other kinds take nothing of it. A
// request whose response may be sent needs room for both.
func TestTheCeilingCountsEventsThatAreSent(t *testing.T) {
	for name, test := range map[string]struct {
		kinds []agentconfig.Kind
		want  uint64
	}{
		"requests":                     {[]agentconfig.Kind{agentconfig.KindRequest}, 4},
		"requests and other responses": {[]agentconfig.Kind{agentconfig.KindRequest, agentconfig.KindResponseFailure}, 3},
		"responses":                    {[]agentconfig.Kind{agentconfig.KindRequestFailure, agentconfig.KindResponse}, 4},
	} {
		s := newSample(agentconfig.Sampling{}, 4, 1<<20, test.kinds...)
		for range 5 {
			s.begin("{}").respond(http.StatusOK, "{}")
		}
		if got := len(s.sent(t)); uint64(got) != test.want {
			t.Errorf("%s: %d events are sent, want %d", name, got, test.want)
		}
		if counts, skipped := s.sink.account.Snapshot(), s.Skips().Snapshot(); counts.Dropped[ledger.ReasonRate] != 5-test.want || len(skipped.Events) != 1 {
			t.Errorf("%s: the ledger says %+v, skipped are %+v", name, counts, skipped)
		}
	}
}

// TestAPanicInAHeldExchange counts it as left out, because most are.
func TestAPanicInAHeldExchange(t *testing.T) {
	given := rarely
	given.KeepFailures = true
	s := newSample(given, 0, 1<<20)
	exchange := s.begin("{}")
	exchange.lose()
	exchange.End(nil)
	if counts, skipped := s.sink.account.Snapshot(), s.Skips().Snapshot(); counts.Observed != 0 || skipped.Exchanges[ledger.SkipSampling] != 1 {
		t.Errorf("the ledger says %+v, skipped are %+v", counts, skipped)
	}
	if used := s.budget.Used(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}

// TestAnUnselectedExchangeCostsAlmostNothing, beside the agent's own work on the
// request.
func TestAnUnselectedExchangeCostsAlmostNothing(t *testing.T) {
	p, _, exchange := costOf(t, 1<<10, "/v1/models/m:predict", func(s *Settings) { s.Sampler = sampling.New(sampling.Key{}, rarely) })
	if allocations := testing.AllocsPerRun(200, exchange); allocations > 4 {
		t.Errorf("%.0f allocations", allocations)
	}
	if skipped := p.Skips().Snapshot().Exchanges[ledger.SkipSampling]; skipped != 201 {
		t.Errorf("%d of 201 are skipped", skipped)
	}
}
