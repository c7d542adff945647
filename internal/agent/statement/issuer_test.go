/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package statement

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.uber.org/goleak"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/receiver"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const interval = time.Minute

// stage is a sink in a bubble of virtual time, the issuer of its statements,
// and the subscriber behind it.
type stage struct {
	t      *testing.T
	issuer *Issuer
	sink   *delivery.Sink
	tally  *receiver.Tally

	mu sync.Mutex
	// status is how the sink responds to an event: 0 is never.
	status     func(cloudevents.Event) int
	statements []ledger.Statement
	order      []string
}

func taking(cloudevents.Event) int { return http.StatusAccepted }

func newStage(t *testing.T, options ...func(*Settings)) *stage {
	t.Helper()
	s := &stage{t: t, tally: receiver.NewTally(receiver.Options{}), status: taking}
	s.sink = delivery.NewSink("default", s, delivery.Options{
		Config:         delivery.Config{FirstInFlight: 1, MaxInFlight: 4, MaxBytes: 100, Random: func() float64 { return 0.5 }},
		AttemptTimeout: 30 * time.Second,
		BeginAttempt: func(ctx context.Context, _ *event.Event, _ int) (context.Context, func(delivery.Result)) {
			return ctx, func(delivery.Result) {}
		},
	})
	builder := &event.Builder{Identity: event.Identity{Source: "m-predictor-default", AgentInstance: "i-1", Namespace: "models"}, ContentMode: agentconfig.ContentModeAuto}
	settings := Settings{
		Builder:   builder,
		Selection: event.Select(agentconfig.ModeRequest, []agentconfig.Kind{agentconfig.KindRequest, agentconfig.KindResponse, agentconfig.KindLedger}),
		Mode:      agentconfig.ModeRequest,
		Interval:  interval,
		Deadline:  agentconfig.EventDeadline,
		Started:   time.Now(),
		Skips:     new(ledger.Skips),
	}
	for _, option := range options {
		option(&settings)
	}
	s.issuer = NewIssuer(settings, []*delivery.Sink{s.sink})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.sink.Run(ctx) })
	running.Go(func() { s.issuer.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return s
}

// Send is what the sink does with an event.
func (s *stage) Send(ctx context.Context, e *event.Event, sequence uint64) delivery.Result {
	message := e.Message(sequence)
	parsed, err := binding.ToEvent(ctx, cehttp.NewMessage(message.Header, io.NopCloser(message.Body())))
	if err != nil {
		s.t.Error(err)
		return delivery.NoResponse
	}
	s.mu.Lock()
	status := s.status(*parsed)
	s.mu.Unlock()
	if status == 0 {
		<-ctx.Done()
		return delivery.NoResponse
	}
	if status == http.StatusAccepted {
		s.take(*parsed)
	}
	return delivery.Result{Status: status}
}

func (s *stage) take(e cloudevents.Event) {
	if err := s.tally.Receive(e); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = append(s.order, fmt.Sprint(e.Extensions()["agentsequence"]))
	if e.Type() == receiver.LedgerType {
		var statement ledger.Statement
		if err := e.DataAs(&statement); err != nil {
			s.t.Error(err)
		}
		s.statements = append(s.statements, statement)
	}
}

func (s *stage) responds(status func(cloudevents.Event) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// observe has the agent observe an event that holds so many bytes.
func (s *stage) observe(bytes int64) {
	s.t.Helper()
	now := time.Now()
	built, err := (&event.Builder{Identity: s.issuer.settings.Builder.Identity}).Build(&event.Observation{
		Exchange: &event.Exchange{CorrelationID: "c"}, Complete: true, At: now, Status: event.NoStatus, GRPCStatus: event.NoStatus,
	}, agentconfig.KindRequest, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sink.Enqueue(&delivery.Item{
		Event: built, Sequence: s.sink.Account().Observe(), Observed: now, Deadline: now.Add(agentconfig.EventDeadline),
		Bytes: bytes, Release: func() {},
	})
}

// pass lets so many paces pass.
func pass(paces int) {
	time.Sleep(time.Duration(paces)*interval + time.Second)
	synctest.Wait()
}

// told returns what the subscriber was told so far.
func (s *stage) told() []ledger.Statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ledger.Statement(nil), s.statements...)
}

func (s *stage) report() receiver.Report {
	s.t.Helper()
	reports := s.tally.Reports()
	if len(reports) != 1 {
		s.t.Fatalf("the subscriber knows %d streams", len(reports))
	}
	return reports[0]
}

// TestStatementMatchesTheAccount, with itself.
func TestStatementMatchesTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		started := time.Now().UTC()
		s.observe(10)
		s.observe(1000)
		pass(1)
		told := s.told()
		if len(told) != 1 {
			t.Fatalf("told %d times", len(told))
		}
		want := ledger.Statement{
			AgentInstance: "i-1", Sink: "default", Sequence: 3,
			Counts:  ledger.Counts{Observed: 3, Delivered: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonBudget: 1}, Pending: 1},
			Skipped: map[ledger.SkipReason]uint64{}, SkippedEvents: map[string]uint64{}, Mode: "request", Events: []string{"request", "ledger"},
			Started: started, IntervalSeconds: 60,
		}
		if fmt.Sprintf("%+v", told[0]) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", told[0], want)
		}
	})
}

