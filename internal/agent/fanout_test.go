/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestAHangingSinkTakesNothingFromAFilteredOne, though it holds all that it may.
func TestAHangingSinkTakesNothingFromAFilteredOne(t *testing.T) {
	hanging, good := agenttest.NewSink(t, agenttest.Responding(agenttest.Hang)), agenttest.NewSink(t)
	r := newRig(t, agenttest.With("--buffer-bytes=131072", "--sink=bad="+hanging.URL, "--sink=good="+good.URL,
		"--sink.bad.mode=response", `--sink.good.filter={"cesql":"statuscode = 200 AND subject LIKE '%/a'"}`))
	const exchanges = 60
	for n := range exchanges {
		r.Post("/a", "{}")
		r.Post("/b", "{}")
		agenttest.Eventually(t, "the good sink is asked", func() bool { return good.Requests() == n+1 })
	}
	agenttest.Eventually(t, "every event is judged", func() bool { return r.sinkLedger("good").Filtered == 3*exchanges })
	if s := r.sinkLedger("good"); s.Delivered != exchanges || s.Observed != exchanges || s.DroppedTotal() != 0 || len(s.SkippedEvents) != 0 {
		t.Errorf("the good sink's ledger says %+v", s)
	}
	for _, e := range good.Events() {
		if e.Kind() != "response" || e.Subject() != "/a" {
			t.Errorf("the good sink got %s of %s", e.Kind(), e.Subject())
		}
	}
	if s := r.sinkLedger("bad"); s.Delivered != 0 || s.Dropped[ledger.ReasonBudget] == 0 || s.Observed != 2*exchanges || s.SkippedEvents["request"] != 2*exchanges {
		t.Errorf("the bad sink's ledger says %+v", s)
	}
	exposition := r.Page("/metrics")
	for _, want := range []string{
		`sidenote_sink_skipped_total{reason="filter",sink="good"} 180`, `sidenote_sink_skipped_total{reason="kind",sink="bad"} 120`,
		`sidenote_events_observed_total{sink="good"} 60`, `sidenote_events_observed_total{sink="bad"} 120`,
	} {
		if !strings.Contains(exposition, want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// TestTheFinalStatementCountsWhatIsFiltered: no event follows it, although a filtered
// sink numbers its events late.
func TestTheFinalStatementCountsWhatIsFiltered(t *testing.T) {
	r := newRig(t, agenttest.With(withLedger, "--ledger-interval=1h", `--sink.default.filter={"not":{"suffix":{"type":".request"}}}`))
	const exchanges = 20
	for range exchanges {
		r.Post("/", "{}")
	}
	r.Signal(syscall.SIGTERM)
	r.Wait()
	report, counts := r.tallied(), r.ledger()
	if !report.Ended || report.Statement.Sequence != counts.Observed || report.Missing != 0 {
		t.Fatalf("the final ledger event isn't the last of %d: %+v", counts.Observed, report)
	}
	if s := report.Statement; s.Filtered != exchanges || s.Observed < exchanges+1 {
		t.Errorf("the final ledger event says %+v", s)
	}
}

// TestAPasswordStaysSecret: it is in no log line and on no page, and the log says
// that it isn't sent.
func TestAPasswordStaysSecret(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string]string{"username": "the-user", "password": "the-password"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, agenttest.With("--sink.default.basic-auth-dir="+directory))
	r.Post("/", "{}")
	r.settled()
	for _, e := range r.Sink.Events() {
		if got := e.Header.Get("Authorization"); got != "" {
			t.Errorf("sent over http to a host outside the cluster: %q", got)
		}
	}
	all := r.Logs.String() + r.Page("/status") + r.Page("/metrics")
	if strings.Contains(all, "the-user") || strings.Contains(all, "the-password") {
		t.Errorf("a secret is in %s", all)
	}
	if !strings.Contains(all, "the username and the password are not sent") {
		t.Errorf("not logged: %s", r.Logs)
	}
}
