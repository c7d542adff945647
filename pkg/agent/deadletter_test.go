/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// sinkLedger is that of one of several sinks.
func (r *rig) sinkLedger(name string) ledger.Snapshot { return r.agent.status().Sinks[name] }

// TestADeadLetterArrives whole, with what became of it, and the ledger closes.
func TestADeadLetterArrives(t *testing.T) {
	for _, test := range []struct {
		name   string
		line   []string
		answer agenttest.Responder
		code   string
		data   string
	}{
		{"that was refused", nil, func(_ agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "never\r\n")
		}, "400", "never\r\n"},
		{"that was redirected", nil, agenttest.Statuses(307), "307", ""},
		{"without a retry", []string{"--sink.default.retry=0"}, agenttest.Statuses(503), "503", ""},
		{"after every retry", []string{"--sink.default.retry=2", "--sink.default.backoff-delay=1ms"}, agenttest.Statuses(500), "500", ""},
		{"in structured mode", []string{"--metadata=team=東京 50%"}, agenttest.Statuses(400), "400", ""},
		{"whose sink takes too long", []string{"--sink.default.retry=0", "--sink.default.timeout=50ms"}, func(_ agenttest.Attempt, _ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, "-1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			letters, sink := agenttest.NewSink(t), agenttest.NewSink(t)
			sink.Respond(test.answer)
			r := newRig(t, agenttest.Predictor(), append([]string{
				"--mode=response", "--sink=" + sink.URL + "/in?key=canary4711", "--sink.default.dead-letter=" + letters.URL,
			}, test.line...)...)
			if status, body := r.post("/", "{}"); status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
				t.Errorf("the client got %d %s", status, body)
			}
			if s := r.settled(); s.DeadLettered != 1 || s.Delivered != 0 || s.DroppedTotal() != 0 {
				t.Errorf("the ledger says %+v", s)
			}
			letter := letters.Of("response")
			if letter.Attribute("knativeerrordest") != sink.URL+"/in" || letter.Attribute("knativeerrorcode") != test.code ||
				letter.Attribute("knativeerrordata") != base64.StdEncoding.EncodeToString([]byte(test.data)) ||
				letter.Attribute("agentsequence") != "000000000001" || string(letter.Data()) != `{"predictions":[0.8,0.2]}` {
				t.Errorf("unexpected event: %v", letter)
			}
			agenttest.Eventually(t, "nothing is held", func() bool { return r.agent.budget.Used() == 0 })
			answer, err := agenttest.HTTP1Client(t).Get(r.admin("/metrics"))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			exposition, _ := io.ReadAll(answer.Body)
			for _, want := range []string{
				`sidenote_events_dead_lettered_total{sink="default"} 1`,
				`sidenote_delivery_attempts_total{sink="default.dead-letter",status="2xx"} 1`,
			} {
				if !strings.Contains(string(exposition), want) {
					t.Errorf("/metrics lacks %s", want)
				}
			}
		})
	}
}

// TestADeadLetterThatIsntTakenIsDropped for the reason that made it one.
func TestADeadLetterThatIsntTakenIsDropped(t *testing.T) {
	letters, sink := agenttest.NewSink(t), agenttest.NewSink(t)
	letters.Respond(agenttest.Statuses(403))
	sink.Respond(agenttest.Statuses(400))
	r := newRig(t, agenttest.Predictor(), "--mode=response", "--sink="+sink.URL, "--sink.default.dead-letter="+letters.URL)
	r.post("/", "{}")
	if s := r.settled(); s.DeadLettered != 0 || s.Dropped[ledger.ReasonRejected] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
}

// TestADeadLetterSinkHoldsNothingUp, though it takes nothing and hangs.
func TestADeadLetterSinkHoldsNothingUp(t *testing.T) {
	letters, sink := agenttest.NewSink(t), agenttest.NewSink(t)
	letters.Respond(agenttest.Hang)
	sink.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(map[bool]int{true: http.StatusBadRequest, false: http.StatusAccepted}[attempt.Number%2 == 0])
	})
	r := newRig(t, agenttest.Predictor(), "--mode=response", "--buffer-bytes=131072", "--sink="+sink.URL, "--sink.default.dead-letter="+letters.URL)
	const exchanges = 100
	for n := range exchanges {
		r.post("/", "{}")
		agenttest.Eventually(t, "the sink is asked", func() bool { return sink.Requests() == n+1 })
	}
	agenttest.Eventually(t, "the ledger says so", func() bool { return r.ledger().Delivered == exchanges/2 })
	s := r.ledger()
	// Half of the budget is 16 events of 4 KiB and more.
	if s.Pending > 16 || s.Pending+s.Dropped[ledger.ReasonRejected] != exchanges/2 {
		t.Errorf("the ledger says %+v", s)
	}
	r.kill()
	if s := r.ledger(); s.Pending != 0 || s.Dropped[ledger.ReasonShutdown] == 0 || r.agent.budget.Used() != 0 {
		t.Errorf("after the end the ledger says %+v, %d bytes are held", s, r.agent.budget.Used())
	}
}

