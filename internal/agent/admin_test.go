/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

func TestAdminEndpoints(t *testing.T) {
	var ready atomic.Bool
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" && !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	served := agenttest.Serve(t, model)
	r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--target="+served.URL, `--readiness-probe={"httpGet":{"path":"/ready","port":`+served.Port()+`}}`))
	if status, _ := r.AdminPage("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d before the model is ready", status)
	}
	if status, _ := r.AdminPage("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d", status)
	}
	ready.Store(true)
	agenttest.Eventually(t, "the model is ready", func() bool { status, _ := r.AdminPage("/readyz"); return status == http.StatusOK })
	r.Post("/", "{}")
	r.settled()
	exposition := r.Page("/metrics")
	for _, want := range []string{
		`sidenote_events_observed_total{sink="default"} 2`,
		`sidenote_events_delivered_total{sink="default"} 2`,
		`sidenote_model_ready 1`,
		`sidenote_delivery_duration_seconds_count{sink="default"} 2`,
		`sidenote_delivery_attempts_total{sink="default",status="2xx"} 2`,
	} {
		if !strings.Contains(exposition, want) {
			t.Errorf("/metrics lacks %s in\n%s", want, exposition)
		}
	}
	if body := r.Page("/status"); !strings.Contains(body, `"observed":2`) {
		t.Errorf("/status: %s", body)
	}
}
