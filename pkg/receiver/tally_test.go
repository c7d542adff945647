/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package receiver

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"knative.dev/pkg/depcheck"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

var model = Stream{Source: "m-predictor-default", AgentInstance: "i-1"}

// numbered is an event of an agent.
func numbered(of Stream, sequence string) event.Event {
	e := event.New()
	e.SetID("id-" + sequence)
	e.SetType("io.kubeflow.serving.inference.request")
	e.SetSource(of.Source)
	e.SetExtension("agentinstance", of.AgentInstance)
	e.SetExtension("agentsequence", sequence)
	return e
}

// telling is a ledger event.
func telling(t *testing.T, of Stream, statement ledger.Statement) event.Event {
	t.Helper()
	statement.AgentInstance = of.AgentInstance
	e := numbered(of, fmt.Sprintf("%012d", statement.Sequence))
	e.SetType(LedgerType)
	if err := e.SetData("application/json", statement); err != nil {
		t.Fatal(err)
	}
	return e
}

func receive(t *testing.T, tally *Tally, events ...event.Event) {
	t.Helper()
	for _, e := range events {
		if err := tally.Receive(e); err != nil {
			t.Fatal(err)
		}
	}
}

func reportOf(t *testing.T, tally *Tally, name Stream) Report {
	t.Helper()
	report, known := tally.Report(name)
	if !known {
		t.Fatalf("nothing is known of %s", name)
	}
	return report
}

