/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/receiver"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// raw sends a request as it stands, with a newline for each end of a line of its
// head, and gives the response's status and body.
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
			counts, skipped := r.settled(), r.agent.status().Skipped[ledger.SkipProbe]
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
			// The response has the content type of the request.
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
			for reason, count := range r.agent.status().Skipped {
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

// TestATunnelEndsEachWayByItself: the model responds after the client's end.
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
	if counts := r.settled(); counts.Observed != 2 || len(r.agent.status().Skipped) != 0 {
		t.Errorf("the ledger says %+v, skipped %v", counts, r.agent.pipeline.Skips().Snapshot())
	}
}

// TestTooManyExchangesAreRefused by 503 and counted, those under way go on, and
// when one has ended there is room again.
func TestTooManyExchangesAreRefused(t *testing.T) {
	for name, client := range agenttest.Clients {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan struct{})
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hold" {
					<-goOn
				}
				agenttest.Predictor().ServeHTTP(w, r)
			}), "--max-exchanges=3")
			var group sync.WaitGroup
			held := client(t)
			for range 3 {
				group.Go(func() {
					answer, err := held.Post(r.url("/hold"), "application/json", strings.NewReader("{}"))
					if err != nil {
						t.Error("an exchange under way is lost:", err)
						return
					}
					defer answer.Body.Close()
					if answer.StatusCode != http.StatusOK {
						t.Errorf("an exchange under way is answered with %d", answer.StatusCode)
					}
				})
			}
			agenttest.Eventually(t, "three are under way", func() bool { return r.agent.handler.Active() == 3 })

			// Whether the rest of the request comes or not.
			body, rest := io.Pipe()
			asked, err := http.NewRequest(http.MethodPost, r.url("/v1/models/m:predict"), body)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := client(t).Do(asked)
			if err != nil {
				t.Fatal("one too many:", err)
			}
			said, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			rest.Close()
			if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("one too many is answered with %d %v %q, %v", answer.StatusCode, answer.Header, said, err)
			}
			if skipped := r.agent.status().Skipped[ledger.SkipOverload]; skipped != 1 {
				t.Errorf("%d refusals are counted", skipped)
			}
			close(goOn)
			group.Wait()
			r.settled()
			if status, _ := r.post("/v1/models/m:predict", "{}"); status != http.StatusOK {
				t.Errorf("when there is room the answer is %d", status)
			}
		})
	}
}

// TestALongHeadCountsAsSeveralExchanges, but whoever is alone always has room.
func TestALongHeadCountsAsSeveralExchanges(t *testing.T) {
	goOn := make(chan struct{})
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		agenttest.Predictor().ServeHTTP(w, r)
	}), "--max-exchanges=10")
	long := "/" + strings.Repeat("a", 800<<10)
	statuses := make(chan string, 2)
	ask := func() {
		answer, err := agenttest.HTTP1Client(t).Post(r.url(long), "application/json", strings.NewReader("{}"))
		if err != nil {
			statuses <- err.Error()
			return
		}
		answer.Body.Close()
		statuses <- fmt.Sprint(answer.StatusCode)
	}
	go ask()
	agenttest.Eventually(t, "one is under way", func() bool { return r.agent.handler.Active() == 1 })
	go ask()
	if got := <-statuses; got != "503" {
		t.Errorf("the second is answered with %s", got)
	}
	close(goOn)
	if got := <-statuses; got != "200" {
		t.Errorf("the first is answered with %s", got)
	}
}

