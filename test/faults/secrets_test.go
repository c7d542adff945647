/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestSecretsStaySecret (P8): what a client, an owner and a cluster gave in
// confidence is nowhere in what the agent says or writes: logs, metrics, spans,
// the admin port, events, dead letters, ledger events and the spool's files,
// not even when things go wrong. Bodies, paths and metadata are in events only,
// what a sink responded is in dead letters only, the sink's token is in no more than the header that it belongs in.
func TestSecretsStaySecret(t *testing.T) {
	for _, protocol := range []string{"prometheus", "http/protobuf"} {
		t.Run("metrics by "+protocol, func(t *testing.T) {
			inRounds(t, func(t *testing.T, choose *rand.Rand) { keepSecrets(t, choose, protocol) })
		})
	}
}

func keepSecrets(t *testing.T, choose *rand.Rand, metricsProtocol string) {
	canary := func(where string) string { return fmt.Sprintf("canary%s%x", where, choose.Uint64()) }
	secrets := map[string]string{}
	for _, where := range []string{"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "query", "token", "header"} {
		secrets[where] = canary(strings.ToLower(strings.ReplaceAll(where, "-", "")))
	}
	path, body, owner, reason := canary("path"), canary("body"), canary("metadata"), canary("reason")
	hidden := slices.Collect(maps.Values(secrets))

	certificate, authority := agenttest.NewCertificate(t, time.Now().Add(time.Hour))
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(secrets["token"]), 0o600); err != nil {
		t.Fatal(err)
	}
	telemetry := new(collector)
	collects := agenttest.Serve(t, telemetry).URL
	spooled := filepath.Join(t.TempDir(), "spool")
	metrics := with("--metrics-protocol=" + metricsProtocol)
	if metricsProtocol != "prometheus" {
		metrics = with("--metrics-protocol="+metricsProtocol, "--metrics-endpoint="+collects+"/v1/metrics", "--metrics-export-interval=1s")
	}
	r := newRig(t, overTLS(certificate), withDeadLetters(), metrics, with("--sink.default.ca-certs="+authority,
		"--sink.default.token-file="+tokenFile, "--metadata=team="+owner, "--drain-timeout=5s",
		"--events="+everyKind(), "--ledger-interval=1s", "--sink.default.spool-dir="+spooled, "--sink.default.spool-bytes=16777216",
		"--tracing-protocol=http/protobuf", "--tracing-endpoint="+collects+"/v1/traces", "--tracing-sampling-rate=1"))
	r.sink.heed()
	r.letters.heed()
	ask := func(contentType string) {
		outgoing, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
			r.URL+"/v1/"+path+"?key="+secrets["query"], strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		outgoing.Header = http.Header{
			"Authorization": {"Bearer " + secrets["Authorization"]}, "Proxy-Authorization": {"Basic " + secrets["Proxy-Authorization"]},
			"Cookie": {"session=" + secrets["Cookie"]}, "X-Api-Key": {secrets["X-Api-Key"]},
			"Content-Type": {contentType}, "Traceparent": {secrets["header"]}, requestIDHeader: {"no id: " + secrets["header"]},
		}
		if responded, err := r.http1.RoundTrip(outgoing); err == nil {
			_, _ = io.Copy(io.Discard, responded.Body)
			responded.Body.Close()
		}
	}
	// The sink takes events, wants another token, refuses them, and is gone.
	ask("text/plain")
	agenttest.Eventually(t, "an event of a request with secrets arrives", func() bool { return strings.Contains(r.sink.all(), body) })
	statuses := []int{202, 401, 400, 503}
	r.sink.responding(func(n int) reply {
		return reply{status: statuses[choose.IntN(len(statuses))], body: []byte(reason)}
	})
	for range 10 {
		ask("text/plain")
	}
	r.sink.responding(func(int) reply { return reply{status: 400} })
	ask("text/plain")
	agenttest.Eventually(t, "a dead letter of a request with secrets arrives", func() bool { return strings.Contains(r.letters.all(), body) })
	r.sink.responding(nil)
	if !r.sink.authorized("Bearer " + secrets["token"]) {
		t.Error("the sink got no token, so none could leak")
	}
	r.network.become(resetting)
	ask("text/plain")
	ask("text/plain")
	r.idle()
	r.awaitSpooled()
	files := filesIn(t, spooled)
	// A request that is none, and one that the model doesn't respond.
	raw := r.Dial()
	fmt.Fprintf(raw, "POST /%s HTTP/9.9\r\n%s\x00: %s\r\n\r\n", path, secrets["header"], secrets["Cookie"])
	_, _ = io.Copy(io.Discard, raw)
	raw.Close()
	r.Model.Close()
	ask("text/" + secrets["header"] + `; "` + secrets["header"])
	pages := map[string]string{"status": r.Page("/status"), "readiness": r.Page("/readyz")}
	if metricsProtocol == "prometheus" {
		pages["metrics"] = r.Page("/metrics")
	} else {
		agenttest.Eventually(t, "metrics arrive at the collector", func() bool { return strings.Contains(telemetry.all(), "sidenote.events.observed") })
		pages["metrics"] = telemetry.all()
	}
	r.network.become(healthy)
	agenttest.Eventually(t, "a ledger event arrives", func() bool { return strings.Contains(r.sink.all(), `"agentinstance":`) })
	r.Signal(syscall.SIGTERM)
	r.Wait()
	pages["log"], pages["telemetry"] = r.Logs.String(), telemetry.all()

	if err := keepsSecrets(append(hidden, path, body, owner, reason), pages); err != nil {
		t.Error(err)
	}
	// A media type is the client's to choose, and an attribute of the event.
	delete(secrets, "header")
	if err := keepsSecrets(slices.Collect(maps.Values(secrets)), map[string]string{
		"spool":        files,
		"events":       strings.ReplaceAll(r.sink.all(), "Authorization:[Bearer "+secrets["token"]+"]", ""),
		"dead letters": r.letters.all(),
	}); err != nil {
		t.Error(err)
	}
	for where, said := range map[string]string{"log": "agent ends", "telemetry": "/v1/traces"} {
		if !strings.Contains(pages[where], said) {
			t.Errorf("the %s said nothing, so nothing could leak", where)
		}
	}
	// What such an exchange would have leaked is not there to be found.
	for line := range strings.Lines(pages["log"]) {
		if strings.Contains(line, "a panic") {
			t.Errorf("the agent panicked: %s", line)
		}
	}
	if !strings.Contains(pages["metrics"], "observed") || !strings.Contains(files, body) {
		t.Error("there are no metrics, or there is nothing in the spool, so nothing could leak")
	}
}

