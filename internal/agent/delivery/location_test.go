/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// place is a sink somewhere, which counts what it gets.
type place struct {
	*httptest.Server
	mu     sync.Mutex
	tokens []string
	// hold keeps a request waiting, where it isn't nil.
	hold, held chan struct{}
}

func newPlace(t *testing.T, start func(*httptest.Server)) *place {
	t.Helper()
	p := new(place)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.tokens = append(p.tokens, r.Header.Get("Authorization"))
		p.mu.Unlock()
		if p.hold != nil {
			close(p.held)
			<-p.hold
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	start(p.Server)
	t.Cleanup(p.Close)
	return p
}

func (p *place) got() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.tokens)
}

// located is a sender whose sink is where a file says.
type located struct {
	t      *testing.T
	file   string
	sender *HTTPSender
	moves  []string
	errors []string
}

func newLocated(t *testing.T, change func(*HTTPOptions)) *located {
	t.Helper()
	l := &located{t: t, file: filepath.Join(t.TempDir(), "sink-address")}
	options := HTTPOptions{
		AddressFile: l.file, MaxInFlight: 1, AllowLoopback: true,
		OnMoved: func(where *url.URL) {
			if where == nil {
				l.moves = append(l.moves, "nowhere")
				return
			}
			l.moves = append(l.moves, where.String())
		},
		OnAddressFailure: func(err error) { l.errors = append(l.errors, err.Error()) },
	}
	if change != nil {
		change(&options)
	}
	var err error
	if l.sender, err = NewHTTPSender(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.sender.Close)
	return l
}

