/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/test/agenttest"
	"github.com/sidenote-dev/sidenote/test/performance/process"
)

var owned = []metadata.Attribute{{Name: "owner", Value: "ml-ops"}, {Name: "team", Value: "KI-Plattform ü"}}

// build builds the event of a response, as the agent would with attributes.
func build(t *testing.T, attributes []metadata.Attribute) *event.Event {
	t.Helper()
	builder := event.Builder{
		Identity:        event.Identity{Source: "m", InferenceService: "m", AgentInstance: "i"},
		ContentMode:     agentconfig.ContentModeBinary,
		MaxPayloadBytes: 1 << 10,
	}
	built, err := builder.Build(&event.Observation{
		Exchange:   &event.Exchange{CorrelationID: "c", Path: "/v1/models/m:predict"},
		Side:       event.Response,
		Coding:     event.Coding{ContentType: "application/json"},
		Body:       event.Body{Data: []byte(`{"a":1}`), Size: 7},
		Complete:   true,
		Status:     http.StatusOK,
		GRPCStatus: event.NoStatus,
		At:         time.Unix(1700000000, 0).UTC(),
	}, agentconfig.KindResponse, attributes)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func header(t *testing.T, e *event.Event) http.Header {
	t.Helper()
	message := e.Message(1)
	// Each event has another id.
	message.Header.Del("Ce-Id")
	return message.Header
}

func TestAnEnrichedEventIsTheOneThatTheAgentBuilds(t *testing.T) {
	enriched, err := withAttributes(build(t, nil), owned)
	if err != nil {
		t.Fatal(err)
	}
	got, want := header(t, enriched), header(t, build(t, owned))
	for name := range want {
		if got.Get(name) != want.Get(name) {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want.Get(name))
		}
	}
	if len(got) != len(want) || string(enriched.Data()) != `{"a":1}` {
		t.Errorf("the header is %v, want %v, and the data are %q", got, want, enriched.Data())
	}
}

func TestInvalidStoredEventIsRefused(t *testing.T) {
	stored, _ := build(t, nil).Stored(nil)
	for length := range 40 {
		if _, err := extensionCount(stored[:length]); err == nil {
			t.Errorf("the first %d bytes are taken for an event", length)
		}
	}
}

// sinkOf keeps what it is given.
type sinkOf struct {
	mu    sync.Mutex
	items []*delivery.Item
}

func (s *sinkOf) Account() *ledger.Account { return new(ledger.Account) }

func (s *sinkOf) Accept(item *delivery.Item) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, item)
	return nil
}

func TestEachEventIsLookedUp(t *testing.T) {
	to := new(sinkOf)
	responses := make(chan error, 3)
	s := &enrichingSink{Sink: to, lookup: func(context.Context) ([]metadata.Attribute, error) {
		return owned, <-responses
	}}
	released := 0
	for range 3 {
		s.Accept(&delivery.Item{Event: build(t, nil), Release: func() { released++ }})
	}
	if len(to.items) > 0 {
		t.Error("an event went on without its annotations")
	}
	responses <- nil
	responses <- errors.New("the API server is away")
	responses <- nil
	s.group.Wait()
	if len(to.items) != 2 || released != 1 {
		t.Fatalf("%d events went on, and %d were given up", len(to.items), released)
	}
	for _, item := range to.items {
		if got := header(t, item.Event).Get("Ce-Owner"); got != "ml-ops" {
			t.Errorf("an event went on with the owner %q", got)
		}
	}
}

func TestTheEventsOfAnExchangeAreEnriched(t *testing.T) {
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer model.Close()
	sink := agenttest.NewSink(t)
	addresses, err := process.FreeAddresses(2)
	if err != nil {
		t.Fatal(err)
	}
	port := func(address string) string { return address[strings.LastIndex(address, ":")+1:] }
	line := []string{
		"--port=" + port(addresses[0]), "--admin-port=" + port(addresses[1]), "--target=" + model.URL, "--sink=" + sink.URL,
		"--content-mode=binary", "--source=m", "--inference-service=m", "--namespace=n", "--log-level=error",
	}
	environment := map[string]string{"LOOKUP": "constant", "LOOKUP_CONSTANT": "owner=ml-ops"}
	signals, ended := make(chan os.Signal, 1), make(chan error, 1)
	go func() { ended <- run(line, func(name string) string { return environment[name] }, signals) }()
	agenttest.Eventually(t, "a response of the model", func() bool {
		response, err := http.Post("http://"+addresses[0]+"/v1/models/m:predict", "application/json", strings.NewReader(`{}`))
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	})
	for _, sent := range sink.Await(2) {
		if owner := sent.Attribute("owner"); owner != "ml-ops" {
			t.Errorf("the event %s has the owner %q", sent.Type(), owner)
		}
	}
	signals <- os.Interrupt
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAGETAsksEachTime(t *testing.T) {
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization")+" "+r.URL.RequestURI())
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion":"serving.kubeflow.org/v1beta1","kind":"InferenceService",
			"metadata":{"name":"m","namespace":"n","annotations":{"example.com/Team":"a","other":"b"}}}`))
	}))
	defer server.Close()
	directory := t.TempDir()
	authority, token := filepath.Join(directory, "ca"), filepath.Join(directory, "token")
	writePEM(t, authority, server.Certificate().Raw)
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{
		"LOOKUP_SERVER": server.URL, "LOOKUP_CA_FILE": authority, "LOOKUP_TOKEN_FILE": token,
		"LOOKUP_NAMESPACE": "n", "LOOKUP_NAME": "m", "LOOKUP_ANNOTATIONS": "example.com/Team lacking",
	}
	for manner, query := range map[string]string{"get": "", "get-cached": "?resourceVersion=0"} {
		asked = nil
		environment["LOOKUP"] = manner
		look, err := newLookup(t.Context(), new(sync.WaitGroup), settingsOf(func(name string) string { return environment[name] }))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got, err := look(t.Context())
			if want := []metadata.Attribute{{Name: "team", Value: "a"}}; err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: %v and %v, want %v", manner, got, err, want)
			}
		}
		want := slices.Repeat([]string{"Bearer secret /apis/serving.kubeflow.org/v1beta1/namespaces/n/inferenceservices/m" + query}, 3)
		if !slices.Equal(asked, want) {
			t.Errorf("%s asked %q, want %q", manner, asked, want)
		}
	}
}

func TestConstantsMakeNoRequest(t *testing.T) {
	look, err := newLookup(t.Context(), new(sync.WaitGroup), lookupSettings{manner: "constant", constant: []string{"team=a", "owner=b=c"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := look(t.Context())
	if want := []metadata.Attribute{{Name: "team", Value: "a"}, {Name: "owner", Value: "b=c"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v and %v, want %v", got, err, want)
	}
}

func TestAnUnknownLookupIsAnError(t *testing.T) {
	for _, settings := range []lookupSettings{{manner: "oracle"}, {manner: "constant", constant: []string{"TEAM"}}} {
		if _, err := newLookup(t.Context(), new(sync.WaitGroup), settings); err == nil {
			t.Errorf("%+v is taken", settings)
		}
	}
}

func writePEM(t *testing.T, path string, certificate []byte) {
	t.Helper()
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
