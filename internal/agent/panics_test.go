/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// panickingOutput panics with the event that it is to write.
type panickingOutput struct{}

func (panickingOutput) Write(line []byte) (int, error) { panic(string(line)) }

// TestPanicLogHasNoPanicValue, and the agent goes on.
func TestPanicLogHasNoPanicValue(t *testing.T) {
	const payload = "nobody-may-read-this"
	r := newRigIn(t, Environment{Stdout: panickingOutput{}}, agenttest.With("--sink=stdout"))
	for range 3 {
		if status, _ := r.Post("/v1/models/m:predict", `{"instances":["`+payload+`"]}`); status != http.StatusOK {
			t.Errorf("the client got %d", status)
		}
	}
	if counts := r.settled(); counts.Dropped[ledger.ReasonInvalid] != 6 || counts.Observed != 6 {
		t.Errorf("the ledger says %+v", counts)
	}
	logs := r.Logs.String()
	if !strings.Contains(logs, `"place":"github.com/sidenote-dev/sidenote/internal/agent.panickingOutput.Write (panics_test.go:`) {
		t.Errorf("the place is not logged: %s", logs)
	}
	if strings.Contains(logs, payload) {
		t.Errorf("the payload is logged: %s", logs)
	}
}

// TestPanicOutsideAnEventEndsTheAgent, with a place in the log and a code of its own.
func TestPanicOutsideAnEventEndsTheAgent(t *testing.T) {
	logs := new(agenttest.Buffer)
	var code atomic.Int64
	a, err := newAgent([]string{"--target=http://127.0.0.1:1", "--source=m"}, Environment{
		Stdout: io.Discard, Logger: NewLogger(logs, zapcore.InfoLevel), Exit: func(c int) { code.Store(int64(c)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.listener.Close()
	defer a.adminListener.Close()
	a.panics().Agent(func() { panic(time.Now().String() + "a payload") })
	if code.Load() != exitPanic {
		t.Errorf("it exits with %d", code.Load())
	}
	if got := logs.String(); !strings.Contains(got, "a panic ends the agent") || !strings.Contains(got, "panics_test.go:") || strings.Contains(got, "payload") {
		t.Errorf("the log says %s", got)
	}
}
