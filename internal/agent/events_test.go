/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestTheSeedsExample is design.md's contract, as a subscriber sees it.
func TestTheSeedsExample(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), "--metadata=team=ai-platform", "--metadata=owner=ml-ops",
		"--inference-service=my-model", "--namespace=models", "--component=predictor")

	status, body := r.post("/v1/models/my-model:predict", `{"instances":[[1,2]]}`)
	if status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
		t.Fatalf("the client got %d %s", status, body)
	}

	request, response := r.sink.Of("request"), r.sink.Of("response")
	if got := string(request.Data()); got != `{"instances":[[1,2]]}` {
		t.Errorf("request data: %s", got)
	}
	if got := string(response.Data()); got != `{"predictions":[0.8,0.2]}` {
		t.Errorf("response data: %s", got)
	}
	for _, e := range []agenttest.Event{request, response} {
		for name, want := range map[string]string{
			"team":                 "ai-platform",
			"owner":                "ml-ops",
			"version":              "",
			"inferenceservicename": "my-model",
			"namespace":            "models",
			"component":            "predictor",
			"revision":             "my-model-predictor-default-00001",
			"agentinstance":        r.agent.instance,
			"replaced":             "",
		} {
			if got := e.Attribute(name); got != want {
				t.Errorf("%s: %s is %q, want %q", e.Type(), name, got, want)
			}
		}
		if e.Source() != "my-model-predictor-default" || e.Subject() != "/v1/models/my-model:predict" ||
			e.DataContentType() != "application/json" || e.Structured {
			t.Errorf("unexpected event: %v", e)
		}
	}
	if request.Attribute("correlationid") == "" || request.Attribute("correlationid") != response.Attribute("correlationid") {
		t.Error("the two events don't share a correlationid")
	}
	if request.ID() == response.ID() {
		t.Error("the two events share an id")
	}
	if response.Attribute("statuscode") != "200" || response.Attribute("durationms") == "" {
		t.Errorf("the answer's own attributes are wrong: %v", response.Extensions())
	}
	if got := request.Attribute("agentsequence") + " " + response.Attribute("agentsequence"); got != "000000000001 000000000002" {
		t.Errorf("sequences: %s", got)
	}
}

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
			r := newRig(t, failing, test.arguments...)
			r.post("/ok", `{}`)
			r.settled()
			r.post("/fail", `{}`)
			counts := r.settled()
			var types []string
			for _, e := range r.sink.Events() {
				types = append(types, strings.TrimPrefix(e.Type(), "io.kubeflow.serving.inference."))
			}
			if sortedWords(types) != sortedWords(strings.Fields(test.want)) {
				t.Errorf("got %v, want %s", types, test.want)
			}
			if counts.Observed != uint64(len(types)) || counts.Delivered != counts.Observed {
				t.Errorf("the ledger says %+v", counts)
			}
		})
	}
}

func TestStdoutSinkPrintsLines(t *testing.T) {
	stdout := new(agenttest.Buffer)
	r := newRigWriting(t, stdout, agenttest.Predictor(), "--sink=stdout", "--metadata=team=x")
	r.post("/v1/models/m:predict", "{\n \"instances\": [1]\n}")
	r.settled()
	lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("want two lines, got %q", lines)
	}
	for _, line := range lines {
		var e struct {
			Team          string
			AgentSequence string
			Data          map[string]any
		}
		mustJSON(t, line, &e)
		if e.Team != "x" || e.AgentSequence == "" || len(e.Data) != 1 {
			t.Errorf("unexpected line: %s", line)
		}
	}
}

func TestWithoutSinksTheModelServesAndEventsAreCounted(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), noSinkArgument)
	if status, _ := r.post("/", `{}`); status != http.StatusOK {
		t.Errorf("the client got %d", status)
	}
	counts := r.settled()
	if counts.Observed != 2 || counts.Dropped["nosink"] != 2 {
		t.Errorf("the ledger says %+v", counts)
	}
}