// TestNoLedgerEventWithoutNews, and a statement is none.
func TestNoLedgerEventWithoutNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		pass(5)
		if told := s.told(); len(told) != 0 {
			t.Errorf("told of nothing: %+v", told)
		}
		s.observe(1)
		pass(5)
		if told := s.told(); len(told) != 1 {
			t.Errorf("told %d times of one event", len(told))
		}
		s.observe(1)
		pass(5)
		if told := s.told(); len(told) != 2 || told[1].Sequence != 4 || told[1].Delivered != 3 {
			t.Errorf("told %+v", told)
		}
	})
}

// TestSkipCausesALedgerEvent, though nothing is observed. Probes are none.
func TestSkipCausesALedgerEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		skips := s.issuer.settings.Skips
		skips.Skip(ledger.SkipProbe)
		pass(3)
		if told := s.told(); len(told) != 0 {
			t.Errorf("told of a probe: %+v", told)
		}
		skips.SkipEvent("response.failure")
		pass(3)
		if told := s.told(); len(told) != 1 || told[0].SkippedEvents["response.failure"] != 1 || told[0].Skipped[ledger.SkipProbe] != 1 {
			t.Errorf("told %+v", told)
		}
		skips.Skip(ledger.SkipLoop)
		pass(3)
		if told := s.told(); len(told) != 2 || told[1].Skipped[ledger.SkipLoop] != 1 {
			t.Errorf("told %+v", told)
		}
	})
}

// TestFinalLedgerEventCountsSkips by an agent that sent nothing.
func TestFinalLedgerEventCountsSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.issuer.settings.Skips.SkipEvent("stream")
		s.issuer.Close()
		synctest.Wait()
		if told := s.told(); len(told) != 1 || !told[0].Final || told[0].SkippedEvents["stream"] != 1 {
			t.Errorf("told %+v", told)
		}
	})
}

// TestFinalLedgerEventHasTheFinalCounts, though nothing is observed any more.
func TestFinalLedgerEventHasTheFinalCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.responds(func(e cloudevents.Event) int {
			if e.Type() == receiver.LedgerType {
				return http.StatusAccepted
			}
			return 0
		})
		s.observe(1)
		pass(1)
		s.responds(func(e cloudevents.Event) int {
			if e.Type() == receiver.LedgerType {
				return http.StatusAccepted
			}
			return http.StatusBadRequest
		})
		pass(3)
		told := s.told()
		if len(told) != 2 || told[0].Pending != 2 || told[1].Pending != 1 || told[1].Dropped[ledger.ReasonRejected] != 1 {
			t.Errorf("told %+v", told)
		}
	})
}

// TestAStatementThatIsLostIsMadeAgain, in each way to be lost.
func TestAStatementThatIsLostIsMadeAgain(t *testing.T) {
	for name, status := range map[string]int{"refused": http.StatusBadRequest, "expired": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.responds(func(cloudevents.Event) int { return status })
				s.observe(1)
				pass(15)
				s.responds(taking)
				pass(15)
				report := s.report()
				told := s.told()
				if last := told[len(told)-1]; last.Pending != 1 || last.Delivered+last.DroppedTotal() != last.Observed-1 || last.DroppedTotal() < 2 {
					t.Errorf("told %+v", last)
				}
				if reckoning := report.Reckon(); reckoning.Missing != reckoning.Lost || reckoning.Missing < 2 {
					t.Errorf("reckoned %s of %+v", reckoning, report)
				}
				settled := len(told)
				pass(5)
				if len(s.told()) != settled {
					t.Error("it goes on telling what was told")
				}
			})
		})
	}
}

// TestNoMoreThanTwoStatementsWait for a sink that takes nothing, however long
// and whatever else waits; and a full queue keeps none out.
func TestNoMoreThanTwoStatementsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.responds(func(cloudevents.Event) int { return 0 })
		s.observe(100)
		for range 9 {
			s.observe(1)
			pass(1)
		}
		counts := s.sink.Account().Snapshot()
		if waiting := s.issuer.sinks[0].waiting.Load(); waiting != 1 || counts.Pending != 2 || counts.Dropped[ledger.ReasonBudget] != 9 {
			t.Errorf("%d statements wait, the ledger says %+v", waiting, counts)
		}
		s.issuer.Close()
		if waiting := s.issuer.sinks[0].waiting.Load(); waiting != 2 {
			t.Errorf("%d statements wait after the last", waiting)
		}
	})
}

