/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Agent is an agent that runs.
type Agent struct {
	// URL is where it serves the model, Admin its admin port. Neither has a path.
	URL, Admin string
	Logs       *Buffer
	// PID is 0 for an agent in the test's process.
	PID int

	t      testing.TB
	signal func(os.Signal)
	kill   func()
	// ended is closed when the agent is gone and its log is complete.
	ended chan struct{}
	code  int
}

// Launcher starts an agent with arguments. The agent ends with the test.
type Launcher func(t testing.TB, line []string) *Agent

// Instance is an agent for the test's process.
type Instance interface {
	Addr() string
	AdminPort() int
	Run(signals <-chan os.Signal) error
}

// InProcess runs agents in the test's process.
func InProcess(start func(line []string, logs io.Writer) (Instance, error)) Launcher {
	return func(t testing.TB, line []string) *Agent {
		t.Helper()
		a := &Agent{t: t, Logs: new(Buffer), ended: make(chan struct{})}
		instance, err := start(line, a.Logs)
		if err != nil {
			t.Fatal("starting the agent:", err)
		}
		a.URL, a.Admin = "http://"+instance.Addr(), "http://127.0.0.1:"+strconv.Itoa(instance.AdminPort())
		signals := make(chan os.Signal, 2)
		a.signal = func(s os.Signal) {
			select {
			case signals <- s:
			default:
			}
		}
		a.kill = func() {
			a.signal(syscall.SIGTERM)
			a.signal(syscall.SIGTERM)
		}
		go func() {
			defer close(a.ended)
			if err := instance.Run(signals); err != nil {
				t.Error("the agent failed:", err)
			}
		}()
		t.Cleanup(a.Kill)
		return a
	}
}

// Process runs agents as processes of their own. The command gets the arguments
// and two that choose the agent's ports.
func Process(command func(line []string) *exec.Cmd) Launcher {
	return func(t testing.TB, line []string) *Agent {
		t.Helper()
		// Another process may take a port between its choice and the agent's start:
		// then the agent ends.
		for range 5 {
			a := startProcess(t, command, line)
			if strings.Contains(a.Logs.String(), serving) {
				t.Cleanup(func() {
					if t.Failed() && !a.Gone() {
						t.Logf("the agent's status: %s", a.Page("/status"))
					}
					a.Kill()
					if t.Failed() {
						t.Logf("the end of the agent's log:\n%s", a.Logs.End(4<<10))
					}
				})
				return a
			}
			t.Logf("the agent did not start: %s", a.Logs)
		}
		t.Fatal("no agent starts")
		return nil
	}
}

const serving = `"message":"agent serves"`

func startProcess(t testing.TB, command func(line []string) *exec.Cmd, line []string) *Agent {
	t.Helper()
	port, adminPort := freePort(t), freePort(t)
	run := command(append([]string{"--port=" + port, "--admin-port=" + adminPort}, line...))
	a := &Agent{
		t: t, Logs: new(Buffer), ended: make(chan struct{}),
		URL: "http://127.0.0.1:" + port, Admin: "http://127.0.0.1:" + adminPort,
	}
	run.Stdout, run.Stderr = a.Logs, a.Logs
	if err := run.Start(); err != nil {
		t.Fatal("starting the agent:", err)
	}
	a.PID = run.Process.Pid
	a.signal = func(s os.Signal) {
		if err := run.Process.Signal(s); err != nil {
			t.Error("signalling the agent:", err)
		}
	}
	a.kill = func() { _ = run.Process.Kill() }
	go func() {
		defer close(a.ended)
		_ = run.Wait()
		a.code = run.ProcessState.ExitCode()
	}()
	Eventually(t, "the agent serves or ends", func() bool { return strings.Contains(a.Logs.String(), serving) || a.Gone() })
	return a
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// Address is the host and port of URL.
func (a *Agent) Address() string { return strings.TrimPrefix(a.URL, "http://") }

// Gone reports whether the agent has ended.
func (a *Agent) Gone() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// Signal sends the agent a signal.
func (a *Agent) Signal(s os.Signal) {
	a.t.Helper()
	a.signal(s)
}

// Terminate sends SIGTERM and waits until the agent drains.
func (a *Agent) Terminate() {
	a.t.Helper()
	a.signal(syscall.SIGTERM)
	// Two signals that it hasn't handled yet are one.
	Eventually(a.t, "the agent drains", func() bool { return strings.Contains(a.Logs.String(), "agent drains") })
}

// Kill ends the agent and waits for its end: a process by SIGKILL, an agent in
// the test's process by two signals. It may be called again.
func (a *Agent) Kill() {
	a.kill()
	<-a.ended
}

// Wait waits for the agent's end and gives its exit code.
func (a *Agent) Wait() int {
	a.t.Helper()
	Eventually(a.t, "the agent ends", a.Gone)
	return a.code
}

// Page returns the body of a page of the admin port.
func (a *Agent) Page(path string) string {
	a.t.Helper()
	_, body := a.AdminPage(path)
	return body
}

// AdminPage returns the status and the body of a page of the admin port.
func (a *Agent) AdminPage(path string) (int, string) {
	a.t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(a.Admin + path)
	if err != nil {
		a.t.Fatal("asking the agent:", err)
	}
	defer response.Body.Close()
	return response.StatusCode, ReadAll(a.t, response)
}

// Dial opens a connection to the agent.
func (a *Agent) Dial() *net.TCPConn {
	a.t.Helper()
	connection, err := net.Dial("tcp", a.Address())
	if err != nil {
		a.t.Fatal("dialling the agent:", err)
	}
	return connection.(*net.TCPConn)
}

// Listens reports whether the agent accepts connections.
func (a *Agent) Listens() bool {
	connection, err := net.Dial("tcp", a.Address())
	if err == nil {
		connection.Close()
	}
	return err == nil
}

// Do makes an exchange over HTTP/1.1, and gives the response and its body.
func (a *Agent) Do(method, path string, header http.Header, body io.Reader) (*http.Response, string) {
	a.t.Helper()
	request, err := http.NewRequest(method, a.URL+path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := HTTP1Client(a.t).Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	return response, ReadAll(a.t, response)
}

// Post sends a JSON body, and gives the response's status and body.
func (a *Agent) Post(path, body string) (int, string) {
	a.t.Helper()
	response, content := a.Do(http.MethodPost, path, http.Header{"Content-Type": {"application/json"}}, strings.NewReader(body))
	defer response.Body.Close()
	return response.StatusCode, content
}

// ReadAll reads a response's body.
func ReadAll(t testing.TB, response *http.Response) string {
	t.Helper()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal("reading a response:", err)
	}
	return string(content)
}
