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
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

func (r *rig) leftOut(reason string) uint64 {
	for name, count := range r.agent.status().LeftOut {
		if string(name) == reason {
			return count
		}
	}
	return 0
}

func TestHeadersOfARequestAreAttributesOfItsEvents(t *testing.T) {
	r := newRig(t, agenttest.With("--metadata=team=ai", "--metadata-header=tenant=x-tenant", "--metadata-header=experiment=X-EXPERIMENT", "--metadata-header=via=Host"))
	for _, tenant := range []string{"acme", "Zoë, \"the\" %41 = $(X)"} {
		before := len(r.Sink.Events())
		r.Do(http.MethodPost, "/v1/models/m:predict", http.Header{"X-Tenant": {tenant}, "X-Experiment": {" a ", "b"}, "X-Other": {"o"}}, strings.NewReader("{}"))
		for _, e := range r.Sink.Await(before + 2)[before:] {
			if e.Attribute("tenant") != tenant || e.Attribute("experiment") != "a, b" || e.Attribute("team") != "ai" ||
				e.Attribute("via") == "" || e.Attribute("replaced") != "" {
				t.Errorf("%s has %v", e.Type(), e.Extensions())
			}
		}
	}
	// A request without the headers has no such attributes, nor those of another.
	r.Post("/v1/models/m:predict", "{}")
	for _, e := range r.Sink.Await(6)[4:] {
		if e.Attribute("tenant") != "" || e.Attribute("experiment") != "" || e.Attribute("team") != "ai" || e.Attribute("replaced") != "" {
			t.Errorf("%s has %v", e.Type(), e.Extensions())
		}
	}
}

// TestEveryKindOfEventHasTheHeaders of its request, as far as an exchange gives it.
func TestEveryKindOfEventHasTheHeaders(t *testing.T) {
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
		case "/failure":
			w.WriteHeader(http.StatusInternalServerError)
		case "/tunnel":
			connection, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				connection.Close()
			}
		}
	})
	r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--metadata-header=tenant=X-Tenant", "--max-payload-bytes=64",
		"--events=request,response,stream,response.failure,request.failure,request.oversize,tunnel"))
	header := http.Header{"X-Tenant": {"acme"}}
	for _, path := range []string{"/stream", "/failure"} {
		r.Do(http.MethodPost, path, header, strings.NewReader("{}"))
	}
	r.Do(http.MethodPost, "/large", header, strings.NewReader(strings.Repeat("x", 100)))
	connection := r.Dial()
	fmt.Fprint(connection, "GET /tunnel HTTP/1.1\r\nHost: h\r\nX-Tenant: acme\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_, _ = io.ReadAll(connection)
	connection.Close()
	connection = r.Dial()
	fmt.Fprint(connection, "POST /aborted HTTP/1.1\r\nHost: h\r\nX-Tenant: acme\r\nContent-Length: 10\r\n\r\n{}")
	connection.Close()
	agenttest.Eventually(t, "there is an event of each kind", func() bool {
		kinds := r.kinds()
		for _, kind := range []string{"request", "response", "stream", "response.failure", "request.failure", "request.oversize", "tunnel"} {
			if !strings.Contains(" "+kinds+" ", " "+kind+" ") {
				return false
			}
		}
		return true
	})
	for _, e := range r.Sink.Events() {
		if e.Attribute("tenant") != "acme" {
			t.Errorf("%s of %s has %v", e.Type(), e.Subject(), e.Extensions())
		}
	}
}

// TestWhatAHeaderMustNotBringIsNamed in the attribute replaced, and counted.
func TestWhatAHeaderMustNotBringIsNamed(t *testing.T) {
	const secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZw"
	for name, test := range map[string]struct {
		value, reason string
	}{
		"a secret":       {"x " + secret, "denied"},
		"no UTF-8":       {"\xff\xfe", "invalid"},
		"a control code": {"a\u0085b", "invalid"},
		"a noncharacter": {"a\ufffeb", "invalid"},
		"a tab":          {"a\tb", "invalid"},
		"a long one":     {strings.Repeat("a", 1025), "length"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, agenttest.With("--metadata-header=tenant=X-Tenant", "--metadata-header=other=X-Other"))
			r.Do(http.MethodPost, "/v1/models/m:predict", http.Header{"X-Tenant": {test.value}, "X-Other": {"o"}}, strings.NewReader("{}"))
			for _, e := range r.Sink.Await(2) {
				if _, found := e.Extensions()["tenant"]; found || e.Attribute("replaced") != "tenant" || e.Attribute("other") != "o" {
					t.Errorf("%s has %v", e.Type(), e.Extensions())
				}
			}
			if got := r.leftOut(test.reason); got != 2 {
				t.Errorf("%d are counted for %s", got, test.reason)
			}
			if page := r.Page("/metrics"); !strings.Contains(page, "sidenote_metadata_left_out_total{reason=\""+test.reason+"\"} 2") || strings.Contains(page, secret) {
				t.Errorf("the metrics are\n%s", page)
			}
			r.Kill()
			if strings.Contains(r.Logs.String(), secret) {
				t.Errorf("the logs tell the value:\n%s", r.Logs)
			}
			if status, _ := json.Marshal(r.agent.status()); strings.Contains(string(status), secret) {
				t.Errorf("the status tells the value: %s", status)
			}
		})
	}
}