// TestLedgerEventsExplainGaps, or some of them.
func TestLedgerEventsExplainGaps(t *testing.T) {
	statement := ledger.Statement{
		Sink: "default", Sequence: 10, Counts: ledger.Counts{Observed: 10, Delivered: 5, Dropped: map[ledger.Reason]uint64{ledger.ReasonBudget: 1, ledger.ReasonRejected: 1}, DeadLettered: 1, Pending: 2},
	}
	for _, test := range []struct {
		name      string
		came      string
		recovered uint64
		want      Reckoning
	}{
		{"all that it delivered came", "123456", 0, Reckoning{Missing: 3, Lost: 3}},
		{"what was pending hasn't come yet", "12345", 0, Reckoning{Missing: 4, Lost: 3, Open: 1}},
		{"something was lost behind the sink", "1234", 0, Reckoning{Missing: 5, Lost: 3, Open: 1, Unexplained: 1}},
		{"something came that it called dropped", "1234567", 0, Reckoning{Missing: 2, Lost: 2, Unexpected: 1}},
		{"what it dropped was of an earlier start", "1234567", 1, Reckoning{Missing: 2, Lost: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tally := NewTally(Options{})
			said := statement
			said.Recovered = test.recovered
			receive(t, tally, telling(t, model, said))
			for _, n := range test.came {
				receive(t, tally, numbered(model, string(n)))
			}
			if got := reportOf(t, tally, model).Reckon(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestWithoutALedgerEventNothingIsExplained(t *testing.T) {
	tally := NewTally(Options{})
	receive(t, tally, numbered(model, "000000000004"), numbered(model, "000000000002"), numbered(model, "000000000002"))
	report := reportOf(t, tally, model)
	if got, want := report.Reckon(), (Reckoning{Missing: 2, Unexplained: 2}); got != want {
		t.Errorf("got %s", got)
	}
	if report.Seen != 2 || report.Duplicates != 1 || report.First != 2 || report.Last != 4 || report.Ended || report.Statement != nil ||
		fmt.Sprint(report.Ranges) != "[{1 1} {3 3}]" {
		t.Errorf("got %+v", report)
	}
}

// TestOnlyTheFinalLedgerEventEndsAStream, and only as its highest number.
func TestOnlyTheFinalLedgerEventEndsAStream(t *testing.T) {
	tally := NewTally(Options{})
	ended := func() bool { return reportOf(t, tally, model).Ended }
	receive(t, tally, telling(t, model, ledger.Statement{Sequence: 3, Counts: ledger.Counts{Pending: 1}}))
	if ended() {
		t.Error("ended by a statement that isn't final")
	}
	receive(t, tally, telling(t, model, ledger.Statement{Sequence: 9, Final: true, Counts: ledger.Counts{Pending: 4}}))
	if !ended() {
		t.Error("not ended by the final statement")
	}
	// What was in flight still comes, and an older statement says nothing new.
	receive(t, tally, numbered(model, "8"), telling(t, model, ledger.Statement{Sequence: 6, Counts: ledger.Counts{Pending: 1}}))
	if report := reportOf(t, tally, model); !report.Ended || report.Statement.Sequence != 9 || report.Missing != 5 {
		t.Errorf("got %+v", report)
	}
	receive(t, tally, numbered(model, "10"))
	if ended() {
		t.Error("ended, though an event came after the final statement")
	}
}

func TestInvalidEventIsAnError(t *testing.T) {
	foreign := event.New()
	foreign.SetSource("x")
	foreign.SetType(LedgerType)
	other := telling(t, model, ledger.Statement{Sequence: 5})
	other.SetExtension("agentsequence", "6")
	broken := numbered(model, "7")
	broken.SetType(LedgerType)
	_ = broken.SetData("application/json", []byte("no JSON"))
	for _, test := range []struct {
		name  string
		event event.Event
		want  string
	}{
		{"of nobody's", foreign, ErrNoAgent.Error()},
		{"no number", numbered(model, "-1"), "must be a number"},
		{"a number too large", numbered(model, strings.Repeat("9", 25)), "must be a number"},
		{"no place", numbered(model, "000000000000"), "must be at least 1"},
		{"a name too long", numbered(Stream{"s", strings.Repeat("x", 2000)}, "1"), "of more than"},
		{"the ledger of another event", other, "its data belongs to another event"},
		{"no ledger", broken, "reading its data"},
	} {
		if err := NewTally(Options{}).Receive(test.event); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
	tally := NewTally(Options{})
	if err := tally.Receive(broken); err == nil || errors.Is(err, ErrNoAgent) {
		t.Errorf("got %v", err)
	}
	if report := reportOf(t, tally, model); report.Seen != 1 || report.Last != 7 {
		t.Errorf("an event isn't counted because its data can't be read: %+v", report)
	}
}

func TestTwoSinksInOneTallyAreNoticed(t *testing.T) {
	tally := NewTally(Options{})
	receive(t, tally, telling(t, model, ledger.Statement{Sink: "default", Sequence: 1}))
	if err := tally.Receive(telling(t, model, ledger.Statement{Sink: "audit", Sequence: 2})); err == nil || !strings.Contains(err.Error(), "use one tally for each sink") {
		t.Errorf("got %v", err)
	}
}

// TestStreamsAreBounded: the one that was quiet for longest goes, with a last
// word.
func TestStreamsAreBounded(t *testing.T) {
	var forgotten []string
	tally := NewTally(Options{MaxStreams: 2, OnForget: func(r Report) { forgotten = append(forgotten, r.Stream.AgentInstance) }})
	for _, instance := range []string{"a", "b", "a", "c", "d", "a"} {
		tally.Add(Stream{"s", instance}, 1)
	}
	if got := strings.Join(forgotten, ""); got != "bac" {
		t.Errorf("forgotten: %s", got)
	}
	if reports := tally.Reports(); len(reports) != 2 || reports[0].Stream.AgentInstance != "a" || reports[1].Stream.AgentInstance != "d" {
		t.Errorf("got %+v", reports)
	}
	if report, known := tally.Forget(Stream{"s", "a"}); !known || report.Seen != 1 {
		t.Errorf("got %+v", report)
	}
	if _, known := tally.Report(Stream{"s", "a"}); known {
		t.Error("a stream is still known after it was forgotten")
	}
}

// TestASubscriberNeedsNoKubernetes to count.
func TestASubscriberNeedsNoKubernetes(t *testing.T) {
	const library = "github.com/sidenote-dev/sidenote/pkg/receiver"
	if err := depcheck.CheckNoDependency(library, []string{
		"k8s.io/api/core/v1", "k8s.io/apimachinery/pkg/apis/meta/v1", "k8s.io/client-go/rest",
		"github.com/sidenote-dev/sidenote/internal/agent/delivery",
	}); err != nil {
		t.Error(err)
	}
}
