/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestTooManyExchangesAreRefused by 503 and counted, those under way go on, and
// when one has ended there is room again.
func TestTooManyExchangesAreRefused(t *testing.T) {
	for name, client := range agenttest.Clients {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan struct{})
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hold" {
					<-goOn
				}
				agenttest.Predictor().ServeHTTP(w, r)
			}), "--max-exchanges=3")
			var group sync.WaitGroup
			held := client(t)
			for range 3 {
				group.Go(func() {
					answer, err := held.Post(r.url("/hold"), "application/json", strings.NewReader("{}"))
					if err != nil {
						t.Error("an exchange under way is lost:", err)
						return
					}
					defer answer.Body.Close()
					if answer.StatusCode != http.StatusOK {
						t.Errorf("an exchange under way is answered with %d", answer.StatusCode)
					}
				})
			}
			agenttest.Eventually(t, "three are under way", func() bool { return r.agent.handler.Active() == 3 })

			// Whether the rest of the request comes or not.
			body, rest := io.Pipe()
			asked, err := http.NewRequest(http.MethodPost, r.url("/v1/models/m:predict"), body)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := client(t).Do(asked)
			if err != nil {
				t.Fatal("one too many:", err)
			}
			said, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			rest.Close()
			if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("one too many is answered with %d %v %q, %v", answer.StatusCode, answer.Header, said, err)
			}
			if skipped := r.agent.status().Skipped[ledger.SkipOverload]; skipped != 1 {
				t.Errorf("%d refusals are counted", skipped)
			}
			close(goOn)
			group.Wait()
			r.settled()
			if status, _ := r.post("/v1/models/m:predict", "{}"); status != http.StatusOK {
				t.Errorf("when there is room the answer is %d", status)
			}
		})
	}
}

// TestALongHeadCountsAsSeveralExchanges, but whoever is alone always has room.
func TestALongHeadCountsAsSeveralExchanges(t *testing.T) {
	goOn := make(chan struct{})
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		agenttest.Predictor().ServeHTTP(w, r)
	}), "--max-exchanges=10")
	long := "/" + strings.Repeat("a", 800<<10)
	statuses := make(chan string, 2)
	ask := func() {
		answer, err := agenttest.HTTP1Client(t).Post(r.url(long), "application/json", strings.NewReader("{}"))
		if err != nil {
			statuses <- err.Error()
			return
		}
		answer.Body.Close()
		statuses <- fmt.Sprint(answer.StatusCode)
	}
	go ask()
	agenttest.Eventually(t, "one is under way", func() bool { return r.agent.handler.Active() == 1 })
	go ask()
	if got := <-statuses; got != "503" {
		t.Errorf("the second is answered with %s", got)
	}
	close(goOn)
	if got := <-statuses; got != "200" {
		t.Errorf("the first is answered with %s", got)
	}
}
