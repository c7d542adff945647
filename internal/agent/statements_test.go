/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/receiver"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

const withLedger = "--events=request,response,ledger"

// isLedger reports whether a request to the sink brings a ledger event.
func isLedger(r *http.Request) bool { return r.Header.Get("Ce-Type") == receiver.LedgerType }

// tallied is what the subscriber works out of all that it has.
func (r *rig) tallied() receiver.Report {
	r.t.Helper()
	tally := receiver.NewTally(receiver.Options{})
	for _, e := range r.Sink.Events() {
		if err := tally.Receive(e.Event); err != nil {
			r.t.Error("the subscriber:", err)
		}
	}
	reports := tally.Reports()
	if len(reports) != 1 {
		r.t.Fatalf("the subscriber knows %d streams", len(reports))
	}
	return reports[0]
}

// TestSubscriberCountsLosses (P9): whatever the agent had to drop, from its
// events alone a subscriber has the number that the agent has, and after the
// final ledger event nothing else can be missing.
func TestSubscriberCountsLosses(t *testing.T) {
	for _, test := range []struct {
		name      string
		reason    ledger.Reason
		line      []string
		exchanges int
		// response is what the sink says to an event that is none of the ledger.
		// Without it the sink hangs until the agent drains.
		response func(n int, r *http.Request) int
		// cut has the agent end at once when the final ledger event has come:
		// what is lost was still pending then.
		cut bool
	}{
		{name: "nothing", exchanges: 20, response: func(int, *http.Request) int { return http.StatusAccepted }},
		{
			name: "refused", reason: ledger.ReasonRejected, exchanges: 20,
			response: func(n int, _ *http.Request) int {
				return map[bool]int{true: http.StatusBadRequest, false: http.StatusAccepted}[n%3 == 0]
			},
		},
		{
			name: "retries used up", reason: ledger.ReasonRetries, exchanges: 20, line: []string{"--sink.default.retry=0"},
			response: func(n int, _ *http.Request) int {
				return map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusAccepted}[n%7 == 3]
			},
		},
		{
			name: "poison", reason: ledger.ReasonPoison, exchanges: 20,
			response: func(_ int, r *http.Request) int {
				return map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusAccepted}[r.Header.Get("Ce-Agentsequence") == "000000000005"]
			},
		},
		{
			name: "no room", reason: ledger.ReasonBudget, exchanges: 40, line: []string{"--buffer-bytes=65536"},
		},
		{
			name: "the agent's end", reason: ledger.ReasonShutdown, exchanges: 10, cut: true,
			response: func(int, *http.Request) int { return http.StatusServiceUnavailable },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			held := make(chan struct{})
			r := newRig(t, agenttest.With(append(test.line, withLedger, "--ledger-interval=1h")...))
			r.Sink.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, request *http.Request) {
				switch {
				case isLedger(request):
					w.WriteHeader(http.StatusAccepted)
				case test.response != nil:
					w.WriteHeader(test.response(attempt.Number, request))
				default:
					<-held
					w.WriteHeader(http.StatusAccepted)
				}
			})
			for range test.exchanges {
				r.Post("/", "{}")
			}
			if test.response == nil {
				close(held)
			}
			if test.reason == ledger.ReasonPoison {
				// Others have to succeed beside it.
				agenttest.Eventually(t, "the event is given up", func() bool {
					r.Post("/", "{}")
					return r.ledger().Dropped[ledger.ReasonPoison] > 0
				})
			}
			if !test.cut {
				r.settled()
			}
			r.Signal(syscall.SIGTERM)
			if test.cut {
				agenttest.Eventually(t, "the final ledger event has come", func() bool { return len(r.Sink.Events()) > 0 && r.tallied().Ended })
				r.Signal(syscall.SIGTERM)
			}
			r.Wait()

			report, counts := r.tallied(), r.ledger()
			if !report.Ended || report.Statement.Sequence != counts.Observed {
				t.Fatalf("the final ledger event isn't the last of %d: %+v", counts.Observed, report.Statement)
			}
			if report.Missing != counts.DroppedTotal() || report.Seen != counts.Delivered || report.Duplicates != 0 {
				t.Errorf("%d of %d missing: the agent says %+v", report.Missing, report.Last, counts)
			}
			if test.reason != "" && counts.Dropped[test.reason] == 0 {
				t.Fatalf("nothing was dropped for %s: %+v", test.reason, counts)
			}
			reckoning := report.Reckon()
			want := receiver.Reckoning{Missing: counts.DroppedTotal(), Lost: counts.DroppedTotal()}
			if test.cut {
				want.Lost, want.Open = 0, want.Missing
			}
			if reckoning != want {
				t.Errorf("reckoned %s, want %s", reckoning, want)
			}
		})
	}
}

