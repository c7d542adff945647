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
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestTheSinksAnswer decides over the event, and never over the client's
// answer.
func TestTheSinksAnswer(t *testing.T) {
	for _, test := range []struct {
		name     string
		statuses []int
		want     ledger.Snapshot
	}{
		{"taken", []int{202}, ledger.Snapshot{Observed: 1, Delivered: 1}},
		{"taken with an answer", []int{200}, ledger.Snapshot{Observed: 1, Delivered: 1}},
		{"unavailable at first", []int{503, 202}, ledger.Snapshot{Observed: 1, Delivered: 1, Retried: 1}},
		{"not yet there", []int{404, 500, 429, 202}, ledger.Snapshot{Observed: 1, Delivered: 1, Retried: 3}},
		{"refused for good", []int{400}, ledger.Snapshot{Observed: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}},
		{"redirected", []int{307}, ledger.Snapshot{Observed: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}},
		{"unauthorized without a token", []int{401}, ledger.Snapshot{Observed: 1, Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.Predictor(), "--mode=response")
			r.sink.Respond(agenttest.Statuses(test.statuses...))
			if status, body := r.post("/", "{}"); status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
				t.Errorf("the client got %d %s", status, body)
			}
			got := r.settled()
			if fmt.Sprint(got) != fmt.Sprint(withDropped(test.want)) {
				t.Errorf("the ledger says %+v, want %+v", got, test.want)
			}
			if uint64(len(r.sink.Events())) != got.Delivered {
				t.Errorf("the subscriber has %d events", len(r.sink.Events()))
			}
		})
	}
}

func withDropped(s ledger.Snapshot) ledger.Snapshot {
	if s.Dropped == nil {
		s.Dropped = map[ledger.Reason]uint64{}
	}
	return s
}

func TestARetryKeepsTheID(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), "--mode=response")
	var mu sync.Mutex
	var ids []string
	r.sink.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, request *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, request.Header.Get("Ce-Id")+" "+request.Header.Get("Ce-Agentsequence"))
		w.WriteHeader(map[bool]int{true: 503, false: 202}[attempt.Number < 3])
	})
	r.post("/", "{}")
	r.settled()
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("ids: %q", ids)
	}
}

// TestNothingAClientGetsDependsOnTheSink (P6): the sink may refuse, hang or be
// gone.
func TestNothingAClientGetsDependsOnTheSink(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	for _, test := range []struct {
		name   string
		line   []string
		answer agenttest.Responder
	}{
		{"refuses", []string{"--sink=http://127.0.0.1:1"}, nil},
		{"hangs", nil, func(_ agenttest.Attempt, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}},
		{"fails", nil, agenttest.Statuses(500)},
		{"is reached by no name", []string{"--sink=http://sink.invalid"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, agenttest.Predictor(), append(test.line, "--buffer-bytes=65536")...)
			r.sink.Respond(test.answer)
			const exchanges = 100
			for range exchanges {
				if status, body := r.post("/", `{"instances":[]}`); status != http.StatusOK || body != `{"predictions":[0.8,0.2]}` {
					t.Fatalf("the client got %d %s", status, body)
				}
			}
			agenttest.Eventually(t, "every exchange is over", func() bool { return r.agent.handler.Active() == 0 })
			counts := r.ledger()
			if counts.Observed != 2*exchanges || counts.Observed != counts.Pending+counts.DroppedTotal() {
				t.Errorf("the ledger says %+v", counts)
			}
			if counts.Dropped[ledger.ReasonBudget] == 0 {
				t.Errorf("the budget held everything: %+v", counts)
			}
			if used := r.agent.budget.Used(); used > 65536 {
				t.Errorf("%d bytes are held", used)
			}
			r.kill()
			counts = r.ledger()
			if counts.Pending != 0 || counts.Dropped[ledger.ReasonShutdown] == 0 || r.agent.budget.Used() != 0 {
				t.Errorf("after the end the ledger says %+v, %d bytes are held", counts, r.agent.budget.Used())
			}
		})
	}
}

