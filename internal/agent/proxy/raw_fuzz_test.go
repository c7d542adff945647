/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"
)

// FuzzRawHTTP writes the same bytes to a model and to the proxy in front of
// it. What the model sees and what the client gets must be the same, as
// design.md defines same, and no request may become two.
func FuzzRawHTTP(f *testing.F) {
	for _, seed := range []struct{ method, target, header, body string }{
		{"GET", "/", "", ""},
		{"POST", "/v1/models/m:predict?a=b;c=%zz", "Content-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n", "{}"},
		{"POST", "/", "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n", "2;x=y\r\n{}\r\n0\r\nX-T: 1\r\n\r\n"},
		{"POST", "/", "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n"},
		{"PUT", "/a%2Fb//c/../d", "Expect: 100-continue\r\nContent-Length: 1\r\n", "x"},
		{"HEAD", "http://other/path", "Connection: close, X-A\r\nX-A: 1\r\nTe: trailers\r\n", ""},
		{"OPTIONS", "*", "Upgrade: h2c\r\nConnection: Upgrade\r\n", ""},
		{"CONNECT", "h:1", "", ""},
		{"POST", "/", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"POST", "/", "Content-Length: 1\r\nContent-Length: 2\r\n", "xx"},
		{"HEAD", "/", "", ""},
		{"GET", "/", "X-A : 1\r\n", ""},
		{"GET", "/", "X-A: 1\r\n folded\r\n", ""},
		{"GET", "/?", "X-Forwarded-For: a, b\r\nForwarded: for=x\r\n", ""},
		{"GET", "/a{b}|c\"#d^`é?q={}", "", ""},
		{"get", "/\xff", "X-\xff: \xfe\r\n", ""},
		{"DELETE", "/", "Content-Encoding: gzip\r\nContent-Length: 3\r\n", "\x1f\x8b\x08"},
	} {
		f.Add(seed.method, seed.target, seed.header, seed.body)
	}
	model := &witness{}
	direct := listen(f, &http.Server{Handler: model, DisableGeneralOptionsHandler: true})
	handler := New(&url.URL{Scheme: "http", Host: direct}, func(*http.Request) (Watcher, http.Header) { return reader{}, nil }, func(ErrorClass) {})
	through := listenBy(f, NewServer(handler, log.New(io.Discard, "", 0)), ListenForHeads)
	f.Cleanup(handler.CloseIdleConnections)

	f.Fuzz(func(t *testing.T, method, target, header, body string) {
		if strings.EqualFold(method, http.MethodConnect) {
			t.Skip("a CONNECT is for a proxy, which the agent is none of to its client")
		}
		if scheme, rest, found := strings.Cut(target, ":"); found && !strings.Contains(scheme, "/") &&
			(!strings.EqualFold(scheme, "http") || !strings.HasPrefix(rest, "//")) {
			t.Skip("the target has none of the forms of RFC 9112, 3.2, that a server gets")
		}
		if absolute, err := url.Parse(target); err == nil && (!httpguts.ValidHostHeader(absolute.Host) || strings.Contains(absolute.Host, "%")) {
			t.Skip("the target's host is none for a Host header, or has a zone, and net/http rewrites it, as queue-proxy does")
		}
		raw := method + " " + target + " HTTP/1.1\r\nHost: h\r\n" + header + "\r\n" + body +
			"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
		if strings.Contains(strings.ToLower(raw), "http/1.0") || strings.Contains(strings.ToLower(raw), "pri * http/2") {
			t.Skip("the agent speaks HTTP/1.1 to a model, and HTTP/2 is another test's")
		}
		wantResponses := converse(t, direct, raw)
		want := model.forget()
		gotResponses := converse(t, through, raw)
		got := model.forget()
		if !slices.Equal(got, want) {
			t.Errorf("of %q\nthe model saw  %q\nwithout agent  %q", raw, got, want)
		}
		if !slices.Equal(gotResponses, wantResponses) {
			t.Errorf("of %q\nthe client got %q\nwithout agent  %q", raw, gotResponses, wantResponses)
		}
	})
}

// witness is a model that keeps what it sees, and responds with it.
type witness struct {
	mu   sync.Mutex
	seen []string
}

func (w *witness) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		// A request that breaks off gets no response, and nobody knows how much of
		// it comes through.
		panic(http.ErrAbortHandler)
	}
	seen := fmt.Sprintf("%s %s %s %s %q trailer %s", r.Method, targetOf(r), hostOf(r), endToEnd(r.Header), body, endToEnd(validOf(r.Trailer)))
	w.mu.Lock()
	w.seen = append(w.seen, seen)
	w.mu.Unlock()
	response.Header().Set("X-Seen", fmt.Sprint(len(seen)))
	if len(body)%2 == 1 {
		response.WriteHeader(http.StatusTeapot)
	}
	_, _ = response.Write(body)
}