// TestGivenDeniedValuesReplaceTheBuiltInOnes.
func TestGivenDeniedValuesReplaceTheBuiltInOnes(t *testing.T) {
	r := newRig(t, agenttest.With("--metadata-header=a=X-A", "--metadata-header=b=X-B", "--denied-value=^internal-", "--denied-value=(?i)forbidden"))
	r.Do(http.MethodPost, "/p", http.Header{"X-A": {"internal-7"}, "X-B": {"AKIAIOSFODNN7" + "EXAMPLE"}}, strings.NewReader("{}"))
	e := r.Sink.Of("request")
	if e.Attribute("a") != "" || e.Attribute("b") == "" || e.Attribute("replaced") != "a" {
		t.Errorf("the event has %v", e.Extensions())
	}
}

// TestOwnersAttributesTakePrecedenceOverHeaders, in name and in room.
func TestOwnersAttributesTakePrecedenceOverHeaders(t *testing.T) {
	dir := t.TempDir()
	owners := map[string]string{"tenant": "of the owner"}
	for i := range 3 {
		owners[fmt.Sprintf("large%d", i)] = strings.Repeat("v", 1000)
	}
	content, _ := json.Marshal(owners)
	if err := os.WriteFile(filepath.Join(dir, "attributes.json"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, agenttest.With("--metadata-dir="+dir, "--metadata-header=tenant=X-Tenant", "--metadata-header=long=X-Long", "--metadata-header=longer=X-Longer", "--metadata-header=short=X-Short"))
	r.Do(http.MethodPost, "/p", http.Header{
		"X-Tenant": {"of the client"}, "X-Long": {strings.Repeat("l", 900)}, "X-Longer": {strings.Repeat("l", 1000)}, "X-Short": {"s"},
	}, strings.NewReader("{}"))
	for _, e := range r.Sink.Await(2) {
		if e.Attribute("tenant") != "of the owner" || len(e.Attribute("long")) != 900 || e.Attribute("longer") != "" || e.Attribute("short") != "s" || e.Attribute("replaced") != "longer" {
			t.Errorf("%s has %v", e.Type(), e.Extensions())
		}
	}
	if got := r.leftOut("length"); got != 2 {
		t.Errorf("%d are counted for length", got)
	}
}

// TestATightenedListAppliesToTheNextEvent: the agent reads it with its metadata.
func TestATightenedListAppliesToTheNextEvent(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, agenttest.With("--metadata-dir="+dir, "--metadata-header=tenant=X-Tenant"))
	post := func() {
		r.Do(http.MethodPost, "/p", http.Header{"X-Tenant": {"project-x"}}, strings.NewReader("{}"))
		r.settled()
	}
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, "next"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "denied-values.json")); err != nil {
			t.Fatal(err)
		}
	}
	post()
	write(`["project-[xy]"]`)
	agenttest.Eventually(t, "the list is in use", func() bool { return len(r.agent.guard.DeniedValues()) == 1 })
	post()
	write(`["project`)
	agenttest.Eventually(t, "the malformed list is counted", func() bool { return r.agent.status().Metadata.Failures == 1 })
	post()
	got := make(map[string]int)
	for _, e := range r.Sink.Await(6) {
		got[e.Attribute("tenant")+"/"+e.Attribute("replaced")]++
	}
	if got["project-x/"] != 2 || got["/tenant"] != 4 {
		t.Errorf("tenants: %v", got)
	}
}

// TestHeadersComeThroughTheSpool as they went out.
func TestHeadersComeThroughTheSpool(t *testing.T) {
	r := newRig(t, agenttest.To(agenttest.NewSink(t, agenttest.Down)), agenttest.With(
		"--metadata-header=tenant=X-Tenant", "--sink.default.spool-dir="+t.TempDir(), "--sink.default.spool-bytes=10000000"))
	r.Do(http.MethodPost, "/p", http.Header{"X-Tenant": {"Zoë"}}, strings.NewReader("{}"))
	agenttest.Eventually(t, "the events are spooled", func() bool { return r.ledger().Spooled == 2 })
	r.Kill()
	r.Sink.Recover()
	r.Restart()
	for _, e := range r.Sink.Await(2) {
		if e.Attribute("tenant") != "Zoë" {
			t.Errorf("%s has %v", e.Type(), e.Extensions())
		}
	}
}