// TestNoClientHidesFromTheLog: whatever a client writes into its request so that
// it is taken for a loop, or can't be read, the exchange leaves an event, or at
// the very least a count.
func TestNoClientHidesFromTheLog(t *testing.T) {
	const ownType, kept = "io.kubeflow.serving.inference.request", 4096
	own := `{"specversion":"1.0","id":"1","source":"s","data":{"type":"x"},"type":"` + ownType + `"}`
	other := `{"specversion":"1.0","type":"com.example.other","id":"1","source":"s"}`
	padded := `{"padding":"` + strings.Repeat(" ", 100_000) + `",` + own[1:]
	const structured, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
	for _, test := range []struct {
		name, body string
		header     map[string]string
		// events are the kinds that go out; reason is the attribute of a loop.
		events, reason string
		// skipped is set where there is no event but a count.
		skipped bool
	}{
		{name: "Ce-Type", header: map[string]string{"Ce-Type": "io.kubeflow.serving.inference.x"}, body: "{}", events: "loop", reason: "header"},
		{name: "Ce-Type of a ledger event", header: map[string]string{"Ce-Type": receiver.LedgerType}, body: "{}", events: "loop", reason: "header"},
		{name: "Ce-Type, with a body over the cap", header: map[string]string{"Ce-Type": ownType}, body: padded, events: "loop", reason: "header"},
		{name: "Ce-Type, without a body", header: map[string]string{"Ce-Type": ownType}, events: "loop", reason: "header"},
		{name: "an event of ours as the body", header: map[string]string{"Content-Type": structured}, body: own, events: "loop", reason: "body"},
		{name: "an event of ours with data over the cap", header: map[string]string{"Content-Type": structured}, body: own[:len(own)-1] + `,"data_base64":"` + strings.Repeat("A", kept) + `"}`, events: "loop", reason: "body"},
		{name: "an event of ours in a batch", header: map[string]string{"Content-Type": batch}, body: "[" + other + "," + own + "]", events: "loop", reason: "body"},
		{name: "a batch that hides it behind a loop", header: map[string]string{"Content-Type": batch}, body: "[" + strings.Replace(own, ownType, "io.kubeflow.serving.inference.loop", 1) + "," + own + "]", events: "loop", reason: "body"},
		{name: "padding past the cap", header: map[string]string{"Content-Type": structured}, body: padded, events: "loop", reason: "unreadable"},
		{name: "padding past the cap, and no event", header: map[string]string{"Content-Type": "application/json"}, body: padded, events: "request.oversize response"},
		{name: "an event that is cut off", header: map[string]string{"Content-Type": structured}, body: own[:20], events: "request response"},
		{name: "Content-Encoding: br", header: map[string]string{"Content-Encoding": "br", "Content-Type": "application/json"}, body: "{}", events: "request.encoded response"},
		{name: "Content-Encoding: br, and an event of ours", header: map[string]string{"Content-Encoding": "br", "Content-Type": structured}, body: own, events: "loop", reason: "body"},
		{name: "Accept-Encoding: br", header: map[string]string{"Accept-Encoding": "br"}, body: "{}", events: "request response.encoded"},
		{name: "a foreign event", header: map[string]string{"Content-Type": structured}, body: other, events: "request response"},
		{name: "a foreign batch", header: map[string]string{"Content-Type": batch}, body: "[" + other + "]", events: "request response"},
		{name: "Ce-Type of a foreign event", header: map[string]string{"Ce-Type": "com.example.other"}, body: "{}", events: "request response"},
		// What ends a loop leaves no event, or there would be no end.
		{name: "Ce-Type of a loop", header: map[string]string{"Ce-Type": "io.kubeflow.serving.inference.loop"}, body: "{}", skipped: true},
		{name: "a loop as the body", header: map[string]string{"Content-Type": structured}, body: strings.Replace(own, ownType, "io.kubeflow.serving.inference.loop", 1), skipped: true},
		{name: "padding past the cap that may be a loop", header: map[string]string{"Content-Type": structured}, body: `{"padding":"` + strings.Repeat(" ", kept) + `",` + own[1:], skipped: true},
	} {
		for _, mode := range []string{"all", "request"} {
			t.Run(test.name+", mode "+mode, func(t *testing.T) {
				model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Accept-Encoding") == "br" {
						w.Header().Set("Content-Encoding", "br")
					}
					agenttest.Predictor().ServeHTTP(w, r)
				})
				r := newRig(t, model, "--max-payload-bytes="+strconv.Itoa(kept), "--mode="+mode)
				request, err := http.NewRequest(http.MethodPost, r.url("/v1/models/m:predict"), strings.NewReader(test.body))
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range test.header {
					request.Header.Set(name, value)
				}
				answer, err := agenttest.HTTP1Client(t).Do(request)
				if err != nil {
					t.Fatal(err)
				}
				if content := readAll(t, answer); answer.StatusCode != http.StatusOK || content != `{"predictions":[0.8,0.2]}` {
					t.Errorf("the client got %s %s", answer.Status, content)
				}
				answer.Body.Close()
				counts, skipped := r.settled(), r.agent.pipeline.Skips().Snapshot()
				if test.skipped {
					if counts.Observed != 0 || skipped.Exchanges[ledger.SkipLoop] != 1 || len(skipped.Events) != 0 {
						t.Errorf("the ledger says %+v, skipped %+v", counts, skipped)
					}
					return
				}
				var kinds []string
				for _, e := range r.sink.Events() {
					kinds = append(kinds, strings.TrimPrefix(e.Type(), "io.kubeflow.serving.inference."))
				}
				want := strings.Fields(test.events)
				if mode == "request" && len(want) == 2 {
					// By what its head says: nobody tried to decode it.
					if skipped.Events["response"]+skipped.Events["response.encoded"] != 1 {
						t.Errorf("skipped %+v", skipped)
					}
					want = want[:1]
				}
				if sortedWords(kinds) != sortedWords(want) || len(skipped.Exchanges) != 0 {
					t.Fatalf("got %v, want %v; skipped %+v", kinds, want, skipped)
				}
				if test.reason == "" {
					return
				}
				sum := sha256.Sum256([]byte(test.body))
				e := r.sink.Events()[0]
				if e.Attribute("loopreason") != test.reason || len(e.Data()) != 0 || e.Attribute("statuscode") != "200" || e.Attribute("durationms") == "" ||
					e.Subject() != "/v1/models/m:predict" || e.Attribute("bodysize") != strconv.Itoa(len(test.body)) || e.Attribute("bodysha256") != hex.EncodeToString(sum[:]) {
					t.Errorf("unexpected event: %v", e)
				}
			})
		}
	}
}

