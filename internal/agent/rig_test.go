/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"encoding/json"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// rig is a rig with an agent in the test's process.
type rig struct {
	*agenttest.Rig
	t     *testing.T
	agent *Agent
}

func newRig(t *testing.T, options ...agenttest.Option) *rig {
	t.Helper()
	return newRigIn(t, Environment{Stdout: new(agenttest.Buffer)}, options...)
}

// newRigIn starts an agent in an environment of its own.
func newRigIn(t *testing.T, environment Environment, options ...agenttest.Option) *rig {
	t.Helper()
	checkGoroutines(t)
	r := &rig{t: t}
	r.Rig = agenttest.NewRig(t, agenttest.InProcess(func(line []string, logs io.Writer) (agenttest.Instance, error) {
		environment.Logger = NewLogger(logs, zapcore.DebugLevel)
		var err error
		r.agent, err = newAgent(line, environment)
		return r.agent, err
	}), options...)
	return r
}

// newAgent returns an agent on ports of its own.
func newAgent(line []string, environment Environment) (*Agent, error) {
	given, err := agentconfig.Parse(line)
	if err != nil {
		return nil, err
	}
	given.Port, given.AdminPort = 0, 0
	environment.Revision = agenttest.Revision
	return New(given, environment)
}

// ledger is that of the first sink.
func (r *rig) ledger() ledger.Snapshot {
	if len(r.agent.sinks) == 0 {
		return r.agent.discard.Snapshot()
	}
	return r.agent.sinks[0].Account().Snapshot()
}

// settled waits until nothing is pending, and gives the ledger.
func (r *rig) settled() ledger.Snapshot {
	r.t.Helper()
	agenttest.Eventually(r.t, "nothing is pending", func() bool {
		return r.agent.handler.Active() == 0 && r.ledger().Pending == 0
	})
	return r.ledger()
}

// checkGoroutines fails a test that leaves more goroutines than it began with.
func checkGoroutines(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(time.Minute)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Errorf("%d goroutines before the test, %d after:\n%s", before, runtime.NumGoroutine(),
					stacks[:runtime.Stack(stacks, true)])
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func mustJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("not JSON: %v: %s", err, text)
	}
}

// kinds are those of the events that arrived, in alphabetical order.
func (r *rig) kinds() string {
	var kinds []string
	for _, e := range r.Sink.Events() {
		kinds = append(kinds, e.Kind())
	}
	return sortedWords(strings.Join(kinds, " "))
}

func sortedWords(text string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(text))), " ")
}

// sinkLedger is that of one of several sinks.
func (r *rig) sinkLedger(name string) ledger.Snapshot { return r.agent.status().Sinks[name].Snapshot }
