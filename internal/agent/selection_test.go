/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

func TestModeAndEventsSelect(t *testing.T) {
	failing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fail" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		agenttest.Predictor().ServeHTTP(w, r)
	})
	for _, test := range []struct {
		name      string
		arguments []string
		want      string
	}{
		{"all is the default", nil, "request response request"},
		{"request only", []string{"--mode=request"}, "request request"},
		{"response only", []string{"--mode=response"}, "response"},
		{"failures too", []string{"--events=request,response,response.failure"}, "request response request response.failure"},
		{"only failures", []string{"--events=response.failure"}, "response.failure"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(failing), agenttest.With(test.arguments...))
			r.Post("/ok", `{}`)
			r.settled()
			r.Post("/fail", `{}`)
			counts := r.settled()
			if got := r.kinds(); got != sortedWords(test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if counts.Observed != uint64(len(r.Sink.Events())) || counts.Delivered != counts.Observed {
				t.Errorf("the ledger says %+v", counts)
			}
		})
	}
}

// TestOnlyInferenceGivesEvents, and everything else passes and is counted.
func TestOnlyInferenceGivesEvents(t *testing.T) {
	for _, test := range []struct {
		name      string
		arguments []string
		method    string
		path      string
		agent     string
		skipped   string
	}{
		{"a prediction", nil, "POST", "/v1/models/m:predict", "", ""},
		{"a V1 status", nil, "GET", "/v1/models/m", "", "probe"},
		{"a V2 readiness", nil, "GET", "/v2/health/ready", "", "probe"},
		{"a scrape", nil, "GET", "/metrics", "", "probe"},
		{"a kubelet", nil, "GET", "/predict", "kube-probe/1.34", "probe"},
		{"a prediction that calls itself a probe", nil, "POST", "/predict", "kube-probe/1.34", ""},
		{"a path that is listed", []string{"--paths=/v1/*:predict"}, "POST", "/v1/models/m:predict", "", ""},
		{"a path that isn't", []string{"--paths=/v1/*:predict"}, "POST", "/v1/models/m:explain", "", "path"},
		{"a path that is excluded", []string{"--paths=/v1/*", "--paths=!*:explain"}, "POST", "/v1/models/m:explain", "", "path"},
		{"a path that is escaped", []string{"--paths=/v1/*:predict"}, "POST", "/v1/models/m%3Apredict", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.With(test.arguments...))
			header := http.Header{}
			if test.agent != "" {
				header.Set("User-Agent", test.agent)
			}
			response, body := r.Do(test.method, test.path, header, http.NoBody)
			if body != agenttest.Prediction {
				t.Errorf("the client got %s %s", response.Status, body)
			}
			want, skips := uint64(2), uint64(0)
			if test.skipped != "" {
				want, skips = 0, 1
			}
			if counts := r.settled(); counts.Observed != want || len(r.Sink.Events()) != int(want) {
				t.Errorf("%d events, want %d", counts.Observed, want)
			}
			var all uint64
			for reason, count := range r.agent.status().Skipped {
				all += count
				if string(reason) != test.skipped {
					t.Errorf("skipped for %s", reason)
				}
			}
			if all != skips {
				t.Errorf("%d skipped, want %d", all, skips)
			}
		})
	}
}

// TestHealthChecksAreSkipped are none of inference, whatever their client adds
// to them. Only what may become a tunnel, or has a body, is.
func TestHealthChecksAreSkipped(t *testing.T) {
	const health = "GET /v2/health/ready HTTP/1.1\nHost: m\n"
	for _, test := range []struct {
		name, request string
		probe         bool
	}{
		{"of Java's HTTP client", health + "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\nUser-Agent: Java-http-client/17.0.15\n\n", true},
		{"with an empty chunked body", health + "Transfer-Encoding: chunked\n\n0\r\n\r\n", true},
		{"with a chunked body", health + "Transfer-Encoding: chunked\n\n2\r\n{}\r\n0\r\n\r\n", false},
		{"that asks for a WebSocket", health + "Connection: upgrade\nUpgrade: websocket\n\n", false},
		{"of a path of inference, with an empty chunked body", "GET /predict HTTP/1.1\nHost: m\nTransfer-Encoding: chunked\n\n0\r\n\r\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			if status, _ := r.raw(test.request); status != http.StatusOK {
				t.Fatalf("the client got %d", status)
			}
			counts, skipped := r.settled(), r.agent.status().Skipped[ledger.SkipProbe]
			if test.probe && (counts.Observed != 0 || skipped != 1) || !test.probe && (counts.Observed != 2 || skipped != 0) {
				t.Errorf("%d events, %d skipped", counts.Observed, skipped)
			}
		})
	}
}

// raw sends a request as it stands, with a newline for each end of a line of its
// head, and gives the response's status and body.
func (r *rig) raw(request string) (int, string) {
	r.t.Helper()
	connection := r.Dial()
	defer connection.Close()
	head, body, _ := strings.Cut(request, "\n\n")
	if _, err := io.WriteString(connection, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body); err != nil {
		r.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, agenttest.ReadAll(r.t, response)
}
