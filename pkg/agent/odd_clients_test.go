/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// raw sends a request as it stands, with a newline for each end of a line of its
// head, and gives the answer's status and body.
func (r *rig) raw(request string) (int, string) {
	r.t.Helper()
	connection, err := net.Dial("tcp", r.agent.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	defer connection.Close()
	head, body, _ := strings.Cut(request, "\n\n")
	if _, err := io.WriteString(connection, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body); err != nil {
		r.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, readAll(r.t, answer)
}

// TestHealthChecksOfOddClients are none of inference, whatever their client adds
// to them. Only what may become a tunnel, or has a body, is.
func TestHealthChecksOfOddClients(t *testing.T) {
	const health = "GET /v2/health/ready HTTP/1.1\nHost: m\n"
	for _, test := range []struct {
		name, request string
		probe         bool
	}{
		{"of Java's HTTP client", health + "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\nUser-Agent: Java-http-client/17.0.15\n\n", true},
		{"with an empty chunked body", health + "Transfer-Encoding: chunked\n\n0\r\n\r\n", true},
		{"with a chunked body", health + "Transfer-Encoding: chunked\n\n2\r\n{}\r\n0\r\n\r\n", false},
		{"that asks for a WebSocket", health + "Connection: upgrade\nUpgrade: websocket\n\n", false},
		{"of a path of inference, with an empty chunked body", "GET /predict HTTP/1.1\nHost: m\nTransfer-Encoding: chunked\n\n0\r\n\r\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.Predictor())
			if status, _ := r.raw(test.request); status != http.StatusOK {
				t.Fatalf("the client got %d", status)
			}
			counts, skipped := r.settled(), r.agent.state().Skipped.Exchanges[ledger.SkipProbe]
			if test.probe && (counts.Observed != 0 || skipped != 1) || !test.probe && (counts.Observed != 2 || skipped != 0) {
				t.Errorf("%d events, %d skipped", counts.Observed, skipped)
			}
		})
	}
}

// TestALargeExchangeLeavesItsEvents as shipped: an image in base64, and a long
// stream, are over the cap and still seen.
func TestALargeExchangeLeavesItsEvents(t *testing.T) {
	image := `{"instances":[{"image_bytes":{"b64":"` + strings.Repeat("QUJD", 205_000) + `"}}]}`
	answer := strings.Repeat(`data: {"choices":[{"delta":{"content":"token"}}]}`+"\n\n", 20_000)
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, answer)
	}), "--metadata=team=ai-platform")
	r.post("/v1/models/my-model:predict", image)
	for kind, body := range map[string]string{"request.oversize": image, "response.oversize": answer} {
		e := r.sink.Of(kind)
		sum := sha256.Sum256([]byte(body))
		if e.Attribute("bodysize") != strconv.Itoa(len(body)) || e.Attribute("bodysha256") != hex.EncodeToString(sum[:]) ||
			e.Attribute("team") != "ai-platform" || len(e.Data()) != 0 {
			t.Errorf("%s: %v", kind, e)
		}
	}
}

// TestOddHeadsOfClients that people have reported: each gives the events that a
// subscriber expects of it.
func TestOddHeadsOfClients(t *testing.T) {
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
			// The answer has the content type of the request.
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header()["Content-Type"] = r.Header["Content-Type"]
				_, _ = io.WriteString(w, body)
			}))
			if status, got := r.raw(test.head + "\nContent-Length: 25\n\n" + body); status != http.StatusOK || got != body {
				t.Fatalf("the client got %d with %s", status, got)
			}
			for _, kind := range []string{"request", "response"} {
				e := r.sink.Of(kind)
				if e.Subject() != test.subject || e.DataContentType() != test.contentType || e.Attribute("replaced") != test.replaced || string(e.Data()) != body {
					t.Errorf("%s: subject %q, content type %q, replaced %q, data %s", kind, e.Subject(), e.DataContentType(), e.Attribute("replaced"), e.Data())
				}
			}
		})
	}
}