// TestTheLedgerClosesWithDeadLetters (P1), counted by two subscribers.
func TestTheLedgerClosesWithDeadLetters(t *testing.T) {
	letters, sink := agenttest.NewSink(t), agenttest.NewSink(t)
	statuses := []int{202, 503, 400, 202, 500, 202, 404, 413}
	sink.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(statuses[attempt.Number%len(statuses)])
	})
	letters.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{202, 503, 202, 400, 202}[attempt.Number%5])
	})
	r := newRig(t, agenttest.Predictor(), "--sink="+sink.URL, "--sink.default.dead-letter="+letters.URL, "--sink.default.retry=1", "--sink.default.backoff-delay=10ms")
	const exchanges = 30
	for range exchanges {
		r.post("/", "{}")
	}
	s := r.settled()
	if s.Observed != 2*exchanges || s.Observed != s.Delivered+s.DeadLettered+s.DroppedTotal() || s.DeadLettered == 0 || s.DroppedTotal() == 0 {
		t.Errorf("the ledger says %+v", s)
	}
	if uint64(len(sink.Events())) != s.Delivered || uint64(len(letters.Events())) != s.DeadLettered {
		t.Errorf("the subscribers have %d and %d, the ledger says %+v", len(sink.Events()), len(letters.Events()), s)
	}
	seen := make(map[string]bool)
	for _, e := range append(sink.Events(), letters.Events()...) {
		if seen[e.ID()] {
			t.Errorf("%s arrived at both", e.ID())
		}
		seen[e.ID()] = true
	}
}

// TestADeadSinkTakesNothingThatAnotherNeeds: it holds its share of the budget
// and no more.
func TestADeadSinkTakesNothingThatAnotherNeeds(t *testing.T) {
	hanging := agenttest.NewSink(t)
	hanging.Respond(agenttest.Hang)
	good := agenttest.NewSink(t)
	r := newRig(t, agenttest.Predictor(), "--mode=response", "--buffer-bytes=131072", "--sink=bad="+hanging.URL, "--sink=good="+good.URL)
	const exchanges = 100
	for n := range exchanges {
		r.post("/", "{}")
		agenttest.Eventually(t, "the good sink is asked", func() bool { return good.Requests() == n+1 })
	}
	agenttest.Eventually(t, "the good sink has every event", func() bool { return r.sinkLedger("good").Delivered == exchanges })
	s := r.sinkLedger("bad")
	if s.Delivered != 0 || s.Dropped[ledger.ReasonBudget] == 0 || s.Pending+s.Dropped[ledger.ReasonBudget] != exchanges {
		t.Errorf("the bad sink's ledger says %+v", s)
	}
	if used, most := r.agent.budget.Used(), int64(131072*3/4); used > most {
		t.Errorf("%d bytes are held, want at most %d", used, most)
	}
}

// TestARefusedAddressIsToldAtOnce, in the log, the metrics and the ledger, and
// its events go to the dead letter sink.
func TestARefusedAddressIsToldAtOnce(t *testing.T) {
	for host, class := range map[string]string{"169.254.169.254": "metadata", "[fe80::1]": "link-local", "0.0.0.0": "unspecified"} {
		t.Run(host, func(t *testing.T) {
			letters := agenttest.NewSink(t)
			r := newRig(t, agenttest.Predictor(), "--sink=http://"+host+":80/latest", "--sink.default.dead-letter="+letters.URL)
			r.post("/", "{}")
			if s := r.settled(); s.DeadLettered != 2 || s.Retried != 0 {
				t.Errorf("the ledger says %+v", s)
			}
			if !strings.Contains(r.logs.String(), fmt.Sprintf("%q:%q", "class", class)) {
				t.Errorf("not logged: %s", r.logs)
			}
			answer, err := agenttest.HTTP1Client(t).Get(r.admin("/metrics"))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			exposition, _ := io.ReadAll(answer.Body)
			if want := fmt.Sprintf(`sidenote_delivery_refused_addresses_total{class=%q} 2`, class); !strings.Contains(string(exposition), want) {
				t.Errorf("/metrics lacks %s", want)
			}
		})
	}
	t.Run("the loopback, unless asked for", func(t *testing.T) {
		r := newRig(t, agenttest.Predictor(), "--allow-loopback-sinks=false", "--mode=response")
		r.post("/", "{}")
		if s := r.settled(); s.Dropped[ledger.ReasonAddress] != 1 || len(r.sink.Events()) != 0 {
			t.Errorf("%d events arrived, the ledger says %+v", len(r.sink.Events()), s)
		}
	})
}
