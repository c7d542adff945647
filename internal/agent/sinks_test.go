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
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestSinkResponseDecidesOverTheEvent, and never over the client's response.
func TestSinkResponseDecidesOverTheEvent(t *testing.T) {
	for _, test := range []struct {
		name     string
		statuses []int
		want     ledger.Snapshot
	}{
		{"taken", []int{202}, ledger.Snapshot{Counts: ledger.Counts{Observed: 1, Delivered: 1}}},
		{"taken with a response", []int{200}, ledger.Snapshot{Counts: ledger.Counts{Observed: 1, Delivered: 1}}},
		{"unavailable at first", []int{503, 202}, ledger.Snapshot{Counts: ledger.Counts{Observed: 1, Delivered: 1}, Retried: 1}},
		{"not yet there", []int{404, 500, 429, 202}, ledger.Snapshot{Counts: ledger.Counts{Observed: 1, Delivered: 1}, Retried: 3}},
		{"refused for good", []int{400}, ledger.Snapshot{Counts: ledger.Counts{Observed: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}}},
		{"redirected", []int{307}, ledger.Snapshot{Counts: ledger.Counts{Observed: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}}},
		{"unauthorized without a token", []int{401}, ledger.Snapshot{Counts: ledger.Counts{Observed: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.With("--mode=response"), agenttest.SinkResponding(agenttest.Statuses(test.statuses...)))
			if status, body := r.Post("/", "{}"); status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
				t.Errorf("the client got %d %s", status, body)
			}
			got := r.settled()
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("the ledger says %+v, want %+v", got, test.want)
			}
			if uint64(len(r.Sink.Events())) != got.Delivered {
				t.Errorf("the subscriber has %d events", len(r.Sink.Events()))
			}
		})
	}
}

// TestClientIsIndependentOfTheSink (P6): the sink may refuse, hang or be
// gone.
func TestClientIsIndependentOfTheSink(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	for _, test := range []struct {
		name     string
		line     []string
		response agenttest.Responder
	}{
		{"refuses", []string{"--sink=http://127.0.0.1:1"}, nil},
		{"hangs", nil, func(_ agenttest.Attempt, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}},
		{"fails", nil, agenttest.Statuses(500)},
		{"is reached by no name", []string{"--sink=http://sink.invalid"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.With(append(test.line, "--buffer-bytes=65536")...))
			r.Sink.Respond(test.response)
			const exchanges = 100
			for range exchanges {
				if status, body := r.Post("/", `{"instances":[]}`); status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
					t.Fatalf("the client got %d %s", status, body)
				}
			}
			agenttest.Eventually(t, "every exchange is over", func() bool { return r.agent.handler.Active() == 0 })
			counts := r.ledger()
			if counts.Observed != 2*exchanges || counts.Observed != counts.Pending+counts.DroppedTotal() {
				t.Errorf("the ledger says %+v", counts)
			}
			if counts.Dropped[ledger.ReasonBudget] == 0 {
				t.Errorf("the budget held everything: %+v", counts)
			}
			if used := r.agent.budget.Used(); used > 65536 {
				t.Errorf("%d bytes are held", used)
			}
			r.Kill()
			counts = r.ledger()
			if counts.Pending != 0 || counts.Dropped[ledger.ReasonShutdown] == 0 || r.agent.budget.Used() != 0 {
				t.Errorf("after the end the ledger says %+v, %d bytes are held", counts, r.agent.budget.Used())
			}
		})
	}
}

// TestLedgerMatchesSubscriber (P1): a sink that fails at random, many
// clients, and a count of what a subscriber has.
func TestLedgerMatchesSubscriber(t *testing.T) {
	r := newRig(t)
	r.Sink.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		switch {
		case attempt.Number%7 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case attempt.Number%11 == 0:
			w.WriteHeader(http.StatusBadRequest)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
	const clients, each = 8, 25
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range each {
				r.Post("/", `{"instances":[1]}`)
			}
		})
	}
	group.Wait()
	counts := r.settled()
	if counts.Observed != 2*clients*each || counts.Observed != counts.Delivered+counts.DroppedTotal() {
		t.Errorf("the ledger says %+v", counts)
	}
	events := r.Sink.Events()
	if uint64(len(events)) != counts.Delivered {
		t.Errorf("the subscriber has %d events, the ledger says %d", len(events), counts.Delivered)
	}
	// The gaps in the sequence are exactly what was lost (P9).
	sequences := make(map[string]bool)
	for _, e := range events {
		sequences[e.Attribute("agentsequence")] = true
	}
	missing := uint64(0)
	for n := uint64(1); n <= counts.Observed; n++ {
		if !sequences[fmt.Sprintf("%012d", n)] {
			missing++
		}
	}
	if missing != counts.DroppedTotal() {
		t.Errorf("%d gaps, %d dropped", missing, counts.DroppedTotal())
	}
}