// everyKind is what --events takes for all of them.
func everyKind() string {
	var kinds []string
	for _, kind := range agentconfig.Kinds() {
		kinds = append(kinds, string(kind))
	}
	return strings.Join(kinds, ",")
}

func filesIn(t *testing.T, directory string) string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal("reading the spool:", err)
	}
	var all strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			t.Fatal("reading the spool:", err)
		}
		fmt.Fprintf(&all, "%s\n%s\n", entry.Name(), content)
	}
	return all.String()
}

// collector keeps what is exported to it: protocol buffers have strings as they
// are.
type collector struct {
	mu    sync.Mutex
	heard strings.Builder
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var reader io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		inflated, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		reader = inflated
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.heard, "%s %v\n%s\n", r.RequestURI, r.Header, body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard.String()
}

// TestExpiredCertificate: no event goes there, and the model serves.
func TestExpiredCertificate(t *testing.T) {
	inRounds(t, func(t *testing.T, _ *rand.Rand) {
		certificate, authority := agenttest.NewCertificate(t, time.Now().Add(-time.Hour))
		r := newRig(t, overTLS(certificate), with("--sink.default.ca-certs="+authority))
		r.load(2, 10, small())
		r.awaitFailure(1)
		e := r.soFar()
		hold(t, e, append(always(), lossesAreCountable)...)
		if len(e.sink) != 0 || e.agent.Pending != 40 {
			t.Errorf("the sink has %d events, the ledger says %+v", len(e.sink), e.agent)
		}
	})
}