func TestLiveMetadataReachesTheNextEvent(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, agenttest.Predictor(), "--metadata=team=first", "--metadata-dir="+dir)
	r.post("/", `{}`)
	r.settled()
	before := r.agent.metadata.Status().Hash
	if err := os.WriteFile(filepath.Join(dir, "attributes.json"), []byte(`{"team":"secondcanary"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "the new metadata is in force", func() bool { return r.agent.metadata.Status().Hash != before })
	r.post("/", `{}`)
	events := r.sink.Await(4)
	got := make(map[string]int)
	for _, e := range events {
		got[e.Attribute("team")]++
	}
	if got["first"] != 2 || got["secondcanary"] != 2 {
		t.Errorf("teams: %v", got)
	}
	if !strings.Contains(r.logs.String(), "metadata applied") || strings.Contains(r.logs.String(), "secondcanary") {
		t.Errorf("the change is to be logged without its value: %s", r.logs)
	}
}

func sortedWords(words []string) string {
	slices.Sort(words)
	return strings.Join(words, " ")
}

func TestOversizeBodiesAreNamedNotSent(t *testing.T) {
	body := strings.Repeat("x", 5000)
	sum := sha256.Sum256([]byte(body))
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(content)
	})
	r := newRig(t, echo, "--max-payload-bytes=1000", "--events=request,response,request.oversize,response.oversize")
	if _, got := r.post("/", body); got != body {
		t.Errorf("the client got %d bytes", len(got))
	}
	for _, kind := range []string{"request.oversize", "response.oversize"} {
		event := r.sink.Of(kind)
		if len(event.Data()) != 0 || event.Attribute("bodysize") != "5000" || event.Attribute("bodysha256") != hex.EncodeToString(sum[:]) {
			t.Errorf("unexpected event: %v", event)
		}
	}
	r.settled()
	if used := r.agent.budget.Used(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}

func TestCompressedBodies(t *testing.T) {
	const body = `{"instances":[1,2,3]}`
	gzipped := compress(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, body)
	deflated := compress(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, body)
	bomb := compress(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, strings.Repeat("0", 800_000))
	for _, test := range []struct {
		name, coding string
		body         []byte
		kind, want   string
	}{
		{"gzip", "gzip", gzipped, "request", body},
		{"deflate", "deflate", deflated, "request", body},
		{"a coding that isn't read", "br", []byte("opaque"), "request.encoded", "opaque"},
		{"two codings", "deflate, gzip", gzipped, "request.encoded", string(gzipped)},
		{"broken", "gzip", gzipped[:len(gzipped)-9], "request.encoded", string(gzipped[:len(gzipped)-9])},
		{"a bomb", "gzip", bomb, "request.encoded", string(bomb)},
		{"an odd coding", "\x80\xff", []byte("x"), "request.encoded", "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.Predictor(), "--events=request,request.encoded", "--max-payload-bytes=700000")
			request, err := http.NewRequest(http.MethodPost, r.url("/"), bytes.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header["Content-Encoding"] = []string{test.coding}
			request.Header.Set("Content-Type", "application/json")
			answer, err := agenttest.HTTP1Client(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			event := r.sink.Of(test.kind)
			if string(event.Data()) != test.want || event.Attribute("contentencoding") == "" || event.DataContentType() != "application/json" {
				t.Errorf("unexpected event: %v", event)
			}
		})
	}
}

func compress(t *testing.T, writer func(io.Writer) io.WriteCloser, text string) []byte {
	t.Helper()
	var compressed bytes.Buffer
	w := writer(&compressed)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed.Bytes()
}

func TestUndecodableBodiesAreCountedWhereNotSelected(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), "--events=request", "--mode=request")
	request, err := http.NewRequest(http.MethodPost, r.url("/"), strings.NewReader("not gzip"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Encoding", "gzip")
	answer, err := agenttest.HTTP1Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if counts := r.settled(); counts.Dropped[ledger.ReasonEncoded] != 1 {
		t.Errorf("the ledger says %+v", counts)
	}
}

func TestTimeIsTheExchanges(t *testing.T) {
	r := newRig(t, agenttest.Predictor())
	before := time.Now()
	r.post("/", "{}")
	after := time.Now()
	for _, e := range r.sink.Await(2) {
		if e.Time().Before(before) || e.Time().After(after.Add(time.Second)) {
			t.Errorf("%s at %s, the exchange was from %s to %s", e.Type(), e.Time(), before, after)
		}
	}
}