// TestKilledAgentSendsNoFinalStatement: what it observed after its last ledger
// event, nobody can count.
func TestKilledAgentSendsNoFinalStatement(t *testing.T) {
	r := newRig(t, agenttest.With(withLedger, "--ledger-interval=1s", "--mode=response"))
	r.Post("/", "{}")
	first := r.Sink.Of("ledger")
	r.Sink.Respond(agenttest.Statuses(http.StatusServiceUnavailable))
	r.Post("/", "{}")
	r.Kill()
	report := r.tallied()
	if report.Ended || report.Missing != 0 || report.Last != 2 || first.Attribute("agentsequence") != "000000000002" || report.Statement.Final {
		t.Errorf("the subscriber knows %+v", report)
	}
	if lost := r.ledger().DroppedTotal(); lost == 0 {
		t.Error("nothing was lost")
	}
}

// TestLedgerEventHasNoMetadata, nor of any exchange.
func TestLedgerEventHasNoMetadata(t *testing.T) {
	r := newRig(t, agenttest.With(withLedger, "--ledger-interval=1s", "--metadata=team=ai-platform", "--metadata=region=東京",
		"--inference-service=my-model", "--namespace=models", "--component=predictor", "--mode=request"))
	r.Post("/v1/models/my-model:predict", "{}")
	e := r.Sink.Of("ledger")
	if e.Source() != "my-model-predictor-default" || e.DataContentType() != "application/json" || e.Structured || e.Time().IsZero() ||
		!strings.HasSuffix(e.ID(), "-ledger") || e.Subject() != "" {
		t.Errorf("unexpected event: %v", e)
	}
	want := map[string]any{
		"agentinstance": r.agent.instance, "agentsequence": "000000000002", "inferenceservicename": "my-model",
		"namespace": "models", "component": "predictor", "revision": "my-model-predictor-default-00001",
	}
	if fmt.Sprint(e.Extensions()) != fmt.Sprint(want) {
		t.Errorf("extensions: %v", e.Extensions())
	}
}

// TestEachSinkHasItsOwnLedger, with its own figures and nothing of another.
func TestEachSinkHasItsOwnLedger(t *testing.T) {
	refusing := agenttest.NewSink(t)
	refusing.Respond(func(_ agenttest.Attempt, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[bool]int{true: http.StatusAccepted, false: http.StatusBadRequest}[isLedger(r)])
	})
	taking := agenttest.NewSink(t)
	r := newRig(t, agenttest.With(withLedger, "--sink=first="+taking.URL, "--sink=second="+refusing.URL, "--mode=request"))
	r.Post("/", "{}")
	r.Post("/", "{}")
	agenttest.Eventually(t, "nothing is pending", func() bool { return r.agent.pending() == 0 })
	r.Signal(syscall.SIGTERM)
	r.Wait()
	for name, s := range map[string]*agenttest.Sink{"first": taking, "second": refusing} {
		r.Sink = s
		report := r.tallied()
		refused := map[string]uint64{"first": 0, "second": 2}[name]
		if report.Statement.Sink != name || !report.Ended || report.Statement.DroppedTotal() != refused || report.Missing != refused || report.Last != 4 {
			t.Errorf("%s: %+v, its ledger: %+v", name, report, report.Statement)
		}
	}
}