func TestFailingSinkLeavesTheOtherAlone(t *testing.T) {
	other := agenttest.NewSink(t)
	r := newRig(t, agenttest.With("--sink=good="+other.URL, "--sink=bad=http://127.0.0.1:1"))
	r.Post("/", "{}")
	other.Await(2)
	agenttest.Eventually(t, "the good sink is at rest", func() bool { return r.ledger().Pending == 0 })
	sinks := r.agent.status().Sinks
	if sinks["good"].Delivered != 2 || sinks["bad"].Pending != 2 {
		t.Errorf("sinks: %+v", sinks)
	}
}

// TestHangingSinkStaysWithinItsShare: it holds its share of the budget
// and no more.
func TestHangingSinkStaysWithinItsShare(t *testing.T) {
	hanging, good := agenttest.NewSink(t, agenttest.Responding(agenttest.Hang)), agenttest.NewSink(t)
	r := newRig(t, agenttest.With("--mode=response", "--buffer-bytes=131072", "--sink=bad="+hanging.URL, "--sink=good="+good.URL))
	const exchanges = 100
	for n := range exchanges {
		r.Post("/", "{}")
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

// TestForbiddenAddressIsReported, in the log, the metrics and the ledger, and
// its events go to the dead letter sink.
func TestForbiddenAddressIsReported(t *testing.T) {
	for host, class := range map[string]string{"169.254.169.254": "metadata", "[fe80::1]": "link-local", "0.0.0.0": "unspecified"} {
		t.Run(host, func(t *testing.T) {
			r := newRig(t, agenttest.With("--sink=http://"+host+":80/latest"), agenttest.LettersResponding(nil))
			r.Post("/", "{}")
			if s := r.settled(); s.DeadLettered != 2 || s.Retried != 0 {
				t.Errorf("the ledger says %+v", s)
			}
			if !strings.Contains(r.Logs.String(), fmt.Sprintf("%q:%q", "class", class)) {
				t.Errorf("not logged: %s", r.Logs)
			}
			exposition := r.Page("/metrics")
			if want := fmt.Sprintf(`sidenote_delivery_refused_addresses_total{class=%q} 2`, class); !strings.Contains(exposition, want) {
				t.Errorf("/metrics lacks %s", want)
			}
		})
	}
	t.Run("the loopback, unless asked for", func(t *testing.T) {
		r := newRig(t, agenttest.With("--allow-loopback-sinks=false", "--mode=response"))
		r.Post("/", "{}")
		if s := r.settled(); s.Dropped[ledger.ReasonAddress] != 1 || len(r.Sink.Events()) != 0 {
			t.Errorf("%d events arrived, the ledger says %+v", len(r.Sink.Events()), s)
		}
	})
}

// A sink gets its address after the agent has started, and moves, and the
// agent stays.
func TestAgentFollowsMovedSink(t *testing.T) {
	first, second, letters := agenttest.NewSink(t), agenttest.NewSink(t), agenttest.NewSink(t)
	second.Respond(agenttest.Statuses(http.StatusBadRequest))
	directory := t.TempDir()
	say := func(name, content string) {
		t.Helper()
		// As the kubelet does: never half a file.
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, agenttest.WithoutSink, agenttest.With("--sink.default.address-file="+filepath.Join(directory, "sink"),
		"--sink.default.dead-letter.address-file="+filepath.Join(directory, "letters"), "--allow-loopback-sinks=true"))
	predict := func(what string, arrived func() bool) {
		t.Helper()
		agenttest.Eventually(t, what, func() bool {
			r.Post("/v1/models/m:predict", "{}")
			return arrived()
		})
	}
	predict("events without an address are counted", func() bool {
		return r.agent.sinks[0].Account().Snapshot().Dropped["nosink"] > 0
	})
	say("sink", `{"url":"`+first.URL+`"}`)
	predict("events at the first place", func() bool { return len(first.Events()) > 0 })

	say("letters", `{"url":"`+letters.URL+`"}`)
	say("sink", `{"url":"`+second.URL+`"}`)
	predict("what the second place refuses among the dead letters", func() bool { return len(letters.Events()) > 0 })
	if got := letters.Events()[0].Extensions()["knativeerrordest"]; got != second.URL {
		t.Errorf("knativeerrordest is %v, want the present address %s", got, second.URL)
	}
}

func TestStdoutSinkWritesOneLinePerEvent(t *testing.T) {
	stdout := new(agenttest.Buffer)
	r := newRigIn(t, Environment{Stdout: stdout}, agenttest.With("--sink=stdout", "--metadata=team=x"))
	r.Post("/v1/models/m:predict", "{\n \"instances\": [1]\n}")
	r.settled()
	lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("want two lines, got %q", lines)
	}
	for _, line := range lines {
		var e struct {
			Team          string
			AgentSequence string
			Data          map[string]any
		}
		mustJSON(t, line, &e)
		if e.Team != "x" || e.AgentSequence == "" || len(e.Data) != 1 {
			t.Errorf("unexpected line: %s", line)
		}
	}
}

func TestAgentWithoutSinkCountsEvents(t *testing.T) {
	r := newRig(t, agenttest.WithoutSink)
	if status, _ := r.Post("/", `{}`); status != http.StatusOK {
		t.Errorf("the client got %d", status)
	}
	counts := r.settled()
	if counts.Observed != 2 || counts.Dropped["nosink"] != 2 {
		t.Errorf("the ledger says %+v", counts)
	}
}

// TestDeadLetterArrives whole, with what became of it, and the ledger closes.
func TestDeadLetterArrives(t *testing.T) {
	for _, test := range []struct {
		name     string
		line     []string
		response agenttest.Responder
		code     string
		data     string
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
			sink := agenttest.NewSink(t, agenttest.Responding(test.response))
			r := newRig(t, agenttest.With("--mode=response", "--sink="+sink.URL+"/in?key=canary4711"), agenttest.With(test.line...),
				agenttest.LettersResponding(nil))
			if status, body := r.Post("/", "{}"); status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
				t.Errorf("the client got %d %s", status, body)
			}
			if s := r.settled(); s.DeadLettered != 1 || s.Delivered != 0 || s.DroppedTotal() != 0 {
				t.Errorf("the ledger says %+v", s)
			}
			letter := r.Letters.Of("response")
			if letter.Attribute("knativeerrordest") != sink.URL+"/in" || letter.Attribute("knativeerrorcode") != test.code ||
				letter.Attribute("knativeerrordata") != base64.StdEncoding.EncodeToString([]byte(test.data)) ||
				letter.Attribute("agentsequence") != "000000000001" || string(letter.Data()) != `{"predictions":[0.8,0.2]}` {
				t.Errorf("unexpected event: %v", letter)
			}
			agenttest.Eventually(t, "nothing is held", func() bool { return r.agent.budget.Used() == 0 })
			exposition := r.Page("/metrics")
			for _, want := range []string{
				`sidenote_events_dead_lettered_total{sink="default"} 1`,
				`sidenote_delivery_attempts_total{sink="default.dead-letter",status="2xx"} 1`,
			} {
				if !strings.Contains(exposition, want) {
					t.Errorf("/metrics lacks %s", want)
				}
			}
		})
	}
}

