/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestExchangesAboveTheLimitGet503 by 503 and counted, those in flight go on, and
// when one has ended there is room again.
func TestExchangesAboveTheLimitGet503(t *testing.T) {
	for name, client := range agenttest.Clients {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan struct{})
			r := newRig(t, agenttest.InFrontOf(agenttest.Holding("/hold", goOn)), agenttest.With("--max-exchanges=3"))
			var group sync.WaitGroup
			held := client(t)
			for range 3 {
				group.Go(func() {
					response, err := held.Post(r.URL+"/hold", "application/json", strings.NewReader("{}"))
					if err != nil {
						t.Error("an exchange under way is lost:", err)
						return
					}
					defer response.Body.Close()
					if response.StatusCode != http.StatusOK {
						t.Errorf("an exchange under way gets %d", response.StatusCode)
					}
				})
			}
			agenttest.Eventually(t, "three are under way", func() bool { return r.agent.handler.Active() == 3 })

			// Whether the rest of the request comes or not.
			body, rest := io.Pipe()
			asked, err := http.NewRequest(http.MethodPost, r.URL+"/v1/models/m:predict", body)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client(t).Do(asked)
			if err != nil {
				t.Fatal("one too many:", err)
			}
			said, err := io.ReadAll(response.Body)
			response.Body.Close()
			rest.Close()
			if err != nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
				t.Errorf("one too many gets %d %v %q, %v", response.StatusCode, response.Header, said, err)
			}
			if skipped := r.agent.status().Skipped[ledger.SkipOverload]; skipped != 1 {
				t.Errorf("%d refusals are counted", skipped)
			}
			close(goOn)
			group.Wait()
			r.settled()
			if status, _ := r.Post("/v1/models/m:predict", "{}"); status != http.StatusOK {
				t.Errorf("when there is room the response is %d", status)
			}
		})
	}
}

// TestBodyOverBudgetIsCounted, and named where oversize events are
// selected.
func TestBodyOverBudgetIsCounted(t *testing.T) {
	body := `"` + strings.Repeat("x", 100_000) + `"`
	t.Run("as a drop", func(t *testing.T) {
		r := newRig(t, agenttest.With("--buffer-bytes=65536", "--events=request,response,stream"))
		if status, _ := r.Post("/", body); status != http.StatusOK {
			t.Errorf("the client got %d", status)
		}
		if counts := r.settled(); counts.Observed != 2 || counts.Dropped[ledger.ReasonBudget] != 1 || counts.Delivered != 1 {
			t.Errorf("the ledger says %+v", counts)
		}
	})
	t.Run("as an event without its body", func(t *testing.T) {
		r := newRig(t, agenttest.With("--buffer-bytes=65536", "--events=request,request.oversize"))
		r.Post("/", body)
		if event := r.Sink.Of("request.oversize"); event.Attribute("bodysize") != "100002" || len(event.Data()) != 0 {
			t.Errorf("unexpected event: %v", event)
		}
	})
}