// TestTheLastStatementIsTheLastEvent, goes ahead of what waits, and is the last
// whatever is asked for after it.
func TestTheLastStatementIsTheLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.responds(func(cloudevents.Event) int { return http.StatusServiceUnavailable })
		s.observe(1)
		for range 20 {
			s.observe(1)
		}
		pass(0)
		s.sink.OldestFirst()
		s.issuer.Close()
		s.responds(taking)
		s.issuer.Close()
		s.issuer.Issue()
		pass(2)
		if told := s.told(); len(told) != 1 || !told[0].Final || told[0].Sequence != 22 || told[0].Pending != 22 || s.order[0] != "000000000022" {
			t.Errorf("told %+v, in the order %v", told, s.order)
		}
		if report := s.report(); !report.Ended || report.Missing != 0 {
			t.Errorf("the subscriber knows %+v", report)
		}
	})
}

func TestAnAgentWithoutEventsTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.issuer.Close()
		pass(1)
		if len(s.told()) != 0 {
			t.Errorf("told %+v", s.told())
		}
	})
}

func TestWithoutLedgerEventsSelectedNothingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		settings := s.issuer.settings
		settings.Selection = event.Select(agentconfig.ModeAll, []agentconfig.Kind{agentconfig.KindRequest})
		silent := NewIssuer(settings, []*delivery.Sink{s.sink})
		s.observe(1)
		silent.Issue()
		silent.Close()
		synctest.Wait()
		if len(s.told()) != 0 {
			t.Errorf("told %+v", s.told())
		}
	})
}

// TestAStatementThatPanicsIsInvalid, and its place in the sequence is not taken
// by another event.
func TestAStatementThatPanicsIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		var places atomic.Int32
		s.issuer.settings.Panics.OnEvent = func(panics.Place) { places.Add(1) }
		skips := s.issuer.settings.Skips
		// Whatever the issuer is to say can't be asked for.
		s.issuer.settings.Skips = nil
		s.observe(1)
		synctest.Wait()
		s.issuer.mu.Lock()
		s.issuer.issue(s.issuer.sinks[0], false)
		s.issuer.mu.Unlock()
		synctest.Wait()
		if got := s.sink.Account().Snapshot(); got.Dropped[ledger.ReasonInvalid] != 1 || got.Observed != 2 || got.Pending != 0 {
			t.Errorf("the ledger says %+v", got)
		}
		if places.Load() != 1 {
			t.Errorf("told of %d panics", places.Load())
		}
		s.issuer.settings.Skips = skips
		s.issuer.Issue()
		synctest.Wait()
		if told := s.told(); len(told) != 1 || told[0].Dropped[ledger.ReasonInvalid] != 1 {
			t.Errorf("the next statement says %+v", told)
		}
	})
}

// subscribed has the stage's sink get ledger events by a subscription.
func subscribed(t *testing.T, mode agentconfig.Mode, filter string) func(*Settings) {
	t.Helper()
	subscription, err := event.SubscriptionOf(&agentconfig.Sink{Mode: mode, Events: agentconfig.Kinds(), Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	return func(settings *Settings) { settings.Subscriptions = []event.Subscription{subscription} }
}

// TestAStatementPassesTheFilterOfItsSink, or isn't made: then nothing is observed,
// also not the filtered statement itself.
func TestAStatementPassesTheFilterOfItsSink(t *testing.T) {
	for filter, want := range map[string]int{
		`{"suffix":{"type":".ledger"}}`:              1,
		`{"not":{"suffix":{"type":".ledger"}}}`:      0,
		`{"cesql":"source = 'm-predictor-default'"}`: 1,
		`{"exact":{"subject":"/v1"}}`:                0,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, subscribed(t, agentconfig.ModeAll, filter))
			s.observe(1)
			synctest.Wait()
			for range 3 {
				s.issuer.Issue()
				synctest.Wait()
			}
			told := s.told()
			if len(told) != want {
				t.Fatalf("%s: told %d times", filter, len(told))
			}
			if observed := s.sink.Account().Snapshot().Observed; observed != uint64(1+want) {
				t.Errorf("%s: %d are observed", filter, observed)
			}
			s.issuer.Close()
			synctest.Wait()
			if told := s.told(); len(told) != 2*want {
				t.Errorf("%s: told %d times in the end", filter, len(told))
			}
		})
	}
}

// TestAStatementHasTheSinksOwnSkips beside those of all sinks, and they are news.
func TestAStatementHasTheSinksOwnSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, subscribed(t, agentconfig.ModeResponse, `{"prefix":{"type":"io."}}`))
		s.issuer.settings.Skips.SkipEvent("request")
		s.sink.Account().SkipEvent("request")
		s.sink.Account().SkipEvent("loop")
		s.sink.Account().Filter()
		for range 3 {
			s.issuer.Issue()
			synctest.Wait()
		}
		told := s.told()
		if len(told) != 1 {
			t.Fatalf("told %d times", len(told))
		}
		if got := told[0]; got.SkippedEvents["request"] != 2 || got.SkippedEvents["loop"] != 1 || got.Filtered != 1 || got.Mode != "response" || got.Observed != 1 {
			t.Errorf("told %+v", got)
		}
		s.sink.Account().Filter()
		s.issuer.Issue()
		synctest.Wait()
		if told := s.told(); len(told) != 2 || told[1].Filtered != 2 {
			t.Errorf("a filtered event is no news: %+v", told)
		}
	})
}