// TestRefusedDeadLetterIsDropped for the reason that made it one.
func TestRefusedDeadLetterIsDropped(t *testing.T) {
	r := newRig(t, agenttest.With("--mode=response"), agenttest.SinkResponding(agenttest.Statuses(400)), agenttest.LettersResponding(agenttest.Statuses(403)))
	r.Post("/", "{}")
	if s := r.settled(); s.DeadLettered != 0 || s.Dropped[ledger.ReasonRejected] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
}

// TestHangingDeadLetterSinkDelaysNothing, though it takes nothing and hangs.
func TestHangingDeadLetterSinkDelaysNothing(t *testing.T) {
	r := newRig(t, agenttest.With("--mode=response", "--buffer-bytes=131072"), agenttest.LettersResponding(agenttest.Hang),
		agenttest.SinkResponding(func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(map[bool]int{true: http.StatusBadRequest, false: http.StatusAccepted}[attempt.Number%2 == 0])
		}))
	const exchanges = 100
	for n := range exchanges {
		r.Post("/", "{}")
		agenttest.Eventually(t, "the sink is asked", func() bool { return r.Sink.Requests() == n+1 })
	}
	agenttest.Eventually(t, "the ledger says so", func() bool { return r.ledger().Delivered == exchanges/2 })
	s := r.ledger()
	// Half of the budget is 16 events of 4 KiB and more.
	if s.Pending > 16 || s.Pending+s.Dropped[ledger.ReasonRejected] != exchanges/2 {
		t.Errorf("the ledger says %+v", s)
	}
	r.Kill()
	if s := r.ledger(); s.Pending != 0 || s.Dropped[ledger.ReasonShutdown] == 0 || r.agent.budget.Used() != 0 {
		t.Errorf("after the end the ledger says %+v, %d bytes are held", s, r.agent.budget.Used())
	}
}

// TestLedgerMatchesBothSubscribers (P1), counted by two subscribers.
func TestLedgerMatchesBothSubscribers(t *testing.T) {
	inTurns := func(statuses ...int) agenttest.Responder {
		return func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(statuses[attempt.Number%len(statuses)])
		}
	}
	r := newRig(t, agenttest.With("--sink.default.retry=1", "--sink.default.backoff-delay=10ms"),
		agenttest.SinkResponding(inTurns(202, 503, 400, 202, 500, 202, 404, 413)), agenttest.LettersResponding(inTurns(202, 503, 202, 400, 202)))
	const exchanges = 30
	for range exchanges {
		r.Post("/", "{}")
	}
	s := r.settled()
	if s.Observed != 2*exchanges || s.Observed != s.Delivered+s.DeadLettered+s.DroppedTotal() || s.DeadLettered == 0 || s.DroppedTotal() == 0 {
		t.Errorf("the ledger says %+v", s)
	}
	arrived, letters := r.Sink.Events(), r.Letters.Events()
	if uint64(len(arrived)) != s.Delivered || uint64(len(letters)) != s.DeadLettered {
		t.Errorf("the subscribers have %d and %d, the ledger says %+v", len(arrived), len(letters), s)
	}
	seen := make(map[string]bool)
	for _, e := range append(arrived, letters...) {
		if seen[e.ID()] {
			t.Errorf("%s arrived at both", e.ID())
		}
		seen[e.ID()] = true
	}
}
