/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

var agentBinary = flag.String("agent", "", "the agent's binary; without it the agent of this tree is built")

var modelBinary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	directory, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(directory)
	modelBinary = filepath.Join(directory, "model")
	packages := []string{"github.com/sidenote-dev/sidenote/test/test_images/model"}
	if *agentBinary == "" {
		*agentBinary = filepath.Join(directory, "agent")
		packages = append(packages, "github.com/sidenote-dev/sidenote/cmd/agent")
	}
	build := exec.Command("go", append([]string{"build", "-o", directory}, packages...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Printf("building the agent and the model: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// TestContract runs every step against a process.
func TestContract(t *testing.T) {
	model := startModel(t)
	places := make(map[string]*process)
	for _, logger := range Loggers {
		places[logger.Name] = newProcess(t, model, logger)
	}
	for _, step := range steps(t) {
		t.Run(step.Name, func(t *testing.T) {
			t.Parallel()
			if step.Alone != nil {
				step.Alone(t, func(t testing.TB, options ...agenttest.Option) *agenttest.Rig {
					return startAgent(t, model, options...)
				})
				return
			}
			step.Run(&Stage{T: t, Place: places[step.Logger.Name], Logger: step.Logger, Ctx: t.Context()})
		})
	}
}

func steps(t *testing.T) []Step {
	t.Helper()
	steps, err := Steps(contract(t))
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func contract(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/event-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// startModel runs the test model until the test ends, and returns its URL.
func startModel(t *testing.T) string {
	t.Helper()
	log := new(agenttest.Buffer)
	command := exec.Command(modelBinary)
	command.Env = append(os.Environ(), "PORT=0")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	address := regexp.MustCompile(`"address":"[^"]*:(\d+)"`)
	agenttest.Eventually(t, "the model is loaded", func() bool { return strings.Contains(log.String(), `"loaded"`) })
	return "http://127.0.0.1:" + address.FindStringSubmatch(log.String())[1]
}

func startAgent(t testing.TB, model string, options ...agenttest.Option) *agenttest.Rig {
	t.Helper()
	launch := agenttest.Process(func(line []string) *exec.Cmd {
		command := exec.Command(*agentBinary, line...)
		command.Env = append(os.Environ(), "K_REVISION="+agenttest.Revision)
		return command
	})
	return agenttest.NewRig(t, launch, append([]agenttest.Option{agenttest.With("--target=" + model)}, options...)...)
}

// process is a place at an agent's process.
type process struct {
	rig     *agenttest.Rig
	logger  Logger
	clients map[string]*http.Client
}

func newProcess(t *testing.T, model string, logger Logger) *process {
	t.Helper()
	return &process{
		rig: startAgent(t, model, agenttest.With(logger.Arguments()...)), logger: logger,
		clients: map[string]*http.Client{"HTTP/1.1": agenttest.HTTP1Client(t), "HTTP/2": agenttest.HTTP2Client(t)},
	}
}

func (p *process) URL() string                         { return p.rig.URL }
func (p *process) Speaks(string) bool                  { return true }
func (p *process) Client(protocol string) *http.Client { return p.clients[protocol] }
func (p *process) Received() []agenttest.Event         { return p.rig.Sink.Events() }
func (p *process) RecordsSlowly() bool                 { return false }
func (p *process) AsReceived(data string) string       { return data }
func (p *process) Identity() map[string]string {
	return map[string]string{"source": agenttest.Source, "namespace": "conformance", "revision": agenttest.Revision}
}

func (p *process) Dial(ctx context.Context) (net.Conn, error) {
	at, err := url.Parse(p.rig.URL)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", at.Host)
}

func (p *process) Await(t T, what string, check func() error) {
	var last error
	defer func() {
		if last != nil {
			t.Logf("%s: %v", what, last)
		}
	}()
	agenttest.Eventually(t.(testing.TB), what, func() bool {
		last = check()
		return last == nil
	})
}
