/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// rig is an agent between a model and a sink, each on the loopback, and what a
// client, the model and a subscriber see of it.
type rig struct {
	t     *testing.T
	agent *Agent
	model string
	sink  *agenttest.Sink
	logs  *agenttest.Buffer

	signals chan os.Signal
	ended   chan error
}

// noSinkArgument stands for the absence of --sink.
const noSinkArgument = "(no sink)"

// newRig starts an agent in front of model. The sink is the subscriber, unless
// the arguments name another one.
func newRig(t *testing.T, model http.Handler, line ...string) *rig {
	t.Helper()
	return newRigWriting(t, new(agenttest.Buffer), model, line...)
}

// newRigWriting starts an agent with a standard output of its own.
func newRigWriting(t *testing.T, stdout io.Writer, model http.Handler, line ...string) *rig {
	t.Helper()
	return newRigIn(t, Environment{Stdout: stdout}, model, line...)
}

// newRigIn starts an agent in an environment of its own.
func newRigIn(t *testing.T, environment Environment, model http.Handler, line ...string) *rig {
	t.Helper()
	checkGoroutines(t)
	r := &rig{
		t:       t,
		model:   agenttest.Serve(t, model).URL,
		sink:    agenttest.NewSink(t),
		logs:    new(agenttest.Buffer),
		signals: make(chan os.Signal, 2),
		ended:   make(chan error, 1),
	}
	complete := []string{"--target=" + r.model, "--source=my-model-predictor-default", "--log-level=debug"}
	if !strings.Contains(strings.Join(line, " "), "--sink") && !slices.Contains(line, noSinkArgument) {
		complete = append(complete, "--sink="+r.sink.URL)
	}
	line = slices.DeleteFunc(slices.Clone(line), func(argument string) bool { return argument == noSinkArgument })
	given, err := agentconfig.Parse(append(complete, line...))
	if err != nil {
		t.Fatal("Parse:", err)
	}
	given.Port, given.AdminPort = 0, 0
	environment.Logger = NewLogger(r.logs, zapcore.DebugLevel)
	environment.Revision = "my-model-predictor-default-00001"
	r.agent, err = New(given, environment)
	if err != nil {
		t.Fatal("New:", err)
	}
	go func() { r.ended <- r.agent.Run(r.signals) }()
	t.Cleanup(func() { r.kill() })
	return r
}

// url is the agent's address with a path.
func (r *rig) url(path string) string { return "http://" + r.agent.Addr() + path }

func (r *rig) admin(path string) string {
	return "http://127.0.0.1:" + strconv.Itoa(r.agent.AdminPort()) + path
}

// kill ends the agent at once, and waits for it. It may be called again.
func (r *rig) kill() {
	select {
	case r.signals <- syscall.SIGTERM:
	default:
	}
	select {
	case r.signals <- syscall.SIGTERM:
	default:
	}
	r.wait()
}

// wait waits for the agent's end.
func (r *rig) wait() {
	err := <-r.ended
	if err != nil {
		r.t.Error("the agent failed:", err)
	}
	r.ended <- nil
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

// post sends a JSON body and gives the response's status and body.
func (r *rig) post(path, body string) (int, string) {
	r.t.Helper()
	answer, err := agenttest.HTTP1Client(r.t).Post(r.url(path), "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal("post:", err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal("reading the answer:", err)
	}
	return answer.StatusCode, string(content)
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

func readAll(t *testing.T, answer *http.Response) string {
	t.Helper()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal("reading an answer:", err)
	}
	return string(content)
}