// TestALoopEnds: a model behind a Trigger without a filter, which matches the
// events of the model's own agent.
func TestALoopEnds(t *testing.T) {
	for _, test := range []struct {
		name  string
		line  []string
		calls int64
	}{
		// One of the client, one for each of its two events, one for each of the
		// loop events of those.
		{"in binary mode", []string{"--content-mode=binary"}, 5},
		{"in structured mode", []string{"--content-mode=structured"}, 5},
		// No event can be read here, so the first ones end it.
		{"of events over the cap", []string{"--content-mode=structured", "--max-payload-bytes=1"}, 3},
		{"without loop events", []string{"--events=request,response"}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int64
			var agent atomic.Value
			trigger := agenttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				delivered, err := http.NewRequest(http.MethodPost, agent.Load().(string), bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				delivered.Header = r.Header.Clone()
				answer, err := agenttest.HTTP1Client(t).Do(delivered)
				if err != nil {
					t.Error(err)
					return
				}
				answer.Body.Close()
				w.WriteHeader(http.StatusAccepted)
			})).URL
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				agenttest.Predictor().ServeHTTP(w, r)
			}), append(test.line, "--sink="+trigger)...)
			agent.Store(r.url("/v1/models/m:predict"))
			r.post("/v1/models/m:predict", "{}")
			if counts := r.settled(); counts.Delivered != counts.Observed {
				t.Errorf("the ledger says %+v", counts)
			}
			if got := calls.Load(); got != test.calls {
				t.Errorf("the model was called %d times, want %d", got, test.calls)
			}
		})
	}
}

// TestAStreamThatItsClientLeavesAtDoneIsOne, each time: the model's last chunk
// comes late, or never, because the agent tells it that the client has left.
func TestAStreamThatItsClientLeavesAtDoneIsOne(t *testing.T) {
	const streams = 20
	for name, clientOf := range agenttest.Clients {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				for n := range 5 {
					fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\n", n)
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.WriteString(w, "data: [DONE]\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}), "--events=request,response,stream,response.failure")
			client := clientOf(t)
			for range streams {
				ctx, leave := context.WithCancel(t.Context())
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url("/v1/chat/completions"), strings.NewReader(`{"stream":true}`))
				if err != nil {
					t.Fatal(err)
				}
				answer, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(answer.Body)
				for lines.Scan() && lines.Text() != "data: [DONE]" {
				}
				leave()
				answer.Body.Close()
			}
			// Each gives two events.
			for _, e := range r.sink.Await(2 * streams) {
				if kind := strings.TrimPrefix(e.Type(), "io.kubeflow.serving.inference."); kind != "request" && kind != "stream" {
					t.Errorf("a %s: %s", kind, e.Data())
				} else if kind == "stream" && !strings.HasSuffix(string(e.Data()), "data: [DONE]\n\n") {
					t.Errorf("a stream that ends with %q", e.Data())
				}
			}
		})
	}
}
