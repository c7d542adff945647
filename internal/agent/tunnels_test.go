/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestTunnelDirectionsEndSeparately: the model responds after the client's end.
func TestTunnelDirectionsEndSeparately(t *testing.T) {
	model := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		connection, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer connection.Close()
		_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		said, _ := io.ReadAll(buffered)
		_, _ = connection.Write(append([]byte("all: "), said...))
	})
	r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--events=tunnel", "--mode=request"))
	connection := r.Dial()
	defer connection.Close()
	fmt.Fprint(connection, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	reader := bufio.NewReader(connection)
	if response, err := http.ReadResponse(reader, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the client got %v, %v", response, err)
	}
	fmt.Fprint(connection, "hello")
	if err := connection.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(reader); string(said) != "all: hello" || err != nil {
		t.Errorf("the client got %q, %v", said, err)
	}
	event := r.Sink.Of("tunnel")
	if event.Attribute("bytesfromclient") != "5" || event.Attribute("bytesfrommodel") != "10" || event.Attribute("statuscode") != "101" || len(event.Data()) != 0 {
		t.Errorf("unexpected event: %v", event)
	}
}

// TestRefusedUpgradeGivesEvents: a client can't keep a prediction unseen by
// asking for an upgrade that the model doesn't know.
func TestRefusedUpgradeGivesEvents(t *testing.T) {
	r := newRig(t, agenttest.With("--events=request,response,tunnel"))
	connection := r.Dial()
	defer connection.Close()
	fmt.Fprint(connection, "POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}")
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), `{"predictions"`) {
		t.Errorf("the client got %s %s", response.Status, body)
	}
	if got := string(r.Sink.Of("request").Data()); got != "{}" {
		t.Errorf("request data: %q", got)
	}
	r.Sink.Of("response")
	if counts := r.settled(); counts.Observed != 2 || len(r.agent.status().Skipped) != 0 {
		t.Errorf("the ledger says %+v, skipped %v", counts, r.agent.pipeline.Skips().Snapshot())
	}
}

func TestWebSocketPasses(t *testing.T) {
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Upgrade") {
		case "websocket":
		case "":
			http.Error(w, "no upgrade", http.StatusUpgradeRequired)
			return
		default:
			http.Error(w, "an upgrade that isn't to pass", http.StatusBadRequest)
			return
		}
		agenttest.EchoTunnel(w, r)
	})
	r := newRig(t, agenttest.InFrontOf(model))
	for _, test := range []struct{ upgrade, status string }{
		{"websocket", "101"},
		{"h2c", "426"},
	} {
		connection := r.Dial()
		fmt.Fprintf(connection, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", test.upgrade)
		reader := bufio.NewReader(connection)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(response.Status, test.status) {
			t.Errorf("upgrade to %s: %s", test.upgrade, response.Status)
		}
		if test.status == "101" {
			fmt.Fprint(connection, "hello\n")
			if line, err := reader.ReadString('\n'); line != "echo hello\n" || err != nil {
				t.Errorf("through the tunnel: %q, %v", line, err)
			}
		}
		connection.Close()
	}
	r.settled()
	if got := r.agent.status().SkippedEvents["tunnel"]; got != 1 {
		t.Errorf("%d tunnels skipped, want 1", got)
	}
}