// TestTheLedgerClosesFromOutside (P1): a sink that fails at random, many
// clients, and a count of what a subscriber has.
func TestTheLedgerClosesFromOutside(t *testing.T) {
	r := newRig(t, agenttest.Predictor())
	r.sink.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		switch {
		case attempt.Number%7 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case attempt.Number%11 == 0:
			w.WriteHeader(http.StatusBadRequest)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
	const clients, each = 8, 25
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range each {
				r.post("/", `{"instances":[1]}`)
			}
		})
	}
	group.Wait()
	counts := r.settled()
	if counts.Observed != 2*clients*each || counts.Observed != counts.Delivered+counts.DroppedTotal() {
		t.Errorf("the ledger says %+v", counts)
	}
	events := r.sink.Events()
	if uint64(len(events)) != counts.Delivered {
		t.Errorf("the subscriber has %d events, the ledger says %d", len(events), counts.Delivered)
	}
	// The gaps in the sequence are exactly what was lost (P9).
	sequences := make(map[string]bool)
	for _, e := range events {
		sequences[e.Attribute("agentsequence")] = true
	}
	missing := uint64(0)
	for n := uint64(1); n <= counts.Observed; n++ {
		if !sequences[fmt.Sprintf("%012d", n)] {
			missing++
		}
	}
	if missing != counts.DroppedTotal() {
		t.Errorf("%d gaps, %d dropped", missing, counts.DroppedTotal())
	}
}

func TestATokenIsReadAgainOn401(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	var seen []string
	var mu sync.Mutex
	sink := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "Bearer new" {
			write("new")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer sink.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pemOf(sink.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, agenttest.Predictor(), "--mode=response", "--sink="+sink.URL, "--sink.default.ca-certs-file="+authority, "--sink.default.token-file="+path)
	r.post("/", "{}")
	if counts := r.settled(); counts.Delivered != 1 || counts.Retried != 0 {
		t.Errorf("the ledger says %+v", counts)
	}
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(seen) != "[Bearer old Bearer new]" {
		t.Errorf("tokens: %q", seen)
	}
}

func TestATokenNeverGoesToAnOpenSink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	var sent atomic.Bool
	sink := agenttest.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			sent.Store(true)
		}
	})).URL
	r := newRig(t, agenttest.Predictor(), "--sink="+sink, "--sink.default.token-file="+path)
	r.post("/", "{}")
	if counts := r.settled(); counts.Delivered != 2 || sent.Load() {
		t.Errorf("sent: %v, the ledger says %+v", sent.Load(), counts)
	}
}