// says puts a text in the file, and has the sender look at it with its next
// event.
func (l *located) says(content string) {
	l.t.Helper()
	if err := os.WriteFile(l.file, []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.looks()
}

func (l *located) looks() {
	l.sender.mu.Lock()
	defer l.sender.mu.Unlock()
	l.sender.location.read = time.Time{}
}

func (l *located) send() Result {
	l.t.Helper()
	builder := event.Builder{Identity: event.Identity{Source: "my-model"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 1000}
	built, err := builder.Build(&event.Observation{
		Exchange: &event.Exchange{CorrelationID: "c", Path: "/", Received: time.Now()},
		Side:     event.Request, Complete: true, At: time.Now(),
	}, agentconfig.KindRequest, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.sender.Send(l.t.Context(), built, 1)
}

func (l *located) mustSend(want int) {
	l.t.Helper()
	if got := l.send(); got.Status != want {
		l.t.Errorf("it came to %+v, want %d", got, want)
	}
}

func at(server *place, audience string) string {
	return `{"url":"` + server.URL + `","audience":"` + audience + `"}`
}

func TestEventsFollowASinkThatMoves(t *testing.T) {
	first, second := newPlace(t, (*httptest.Server).Start), newPlace(t, (*httptest.Server).Start)
	l := newLocated(t, nil)
	l.says(at(first, ""))
	l.mustSend(http.StatusAccepted)

	// What is in flight stays where it went.
	first.hold, first.held = make(chan struct{}), make(chan struct{})
	underWay := make(chan Result, 1)
	go func() { underWay <- l.send() }()
	select {
	case <-first.held:
	case got := <-underWay:
		t.Fatalf("it came to %+v at once", got)
	}
	l.says(at(second, ""))
	l.mustSend(http.StatusAccepted)
	close(first.hold)
	if got := <-underWay; got.Status != http.StatusAccepted {
		t.Errorf("the attempt under way came to %+v", got)
	}
	l.mustSend(http.StatusAccepted)
	if first.got() != 2 || second.got() != 2 {
		t.Errorf("the first place got %d, the second %d, want 2 each", first.got(), second.got())
	}
	if want := first.URL + " " + second.URL; strings.Join(l.moves, " ") != want {
		t.Errorf("moves: %q, want %q", l.moves, want)
	}
}

// The refusal of the old address says nothing about the new one.
func TestASinkThatMovesWhileItsOldAddressIsRefusedGetsEvents(t *testing.T) {
	sink := newPlace(t, (*httptest.Server).Start)
	l := newLocated(t, nil)
	dial := l.sender.dial
	dialled, refuse := make(chan struct{}), make(chan struct{})
	l.sender.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "metadata.example:80" {
			return dial(ctx, network, address)
		}
		close(dialled)
		<-refuse
		return nil, &refusedAddressError{class: AddressMetadata}
	}
	l.says(`{"url":"http://metadata.example"}`)
	underWay := make(chan Result, 1)
	go func() { underWay <- l.send() }()
	<-dialled
	l.says(at(sink, ""))
	l.mustSend(http.StatusAccepted)
	close(refuse)
	if got := <-underWay; got.Refused != AddressMetadata {
		t.Errorf("the attempt under way came to %+v", got)
	}
	l.mustSend(http.StatusAccepted)
}

// Between two looks the file isn't read.
func TestTheFileIsLookedAtNowAndThen(t *testing.T) {
	first, second := newPlace(t, (*httptest.Server).Start), newPlace(t, (*httptest.Server).Start)
	l := newLocated(t, nil)
	if err := os.WriteFile(l.file, []byte(at(first, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for after, want := range []string{first.URL, first.URL, second.URL} {
		if after == 1 {
			if err := os.WriteFile(l.file, []byte(at(second, "")), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		now := start.Add(time.Duration(after) * locationRefresh * 2 / 3)
		if got := l.sender.where(now).url.String(); got != want {
			t.Errorf("after %v it is %s, want %s", now.Sub(start), got, want)
		}
	}
}

func TestInvalidAddressFileKeepsTheLastValidAddress(t *testing.T) {
	sink := newPlace(t, (*httptest.Server).Start)
	l := newLocated(t, nil)
	l.says(at(sink, ""))
	l.mustSend(http.StatusAccepted)
	for i, content := range []string{
		"", "null", `{"url":"` + sink.URL, `{"url":"ftp://sink"}`, `{"url":"http://me:hunter2@sink"}`, `{"url":"http://sink#hunter2"}`, strings.Repeat(" ", maxLocationBytes+1),
	} {
		l.says(content)
		l.mustSend(http.StatusAccepted)
		// Counted once, for as long as it stays.
		l.looks()
		l.mustSend(http.StatusAccepted)
		if len(l.errors) != i+1 || l.sender.AddressFailures() != uint64(i+1) {
			t.Fatalf("of %.20q: failures %q, counted %d, want %d", content, l.errors, l.sender.AddressFailures(), i+1)
		}
		if strings.Contains(l.errors[i], "hunter2") {
			t.Errorf("it quotes the file: %s", l.errors[i])
		}
	}
	if err := os.Remove(l.file); err != nil {
		t.Fatal(err)
	}
	l.looks()
	l.mustSend(http.StatusAccepted)
	l.says(at(sink, ""))
	l.mustSend(http.StatusAccepted)
	if len(l.moves) != 1 {
		t.Errorf("moves: %q, want the first", l.moves)
	}
}

func TestWithoutAFileTheGivenAddressHolds(t *testing.T) {
	given, moved := newPlace(t, (*httptest.Server).Start), newPlace(t, (*httptest.Server).Start)
	l := newLocated(t, func(options *HTTPOptions) { options.URL, _ = url.Parse(given.URL) })
	l.mustSend(http.StatusAccepted)
	l.says(at(moved, ""))
	l.mustSend(http.StatusAccepted)
	if given.got() != 1 || moved.got() != 1 {
		t.Errorf("the given place got %d, the other %d, want 1 each", given.got(), moved.got())
	}
}

func TestASinkWithoutAnAddressGetsNothing(t *testing.T) {
	sink := newPlace(t, (*httptest.Server).Start)
	l := newLocated(t, nil)
	nothing := func() {
		t.Helper()
		got := l.send()
		if !got.NoAddress || Judge(got) != Rejected || rejection(got) != ledger.ReasonNoSink {
			t.Errorf("it came to %+v, which is lost for %s", got, rejection(got))
		}
	}
	nothing()
	l.says(at(sink, ""))
	l.mustSend(http.StatusAccepted)
	l.says("{}")
	nothing()
	if l.moves[len(l.moves)-1] != "nowhere" {
		t.Errorf("moves: %q", l.moves)
	}
	l.says(at(sink, ""))
	l.mustSend(http.StatusAccepted)
	if sink.got() != 2 {
		t.Errorf("it got %d, want 2", sink.got())
	}
}

// A file is the cluster's, and this machine is not: queue-proxy and the model
// listen here.
func TestAFileLeadsToThisMachineOnlyWhereThatIsAllowed(t *testing.T) {
	sink := newPlace(t, (*httptest.Server).Start)
	l := newLocated(t, func(options *HTTPOptions) { options.AllowLoopback = false })
	l.says(at(sink, ""))
	if got := l.send(); got.Refused != AddressLoopback || sink.got() != 0 {
		t.Errorf("it came to %+v, and the sink got %d", got, sink.got())
	}
}

// The token is for one audience, and the sink that asks for another must not
// see it.
func TestATokenGoesOnlyToAnAddressThatAsksForIt(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	secure := newPlace(t, (*httptest.Server).StartTLS)
	plain := newPlace(t, (*httptest.Server).Start)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	l := newLocated(t, func(options *HTTPOptions) {
		options.TokenFile, options.TokenAudience, options.ClusterDomain, options.CACerts = token, "own", "cluster.local", authority
	})
	for _, test := range []struct {
		at    *place
		asked string
		sent  string
	}{
		{secure, "own", "Bearer hunter2"},
		{secure, "", ""},
		{secure, "sts.amazonaws.com", ""},
		{plain, "own", ""},
		{secure, "own", "Bearer hunter2"},
	} {
		l.says(at(test.at, test.asked))
		l.mustSend(http.StatusAccepted)
		if got := test.at.tokens[len(test.at.tokens)-1]; got != test.sent {
			t.Errorf("where %q is asked for at %s, %q is sent, want %q", test.asked, test.at.URL, got, test.sent)
		}
	}
}

// A switch to TLS brings the authority with the address.
func TestASinkThatMovesToTLSIsTrustedAtOnce(t *testing.T) {
	plain, secure := newPlace(t, (*httptest.Server).Start), newPlace(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		s.StartTLS()
	})
	authorities := t.TempDir()
	l := newLocated(t, func(options *HTTPOptions) { options.CACertsDir = authorities })
	l.says(at(plain, ""))
	l.mustSend(http.StatusAccepted)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(authorities, "own.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	l.says(at(secure, ""))
	l.mustSend(http.StatusAccepted)
}
