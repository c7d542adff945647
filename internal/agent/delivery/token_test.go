/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// deliverTo gives one event to a sink and waits for its end.
func deliverTo(t *testing.T, sink *agenttest.Sink, changes ...func(*delivery.HTTPOptions)) ledger.Snapshot {
	t.Helper()
	target, err := url.Parse(sink.URL)
	if err != nil {
		t.Fatal(err)
	}
	return deliver(t, target, changes...)
}

// recording has a sink respond, and gives what each attempt showed.
func recording(shown func(agenttest.Event) string, respond agenttest.Responder) (agenttest.SinkOption, func() []string) {
	var mu sync.Mutex
	var all []string
	record := func(attempt agenttest.Attempt, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, shown(attempt.Event))
		mu.Unlock()
		respond(attempt, w, r)
	}
	return agenttest.Responding(record), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func authorization(e agenttest.Event) string { return e.Header.Get("Authorization") }

func TestATokenIsReadAgainOn401(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	certificate, authority := agenttest.NewCertificate(t, time.Now().Add(time.Hour))
	responding, tokens := recording(authorization, func(_ agenttest.Attempt, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			write("new")
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	counts := deliverTo(t, agenttest.NewSink(t, agenttest.OverTLS(certificate), responding), func(o *delivery.HTTPOptions) {
		o.CACerts, o.TokenFile = []byte(authority), path
	})
	if counts.Delivered != 1 || counts.Retried != 0 {
		t.Errorf("the ledger says %+v", counts)
	}
	if got := tokens(); !slices.Equal(got, []string{"Bearer old", "Bearer new"}) {
		t.Errorf("tokens: %q", got)
	}
}

func TestATokenNeverGoesToAnOpenSink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	responding, tokens := recording(authorization, agenttest.Accept)
	counts := deliverTo(t, agenttest.NewSink(t, responding), func(o *delivery.HTTPOptions) { o.TokenFile = path })
	if got := tokens(); counts.Delivered != 1 || !slices.Equal(got, []string{""}) {
		t.Errorf("sent: %q, the ledger says %+v", got, counts)
	}
}

func TestARetryKeepsTheID(t *testing.T) {
	responding, ids := recording(func(e agenttest.Event) string { return e.ID() + " " + e.Attribute("agentsequence") }, agenttest.Statuses(503, 503, 202))
	deliverTo(t, agenttest.NewSink(t, responding))
	if got := ids(); len(got) != 3 || got[0] != got[1] || got[1] != got[2] {
		t.Errorf("ids: %q", got)
	}
}
