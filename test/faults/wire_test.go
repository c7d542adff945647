/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// conformance builds the suites of third_party/wire, once, and gives their
// folder. They are modules of their own, for nothing else needs them.
var conformance = sync.OnceValues(func() (string, error) {
	directory := filepath.Dir(agentBinary)
	build := exec.Command("go", "build", "-o", directory+string(filepath.Separator),
		"./grpc-interop", "github.com/summerwind/h2spec/cmd/h2spec")
	build.Dir = filepath.Join("..", "..", "third_party", "wire")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the conformance suites: %w\n%s", err, output)
	}
	return directory, nil
})

func conformanceTool(t *testing.T, name string) string {
	t.Helper()
	directory, err := conformance()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(directory, name)
}

// TestHTTP2Conformance (P5): the agent passes every case of h2spec that the
// model's own server passes.
func TestHTTP2Conformance(t *testing.T) {
	t.Parallel()
	h2spec := conformanceTool(t, "h2spec")
	r := newRig(t)
	agent := r.Address()
	var direct, through map[string]string
	var both sync.WaitGroup
	both.Go(func() { direct = h2specFailures(t, h2spec, r.Model.Address, 2) })
	both.Go(func() { through = h2specFailures(t, h2spec, agent, 2) })
	both.Wait()
	t.Logf("the model's server fails %d cases, with the agent %d: %q", len(direct), len(through), slices.Sorted(maps.Keys(through)))
	for name := range direct {
		delete(through, name)
	}
	for _, name := range raced {
		delete(through, name)
	}
	for name := range through {
		// A busy machine may just have been late.
		section, _, _ := strings.Cut(name, " ")
		if why, ok := h2specFailures(t, h2spec, agent, 30, section)[name]; ok {
			t.Errorf("%s: %s", name, why)
		}
	}
	if r.Gone() {
		t.Error("the agent ended")
	}
	hold(t, r.soFar(), theLawHolds)
}

// raced are cases that pass or fail by how soon a server responds, without the
// agent too: this one wants more streams open than are allowed, and opens them
// one after the other while the first get responses already.
var raced = []string{"http2/5.1.2 Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded"}

// h2specFailures runs these sections of h2spec, or all, and gives what failed
// and why. A case that is still waited for after so many seconds fails.
func h2specFailures(t *testing.T, h2spec, address string, seconds int, sections ...string) map[string]string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Error(err)
		return nil
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	// Its exit code says that a case failed.
	output, err := exec.Command(h2spec, append([]string{
		"--strict", "--host=" + host, "--port=" + port, fmt.Sprintf("--timeout=%d", seconds),
		"--path=/v1/models/m:predict", "--junit-report=" + report,
	}, sections...)...).CombinedOutput()
	written, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Errorf("h2spec gave no report: %v, %v\n%s", readErr, err, output)
		return nil
	}
	var parsed struct {
		Suites []struct {
			Package string `xml:"package,attr"`
			Cases   []struct {
				Class   string  `xml:"classname,attr"`
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(written, &parsed); err != nil {
		t.Error("reading h2spec's report:", err)
		return nil
	}
	failures, count := make(map[string]string), 0
	for _, suite := range parsed.Suites {
		for _, c := range suite.Cases {
			count++
			for _, failure := range []*string{c.Failure, c.Error} {
				if failure != nil {
					failures[suite.Package+" "+c.Class] = *failure
				}
			}
		}
	}
	if count == 0 || (len(sections) == 0 && count < 100) {
		t.Errorf("h2spec ran %d cases only:\n%s", count, output)
	}
	return failures
}

// interoperability are the cases of grpc/doc/interop-test-descriptions.md that
// need no credentials.
var interoperability = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	raceOfDeadlines, "cancel_after_begin", "cancel_after_first_response", "custom_metadata",
	"status_code_and_message", "special_status_message", "unimplemented_method", "unimplemented_service",
}

// raceOfDeadlines is a case where client and server give up at the same moment.
// Where the server is first it resets the stream by CANCEL. Neither the agent
// nor queue-proxy before it can pass that code on: net/http resets by
// INTERNAL_ERROR only.
const raceOfDeadlines = "timeout_on_sleeping_server"

// TestGRPCInteroperability (P5): every case of gRPC's interoperability tests
// passes through the agent.
func TestGRPCInteroperability(t *testing.T) {
	t.Parallel()
	interop := conformanceTool(t, "grpc-interop")
	server := exec.Command(interop, "serve")
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal("starting the interoperability server:", err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal("the interoperability server says no address:", err)
	}
	r := newRig(t, inFrontOf(strings.TrimSpace(line)))
	for _, name := range interoperability {
		output, err := exec.Command(interop, r.Address(), name).CombinedOutput()
		said := string(output)
		if name == raceOfDeadlines && strings.Contains(said, "RST_STREAM with error code: INTERNAL_ERROR") {
			continue
		}
		if err != nil || !strings.Contains(said, name+" passed") {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
	e := r.atRest()
	hold(t, e, theLawHolds)
	if e.agent.DroppedTotal() != 0 || e.agent.Delivered == 0 {
		t.Errorf("the ledger says %+v", e.agent)
	}
}
