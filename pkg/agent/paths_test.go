/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestOnlyInferenceIsLogged, and everything else passes and is counted.
func TestOnlyInferenceIsLogged(t *testing.T) {
	for _, test := range []struct {
		name      string
		arguments []string
		method    string
		path      string
		agent     string
		skipped   string
	}{
		{"a prediction", nil, "POST", "/v1/models/m:predict", "", ""},
		{"a V1 status", nil, "GET", "/v1/models/m", "", "probe"},
		{"a V2 readiness", nil, "GET", "/v2/health/ready", "", "probe"},
		{"a scrape", nil, "GET", "/metrics", "", "probe"},
		{"a kubelet", nil, "GET", "/predict", "kube-probe/1.34", "probe"},
		{"a prediction that calls itself a probe", nil, "POST", "/predict", "kube-probe/1.34", ""},
		{"a path that is listed", []string{"--paths=/v1/*:predict"}, "POST", "/v1/models/m:predict", "", ""},
		{"a path that isn't", []string{"--paths=/v1/*:predict"}, "POST", "/v1/models/m:explain", "", "path"},
		{"a path that is excluded", []string{"--paths=/v1/*", "--paths=!*:explain"}, "POST", "/v1/models/m:explain", "", "path"},
		{"a path that is escaped", []string{"--paths=/v1/*:predict"}, "POST", "/v1/models/m%3Apredict", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.Predictor(), test.arguments...)
			request, err := http.NewRequest(test.method, r.url(test.path), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if test.agent != "" {
				request.Header.Set("User-Agent", test.agent)
			}
			answer, err := agenttest.HTTP1Client(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if body, _ := io.ReadAll(answer.Body); string(body) != `{"predictions":[0.8,0.2]}` {
				t.Errorf("the client got %s %s", answer.Status, body)
			}
			want, skips := uint64(2), uint64(0)
			if test.skipped != "" {
				want, skips = 0, 1
			}
			if counts := r.settled(); counts.Observed != want || len(r.sink.Events()) != int(want) {
				t.Errorf("%d events, want %d", counts.Observed, want)
			}
			var all uint64
			for reason, count := range r.agent.state().Skipped.Exchanges {
				all += count
				if string(reason) != test.skipped {
					t.Errorf("skipped for %s", reason)
				}
			}
			if all != skips {
				t.Errorf("%d skipped, want %d", all, skips)
			}
		})
	}
}

// TestATunnelEndsEachWayByItself: the model answers after the client's end.
func TestATunnelEndsEachWayByItself(t *testing.T) {
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
	r := newRig(t, model, "--events=tunnel", "--mode=request")
	connection, err := net.Dial("tcp", r.agent.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	reader := bufio.NewReader(connection)
	if answer, err := http.ReadResponse(reader, nil); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the client got %v, %v", answer, err)
	}
	fmt.Fprint(connection, "hello")
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(reader); string(said) != "all: hello" || err != nil {
		t.Errorf("the client got %q, %v", said, err)
	}
	event := r.sink.Of("tunnel")
	if event.Attribute("bytesfromclient") != "5" || event.Attribute("bytesfrommodel") != "10" || event.Attribute("statuscode") != "101" || len(event.Data()) != 0 {
		t.Errorf("unexpected event: %v", event)
	}
}

// TestARefusedTunnelIsAnExchange: a client can't keep a prediction unseen by
// asking for an upgrade that the model doesn't know.
func TestARefusedTunnelIsAnExchange(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), "--events=request,response,tunnel")
	connection, err := net.Dial("tcp", r.agent.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}")
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), `{"predictions"`) {
		t.Errorf("the client got %s %s", answer.Status, body)
	}
	if got := string(r.sink.Of("request").Data()); got != "{}" {
		t.Errorf("request data: %q", got)
	}
	r.sink.Of("response")
	if counts := r.settled(); counts.Observed != 2 || len(r.agent.state().Skipped.Exchanges) != 0 {
		t.Errorf("the ledger says %+v, skipped %v", counts, r.agent.state().Skipped)
	}
}
