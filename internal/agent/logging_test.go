/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// FuzzServerLog: of what net/http's servers write nothing but the stack of a
// panic goes on, whatever a client has put into the line.
func FuzzServerLog(f *testing.F) {
	for _, text := range []string{
		"", "x", "http: panic serving ", "a\nb", "a\r\n\tb", "\ngoroutine 1 [running]:\n",
		"goroutine 7 [running]:", "\x00\xff", "%s%d", "panic serving 1.2.3.4:5: ", "\n\n",
	} {
		f.Add(text)
	}
	const canary = "canary4711"
	f.Fuzz(func(t *testing.T, text string) {
		said := canary + text + canary
		for _, line := range []string{
			// The lines that net/http writes with something of a client in them.
			"http: panic serving 127.0.0.1:4711: " + said + "\n" + string(debug.Stack()),
			"http2: panic serving 127.0.0.1:4711: " + said + "\n" + string(debug.Stack()),
			fmt.Sprintf("http: invalid header %q", said),
			"http: URL query contains semicolon " + said,
			"http2: server connection error from 127.0.0.1:4711: " + said,
		} {
			logs := new(agenttest.Buffer)
			serverLog(NewLogger(logs, zapcore.DebugLevel)).Print(line)
			if strings.Contains(logs.String(), canary) {
				t.Fatalf("%q became %s", line, logs)
			}
			if strings.Contains(line, "panic serving 127") && !strings.Contains(logs.String(), "FuzzServerLog") {
				t.Fatalf("the stack of %q is lost: %s", line, logs)
			}
		}
	})
}

// TestLogsHaveNoExchangeData looks for canaries in the agent's own words.
func TestLogsHaveNoExchangeData(t *testing.T) {
	const canary = "canary4711"
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(connection, canary+" is not HTTP\r\n\r\n")
		connection.Close()
	})
	r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--metadata=team="+canary, "--events=request,response,request.failure,response.failure"))
	r.Sink.Respond(func(_ agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Answer", canary)
		http.Error(w, canary, http.StatusBadRequest)
	})
	for _, raw := range []string{
		"POST /" + canary + "?q=" + canary + " HTTP/1.1\r\nHost: " + canary + "\r\nAuthorization: " + canary + "\r\nCookie: " + canary + "\r\nContent-Length: 10\r\nConnection: close\r\n\r\n" + canary,
		"BAD" + canary + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" + canary + "\r\n\r\n",
	} {
		connection := r.Dial()
		_, _ = io.WriteString(connection, raw)
		_ = connection.CloseWrite()
		_ = connection.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.ReadAll(connection)
		connection.Close()
	}
	if counts := r.settled(); counts.Dropped["rejected"] != 2 {
		t.Errorf("the ledger says %+v", counts)
	}
	r.Kill()
	if strings.Contains(r.Logs.String(), canary) {
		t.Errorf("the logs tell of an exchange:\n%s", r.Logs)
	}
	status, _ := json.Marshal(r.agent.status())
	if strings.Contains(string(status), canary) {
		t.Errorf("/status tells of an exchange: %s", status)
	}
}