func TestEachSinkHasItsOwnFate(t *testing.T) {
	other := agenttest.NewSink(t)
	r := newRig(t, agenttest.Predictor(), "--sink=good="+other.URL, "--sink=bad=http://127.0.0.1:1")
	r.post("/", "{}")
	other.Await(2)
	agenttest.Eventually(t, "the good sink is at rest", func() bool { return r.ledger().Pending == 0 })
	sinks := r.agent.status().Sinks
	if sinks["good"].Delivered != 2 || sinks["bad"].Pending != 2 {
		t.Errorf("sinks: %+v", sinks)
	}
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

// TestWhatTheBudgetHasNoRoomForIsCounted, and named where oversize events are
// selected.
func TestWhatTheBudgetHasNoRoomForIsCounted(t *testing.T) {
	body := `"` + strings.Repeat("x", 100_000) + `"`
	t.Run("as a drop", func(t *testing.T) {
		r := newRig(t, agenttest.Predictor(), "--buffer-bytes=65536", "--events=request,response,stream")
		if status, _ := r.post("/", body); status != http.StatusOK {
			t.Errorf("the client got %d", status)
		}
		if counts := r.settled(); counts.Observed != 2 || counts.Dropped[ledger.ReasonBudget] != 1 || counts.Delivered != 1 {
			t.Errorf("the ledger says %+v", counts)
		}
	})
	t.Run("as an event without its body", func(t *testing.T) {
		r := newRig(t, agenttest.Predictor(), "--buffer-bytes=65536", "--events=request,request.oversize")
		r.post("/", body)
		if event := r.sink.Of("request.oversize"); event.Attribute("bodysize") != "100002" || len(event.Data()) != 0 {
			t.Errorf("unexpected event: %v", event)
		}
	})
}

// stuck is a writer that never returns until it is let go.
type stuck struct{ let chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.let
	return len(p), nil
}

func TestAStuckStandardOutputDoesntHoldTheEnd(t *testing.T) {
	let := make(chan struct{})
	r := newRigWriting(t, stuck{let}, agenttest.Predictor(), "--sink=stdout", "--drain-timeout=0s")
	t.Cleanup(func() { close(let) })
	r.post("/", "{}")
	r.signals <- syscall.SIGTERM
	r.wait()
	if counts := r.ledger(); counts.Pending == 0 {
		t.Errorf("the ledger says %+v", counts)
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

// TestDrainServesAndDelivers: after SIGTERM what is under way ends, what comes
// is still served, and what was observed is delivered.
func TestDrainServesAndDelivers(t *testing.T) {
	goOn := make(chan struct{})
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-goOn
		}
		agenttest.Predictor().ServeHTTP(w, r)
	})
	r := newRig(t, model)
	slow := make(chan int)
	go func() {
		answer, err := http.Get(r.url("/slow"))
		if err != nil {
			slow <- 0
			return
		}
		answer.Body.Close()
		slow <- answer.StatusCode
	}()
	agenttest.Eventually(t, "the slow exchange is under way", func() bool { return r.agent.handler.Active() == 1 })
	r.signals <- syscall.SIGTERM
	agenttest.Eventually(t, "the ledger is logged", func() bool { return strings.Contains(r.logs.String(), "agent drains") })
	if status, _ := r.post("/", "{}"); status != http.StatusOK {
		t.Errorf("while draining the client got %d", status)
	}
	close(goOn)
	if status := <-slow; status != http.StatusOK {
		t.Errorf("the slow client got %d", status)
	}
	r.wait()
	counts := r.ledger()
	if counts.Observed != 4 || counts.Delivered != 4 || len(r.sink.Events()) != 4 {
		t.Errorf("the ledger says %+v, the subscriber has %d", counts, len(r.sink.Events()))
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestDrainWaitsForTheSink: an event that is on its way when the agent has
// become idle still arrives.
func TestDrainWaitsForTheSink(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), "--mode=response")
	closed := make(chan struct{})
	r.sink.Respond(func(_ agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		<-closed
		w.WriteHeader(http.StatusAccepted)
	})
	r.post("/", "{}")
	r.signals <- syscall.SIGTERM
	agenttest.Eventually(t, "the agent takes no more requests", func() bool {
		connection, err := net.Dial("tcp", r.agent.Addr())
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	close(closed)
	r.wait()
	if counts := r.ledger(); counts.Delivered != 1 {
		t.Errorf("the ledger says %+v", counts)
	}
}

func TestDrainEndsInTime(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), "--sink=http://127.0.0.1:1", "--drain-timeout=1s")
	r.post("/", "{}")
	r.signals <- syscall.SIGTERM
	r.wait()
	if counts := r.ledger(); counts.Dropped[ledger.ReasonShutdown] != 2 || counts.Pending != 0 {
		t.Errorf("the ledger says %+v", counts)
	}
	if !strings.Contains(r.logs.String(), `"agent ends"`) {
		t.Errorf("not logged: %s", r.logs)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	r := newRig(t, agenttest.Predictor(), "--sink=http://127.0.0.1:1", "--drain-timeout=1h")
	r.post("/", "{}")
	r.signals <- syscall.SIGTERM
	agenttest.Eventually(t, "the agent drains", func() bool { return strings.Contains(r.logs.String(), "agent drains") })
	r.signals <- syscall.SIGTERM
	r.wait()
}

func TestAdminEndpoints(t *testing.T) {
	var ready atomic.Bool
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" && !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	served := agenttest.Serve(t, model)
	r := newRig(t, model, "--target="+served.URL, `--readiness-probe={"httpGet":{"path":"/ready","port":`+served.Port()+`}}`)
	get := func(path string) (int, string) {
		answer, err := agenttest.HTTP1Client(t).Get(r.admin(path))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	if status, _ := get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d before the model is ready", status)
	}
	if status, _ := get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d", status)
	}
	ready.Store(true)
	agenttest.Eventually(t, "the model is ready", func() bool { status, _ := get("/readyz"); return status == http.StatusOK })
	r.post("/", "{}")
	r.settled()
	_, exposition := get("/metrics")
	for _, want := range []string{
		`sidenote_events_observed_total{sink="default"} 2`,
		`sidenote_events_delivered_total{sink="default"} 2`,
		`sidenote_model_ready 1`,
		`sidenote_delivery_duration_seconds_count{sink="default"} 2`,
		`sidenote_delivery_attempts_total{sink="default",status="2xx"} 2`,
	} {
		if !strings.Contains(exposition, want) {
			t.Errorf("/metrics lacks %s in\n%s", want, exposition)
		}
	}
	if _, body := get("/status"); !strings.Contains(body, `"observed":2`) {
		t.Errorf("/status: %s", body)
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

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