// validOf leaves out the trailers whose name no header may have. net/http reads
// them, and writes none of them, as queue-proxy does.
func validOf(trailer http.Header) http.Header {
	valid := trailer.Clone()
	maps.DeleteFunc(valid, func(name string, _ []string) bool { return !httpguts.ValidHeaderFieldName(name) })
	return valid
}

// targetOf returns the bytes of a request's target in the form for an origin.
// net/http writes any other in that form, and escapes what RFC 3986 has escaped
// in a path that begins with two slashes, as queue-proxy does.
func targetOf(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") && !strings.HasPrefix(r.RequestURI, "//") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// hostOf returns the host of a request, which net/http sets to the address that
// it dials if there is none, as queue-proxy does. Neither passes a host on that
// no Host header may have: only the absolute form of a target may have one.
func hostOf(r *http.Request) string {
	if strings.HasPrefix(r.Host, "127.0.0.1:") {
		return ""
	}
	return r.Host
}

func (w *witness) forget() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// hopByHop headers are the connection's, not the exchange's (RFC 9110, 7.6.1).
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Date",
}

// endToEnd writes the headers that an exchange is compared by.
func endToEnd(header http.Header) string {
	kept := maps.Clone(header)
	for _, values := range header["Connection"] {
		for name := range strings.SplitSeq(values, ",") {
			delete(kept, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
		}
	}
	for _, name := range hopByHop {
		delete(kept, name)
	}
	// net/http adds it to a POST without a body, as RFC 9110, 8.6 would have it.
	if slices.Equal(kept["Content-Length"], []string{"0"}) {
		delete(kept, "Content-Length")
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		// The space around a value is none of it (RFC 9110, 5.5). net/http leaves the
		// one of a folded line that is empty.
		var values []string
		for _, value := range kept[name] {
			values = append(values, textproto.TrimString(value))
		}
		fmt.Fprintf(&text, "%s=%q ", name, values)
	}
	return text.String()
}

// patience is how long a connection may be silent before it counts as waiting
// for more than the input has. What the fuzzer makes up often does.
func patience() time.Duration {
	if fuzzing := flag.Lookup("test.fuzz"); fuzzing != nil && fuzzing.Value.String() != "" {
		return 300 * time.Millisecond
	}
	return time.Minute
}

// converse writes bytes to an address and gives the responses.
func converse(t *testing.T, address, raw string) []string {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal("dial:", err)
	}
	defer connection.Close()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { _, _ = io.WriteString(connection, raw) })
	input := bufio.NewReader(impatient{connection})
	methods := methodsOf(raw)
	var responses []string
	for {
		// A response to HEAD has no body, whatever its head says.
		request := new(http.Request)
		if len(methods) > 0 {
			request.Method = methods[0]
		}
		response, err := http.ReadResponse(input, request)
		if err != nil {
			if errors.Is(err, errSilent) {
				responses = append(responses, "silence")
			}
			return responses
		}
		if response.StatusCode >= 200 && len(methods) > 0 {
			methods = methods[1:]
		}
		body, err := io.ReadAll(response.Body)
		if response.ContentLength < 0 && len(response.TransferEncoding) == 0 && request.Method != http.MethodHead {
			// It ends with the connection. Where the server hasn't read all that
			// came, that is a reset or not, as it happens.
			err = nil
		}
		responses = append(responses, fmt.Sprintf("%d %s %q %v", response.StatusCode, endToEnd(response.Header), body, err != nil))
	}
}

// methodsOf returns the methods of the requests in raw, up to the first that
// can't be read.
func methodsOf(raw string) []string {
	input := bufio.NewReader(strings.NewReader(raw))
	var methods []string
	for {
		request, err := http.ReadRequest(input)
		if err != nil {
			return methods
		}
		methods = append(methods, request.Method)
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return methods
		}
	}
}

var errSilent = errors.New("nothing comes")

type impatient struct{ net.Conn }

func (c impatient) Read(p []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience()))
	n, err := c.Conn.Read(p)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		err = errSilent
		c.Close()
	}
	return n, err
}

func listen(f *testing.F, server *http.Server) string {
	f.Helper()
	return listenBy(f, server, func(listener net.Listener) net.Listener { return listener })
}

func listenBy(f *testing.F, server *http.Server, wrap func(net.Listener) net.Listener) string {
	f.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal("listen:", err)
	}
	server.ErrorLog = log.New(io.Discard, "", 0)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(wrap(listener)) })
	f.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

// reader is a Watcher that only looks.
type reader struct{}

func (reader) RequestBytes(p []byte)                 { _ = bytes.Count(p, []byte{0}) }
func (reader) RequestDone()                          {}
func (reader) ResponseHead(int, http.Header, int64)  {}
func (reader) ResponseBytes(p []byte)                { _ = bytes.Count(p, []byte{0}) }
func (reader) ResponseDone()                         {}
func (reader) ResponseMayBeWhole() bool              { return true }
func (reader) TunnelOpened()                         {}
func (reader) TunnelBytes(fromClient, fromModel int) {}
func (reader) NoResponse(int)                        {}
func (reader) End(http.Header)                       {}
