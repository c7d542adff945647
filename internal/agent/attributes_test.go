/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestEventAttributes is design.md's contract, as a subscriber sees it.
func TestEventAttributes(t *testing.T) {
	r := newRig(t, agenttest.With("--metadata=team=ai-platform", "--metadata=owner=ml-ops", "--inference-service=my-model", "--namespace=models", "--component=predictor"))

	status, body := r.Post("/v1/models/my-model:predict", `{"instances":[[1,2]]}`)
	if status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
		t.Fatalf("the client got %d %s", status, body)
	}

	request, response := r.Sink.Of("request"), r.Sink.Of("response")
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
		t.Errorf("the response's own attributes are wrong: %v", response.Extensions())
	}
	if got := request.Attribute("agentsequence") + " " + response.Attribute("agentsequence"); got != "000000000001 000000000002" {
		t.Errorf("sequences: %s", got)
	}
}

// TestOddRequestHeadsGiveValidEvents that people have reported: each gives the events that a
// subscriber expects of it.
func TestOddRequestHeadsGiveValidEvents(t *testing.T) {
	const body = `{"instances":[[1,2,3,4]]}`
	for _, test := range []struct {
		name, head                     string
		subject, contentType, replaced string
	}{
		{
			name: "a pipe in the path", head: "POST /v2/models/org|model/infer HTTP/1.1\nHost: m\nContent-Type: application/json",
			subject: "/v2/models/org|model/infer", contentType: "application/json",
		},
		{
			name: "UTF-8 in the path", head: "POST /v1/models/modèle:predict HTTP/1.1\nHost: m\nContent-Type: application/json",
			subject: "/v1/models/modèle:predict", contentType: "application/json",
		},
		{
			name: "no UTF-8 in the path", head: "POST /v1/models/mod\xe8le:predict HTTP/1.1\nHost: m\nContent-Type: application/json",
			subject: "/v1/models/mod%E8le:predict", contentType: "application/json", replaced: "subject",
		},
		{
			name: "charset twice", head: "POST /p HTTP/1.1\nHost: m\nContent-Type: application/json; charset=utf-8; charset=UTF-8",
			subject: "/p", contentType: "application/json", replaced: "datacontenttype",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The response has the content type of the request.
			r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header()["Content-Type"] = r.Header["Content-Type"]
				_, _ = io.WriteString(w, body)
			})))
			if status, got := r.raw(test.head + "\nContent-Length: 25\n\n" + body); status != http.StatusOK || got != body {
				t.Fatalf("the client got %d with %s", status, got)
			}
			for _, kind := range []string{"request", "response"} {
				e := r.Sink.Of(kind)
				if e.Subject() != test.subject || e.DataContentType() != test.contentType || e.Attribute("replaced") != test.replaced || string(e.Data()) != body {
					t.Errorf("%s: subject %q, content type %q, replaced %q, data %s", kind, e.Subject(), e.DataContentType(), e.Attribute("replaced"), e.Data())
				}
			}
		})
	}
}

func TestNewMetadataAppliesToNextEvent(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, agenttest.With("--metadata=team=first", "--metadata-dir="+dir))
	r.Post("/", `{}`)
	r.settled()
	before := r.agent.metadata.Status().Hash
	if err := os.WriteFile(filepath.Join(dir, "attributes.json"), []byte(`{"team":"secondcanary"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "the new metadata is in force", func() bool { return r.agent.metadata.Status().Hash != before })
	r.Post("/", `{}`)
	events := r.Sink.Await(4)
	got := make(map[string]int)
	for _, e := range events {
		got[e.Attribute("team")]++
	}
	if got["first"] != 2 || got["secondcanary"] != 2 {
		t.Errorf("teams: %v", got)
	}
	if !strings.Contains(r.Logs.String(), "metadata applied") || strings.Contains(r.Logs.String(), "secondcanary") {
		t.Errorf("the change is to be logged without its value: %s", r.Logs)
	}
}

func TestEventTimeIsTheExchangeTime(t *testing.T) {
	r := newRig(t)
	before := time.Now()
	r.Post("/", "{}")
	after := time.Now()
	for _, e := range r.Sink.Await(2) {
		if e.Time().Before(before) || e.Time().After(after.Add(time.Second)) {
			t.Errorf("%s at %s, the exchange was from %s to %s", e.Type(), e.Time(), before, after)
		}
	}
}

// TestMissingRequestIDIsAdded, and is then the correlation id.
func TestMissingRequestIDIsAdded(t *testing.T) {
	seen := make(chan []string, 2)
	model := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header["X-Request-Id"] })
	r := newRig(t, agenttest.InFrontOf(model))
	r.Post("/", "{}")
	added := <-seen
	if event := r.Sink.Of("request"); len(added) != 1 || added[0] != event.Attribute("correlationid") || event.Attribute("clientrequestid") != "" {
		t.Errorf("the model saw %q, the subscriber %v", added, event)
	}
	r.Do(http.MethodGet, "/", http.Header{"X-Request-Id": {"mine", "twice"}}, nil)
	if kept := <-seen; !slices.Equal(kept, []string{"mine", "twice"}) {
		t.Errorf("the model saw %q", kept)
	}
}
