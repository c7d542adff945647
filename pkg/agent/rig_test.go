/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agentconfig"
)

// rig is an agent between a model and a sink, each on the loopback, and what a
// client, the model and a subscriber see of it.
type rig struct {
	t     *testing.T
	agent *Agent
	model string
	sink  *subscriber
	logs  *buffer

	signals chan os.Signal
	ended   chan error
}

// noSinkArgument stands for the absence of --sink.
const noSinkArgument = "(no sink)"

// newRig starts an agent in front of model. The sink is the subscriber, unless
// the arguments name another one.
func newRig(t *testing.T, model http.Handler, line ...string) *rig {
	t.Helper()
	return newRigWriting(t, new(buffer), model, line...)
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
		model:   serve(t, model),
		sink:    newSubscriber(t),
		logs:    new(buffer),
		signals: make(chan os.Signal, 2),
		ended:   make(chan error, 1),
	}
	complete := []string{"--target=" + r.model, "--source=my-model-predictor-default", "--log-level=debug"}
	if !strings.Contains(strings.Join(line, " "), "--sink") && !slices.Contains(line, noSinkArgument) {
		complete = append(complete, "--sink="+r.sink.url)
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

func (r *rig) ledger() ledger.Snapshot { return r.agent.state().Sinks[0].Ledger }

// settled waits until nothing is pending, and gives the ledger.
func (r *rig) settled() ledger.Snapshot {
	r.t.Helper()
	eventually(r.t, "nothing is pending", func() bool {
		return r.agent.handler.Active() == 0 && r.ledger().Pending == 0
	})
	return r.ledger()
}

// post sends a JSON body and gives the answer's status and body.
func (r *rig) post(path, body string) (int, string) {
	r.t.Helper()
	answer, err := http1Client(r.t).Post(r.url(path), "application/json", strings.NewReader(body))
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

// serve runs a handler on the loopback, over HTTP/1.1 and HTTP/2 without TLS,
// and gives its URL.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	server := &http.Server{Handler: handler, Protocols: bothProtocols(), DisableGeneralOptionsHandler: true}
	server.ErrorLog = serverLog(NewLogger(io.Discard, zapcore.ErrorLevel))
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Close()
		group.Wait()
	})
	return "http://" + listener.Addr().String()
}

func bothProtocols() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

func http1Client(t *testing.T) *http.Client { return clientOf(t, false) }

func http2Client(t *testing.T) *http.Client { return clientOf(t, true) }

func clientOf(t *testing.T, http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true, ExpectContinueTimeout: 5 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// subscriber is a sink that reads events by the CloudEvents SDK, as Knative's
// own receivers do.
type subscriber struct {
	t   *testing.T
	url string
	// answer gives the status for the nth request, from 1; nil is 202.
	answer func(n int, w http.ResponseWriter, r *http.Request)

	mu       sync.Mutex
	requests int
	received []received
}

// received is one event as it came.
type received struct {
	cloudevents.Event
	header     http.Header
	structured bool
}

func newSubscriber(t *testing.T) *subscriber {
	s := &subscriber{t: t}
	s.url = serve(t, s)
	return s
}

func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.mu.Unlock()
	recorder := &statusRecorder{ResponseWriter: w, status: http.StatusAccepted}
	if s.answer != nil {
		s.answer(n, recorder, r)
	} else {
		w.WriteHeader(http.StatusAccepted)
	}
	if recorder.status < 200 || recorder.status > 299 {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	message := cehttp.NewMessageFromHttpRequest(r)
	parsed, err := binding.ToEvent(r.Context(), message)
	if err != nil {
		s.t.Errorf("the SDK can't read an event: %v\n%v\n%s", err, r.Header, body)
		return
	}
	if err := parsed.Validate(); err != nil {
		s.t.Errorf("the SDK finds an event invalid: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, received{
		Event:      *parsed,
		header:     r.Header,
		structured: message.ReadEncoding() == binding.EncodingStructured,
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (s *subscriber) events() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.received...)
}

// await waits for n events in all.
func (s *subscriber) await(n int) []received {
	s.t.Helper()
	eventually(s.t, strconv.Itoa(n)+" events have arrived", func() bool { return len(s.events()) >= n })
	return s.events()
}

// of waits for the event of a type, given without its prefix.
func (s *subscriber) of(kind string) received {
	s.t.Helper()
	var found received
	eventually(s.t, "a "+kind+" event has arrived", func() bool {
		for _, e := range s.events() {
			if e.Type() == "io.kubeflow.serving.inference."+kind {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// attribute gives an extension attribute as text, empty where it is absent.
func (e received) attribute(name string) string {
	switch value := e.Extensions()[name].(type) {
	case nil:
		return ""
	case string:
		return value
	case int32:
		return strconv.Itoa(int(value))
	default:
		return "?"
	}
}

// eventually waits until a condition holds. Its limit is there for a test that
// hangs: a backoff alone may take 20 s.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
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

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func mustJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("not JSON: %v: %s", err, text)
	}
}

// predictor answers every request as a V1 model would.
func predictor() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"predictions":[0.8,0.2]}`)
	})
}

func readAll(t *testing.T, answer *http.Response) string {
	t.Helper()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal("reading an answer:", err)
	}
	return string(content)
}
