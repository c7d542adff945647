/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// newMirror returns a model that responds as the client asks it to.
func newMirror() *agenttest.Recorder { return &agenttest.Recorder{Handler: http.HandlerFunc(mirror)} }

func mirror(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/early":
		w.Header().Add("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Final", "yes")
		w.WriteHeader(http.StatusOK)
	case "/trailers":
		w.Header().Set("Trailer", "X-Announced")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Announced", "a")
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "b")
	case "/many":
		for i := range 50 {
			w.Header().Add("X-Many", fmt.Sprint("value-", i))
		}
		w.Header().Set("X-Large", strings.Repeat("x", 20_000))
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
	case "/nocontent":
		w.WriteHeader(http.StatusNoContent)
	case "/notmodified":
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(http.StatusNotModified)
	case "/redirect":
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	case "/untyped":
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	case "/large":
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(make([]byte, 3<<20))
	case "/error":
		http.Error(w, "the model failed", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.Copy(w, r.Body)
	}
}

func describeRequest(r agenttest.Request) string {
	return fmt.Sprintf("%s %s %s host=%s length=%d coding=%v\n%s\nbody %d bytes %.100q error %v\ntrailer\n%s",
		r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.TransferEncoding,
		describeHeader(r.Header), len(r.Content), r.Content, r.Err != nil, describeHeader(r.Trailer))
}

// describeHeader returns the values of each end-to-end header in their order.
func describeHeader(header http.Header) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		switch name {
		case "Date", "X-Request-Id", "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		default:
			lines = append(lines, fmt.Sprintf("%s: %.200q", name, header[name]))
		}
	}
	return strings.Join(lines, "\n")
}

type transparencyCase struct {
	name, method, path string
	// body makes the request's body anew; nil is none.
	body            func() io.Reader
	header, trailer http.Header
}

func sized(text string) func() io.Reader {
	return func() io.Reader { return strings.NewReader(text) }
}

// chunked returns a body whose length the client doesn't announce.
func chunked(text string) func() io.Reader {
	return func() io.Reader { return io.MultiReader(strings.NewReader(text)) }
}

// TestExchangeIsUnchangedByTheAgent compares exchanges through the agent
// with the same ones made directly, as the client and the model see them.
func TestExchangeIsUnchangedByTheAgent(t *testing.T) {
	cases := []transparencyCase{
		{name: "sized body", method: "POST", path: "/v1/models/m:predict", body: sized(`{"instances":[]}`)},
		{name: "chunked body", method: "POST", path: "/", body: chunked("hello")},
		{name: "empty sized body", method: "POST", path: "/", body: sized("")},
		{name: "empty chunked body", method: "POST", path: "/", body: chunked("")},
		{name: "large body both ways", method: "POST", path: "/", body: sized(strings.Repeat("x", 2<<20))},
		{name: "get without body", method: "GET", path: "/v1/models/m"},
		{name: "get with body", method: "GET", path: "/", body: sized("odd")},
		{name: "head", method: "HEAD", path: "/large"},
		{name: "options", method: "OPTIONS", path: "/"},
		{name: "odd method", method: "PURGE", path: "/"},
		{name: "encoded slashes", method: "GET", path: "/a%2Fb//c/../d%20e;p=1/%E6%9D%B1"},
		{name: "odd query", method: "GET", path: "/?x=1;y=2&z=%zz&&=&a+b=%20"},
		{name: "bare question mark", method: "GET", path: "/a?"},
		{name: "early hints", method: "GET", path: "/early"},
		{name: "response trailers", method: "GET", path: "/trailers"},
		{name: "request trailers", method: "POST", path: "/", body: chunked("body"), trailer: http.Header{"X-Sum": {"1"}}},
		{name: "many and large headers", method: "GET", path: "/many", header: http.Header{
			"X-In": {"1", "2", "3"}, "X-Long": {strings.Repeat("y", 30_000)}, "X-Empty": {""},
		}},
		{name: "forwarding headers", method: "GET", path: "/", header: http.Header{
			"Forwarded": {"for=192.0.2.1;proto=https"}, "X-Forwarded-For": {"192.0.2.1, 10.0.0.1", "10.0.0.2"},
			"X-Forwarded-Host": {"example.com"}, "X-Forwarded-Proto": {"https"},
		}},
		{name: "no user agent", method: "GET", path: "/", header: http.Header{"User-Agent": {""}}},
		{name: "accepted encodings", method: "GET", path: "/", header: http.Header{"Accept-Encoding": {"gzip, br"}}},
		{name: "expect continue", method: "POST", path: "/", body: sized("body"), header: http.Header{"Expect": {"100-continue"}}},
		{name: "a client's request id", method: "GET", path: "/", header: http.Header{"X-Request-Id": {"mine"}, "Traceparent": {"odd"}}},
		{name: "credentials", method: "GET", path: "/", header: http.Header{"Authorization": {"Bearer x"}, "Cookie": {"a=b; c=d"}}},
		{name: "no content", method: "GET", path: "/nocontent"},
		{name: "not modified", method: "GET", path: "/notmodified"},
		{name: "redirect", method: "POST", path: "/redirect", body: sized("x")},
		{name: "response without a content type", method: "GET", path: "/untyped"},
		{name: "large response", method: "GET", path: "/large"},
		{name: "error", method: "GET", path: "/error"},
	}
	t.Run("untraced", func(t *testing.T) { compareExchanges(t, cases, func(seen string) string { return seen }) })
	t.Run("traced", func(t *testing.T) {
		traceContext := regexp.MustCompile(`(?m)^Traceparent: .*\n`)
		compareExchanges(t, cases, func(seen string) string { return traceContext.ReplaceAllString(seen, "") }, "--tracing-protocol=stdout")
	})
}

// compareExchanges makes each exchange directly and through the agent. What the
// model sees is compared but for what the function leaves out.
func compareExchanges(t *testing.T, cases []transparencyCase, without func(seen string) string, line ...string) {
	model := newMirror()
	r := newRig(t, agenttest.InFrontOf(model), agenttest.With(append([]string{
		"--max-payload-bytes=100000", "--events=request,response,stream,request.failure,response.failure,request.oversize,response.oversize",
	}, line...)...))
	for protocol, clientOf := range agenttest.Clients {
		client := clientOf(t)
		for _, test := range cases {
			t.Run(protocol+" "+test.name, func(t *testing.T) {
				direct := exchangeWith(t, client, r.Model.URL, test)
				seenDirect := without(describeRequest(model.Last()))
				through := exchangeWith(t, client, r.URL, test)
				seenThrough := without(describeRequest(model.Last()))
				if direct != through {
					t.Errorf("the client saw directly\n%s\nand through the agent\n%s", direct, through)
				}
				if seenDirect != seenThrough {
					t.Errorf("the model saw directly\n%s\nand through the agent\n%s", seenDirect, seenThrough)
				}
			})
		}
	}
	if counts := r.settled(); counts.Observed != counts.Delivered {
		t.Errorf("the ledger says %+v", counts)
	}
}

func exchangeWith(t *testing.T, client *http.Client, base string, test transparencyCase) string {
	t.Helper()
	var body io.Reader
	if test.body != nil {
		body = test.body()
	}
	request, err := http.NewRequest(test.method, base+test.path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "model.example.com"
	for name, values := range test.header {
		request.Header[name] = values
	}
	request.Trailer = test.trailer.Clone()
	var early strings.Builder
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			fmt.Fprintf(&early, "%d %s\n", code, describeHeader(http.Header(header)))
			return nil
		},
	})
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%s%s\n%s\nlength=%d body %d bytes %.100q error %v\ntrailer\n%s", early.String(), response.Status,
		describeHeader(response.Header), response.ContentLength, len(content), content, err, describeHeader(response.Trailer))
}

// TestAsteriskFormReachesModel: net/http would respond to it itself.
func TestAsteriskFormReachesModel(t *testing.T) {
	model := newMirror()
	r := newRig(t, agenttest.InFrontOf(model))
	connection := r.Dial()
	defer connection.Close()
	fmt.Fprint(connection, "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if _, err := io.ReadAll(connection); err != nil {
		t.Fatal(err)
	}
	if seen := describeRequest(model.Last()); !strings.HasPrefix(seen, "OPTIONS * HTTP/1.1 host=h") {
		t.Errorf("the model saw %s", seen)
	}
	r.Sink.Await(2)
}

// TestModelMayRespondWithoutReading ends the exchange, although the client
// has more to send.
func TestModelMayRespondWithoutReading(t *testing.T) {
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "enough")
	})
	for protocol, clientOf := range agenttest.Clients {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(model))
			reader, writer := io.Pipe()
			defer writer.Close()
			request, err := http.NewRequest(http.MethodPost, r.URL+"/", reader)
			if err != nil {
				t.Fatal(err)
			}
			response, err := clientOf(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if content, err := io.ReadAll(response.Body); string(content) != "enough" || err != nil {
				t.Errorf("the client got %q, %v", content, err)
			}
			r.Sink.Of("response")
			agenttest.Eventually(t, "the exchange is over", func() bool { return r.agent.handler.Active() == 0 })
		})
	}
}

// TestModelSeesThatItsClientLeft at once.
func TestModelSeesThatItsClientLeft(t *testing.T) {
	for protocol, clientOf := range agenttest.Clients {
		t.Run(protocol, func(t *testing.T) {
			reached, gone := make(chan struct{}), make(chan struct{})
			model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, "begun")
				_ = http.NewResponseController(w).Flush()
				close(reached)
				<-r.Context().Done()
				close(gone)
			})
			r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--events=request,response,response.failure"))
			ctx, cancel := context.WithCancel(t.Context())
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+"/", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := clientOf(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			<-reached
			if _, err := io.ReadFull(response.Body, make([]byte, len("begun"))); err != nil {
				t.Fatal(err)
			}
			cancel()
			response.Body.Close()
			<-gone
			event := r.Sink.Of("response.failure")
			if got := string(event.Data()); got != "begun" || event.Attribute("statuscode") != "200" {
				t.Errorf("unexpected event: %v", event)
			}
		})
	}
}

// TestModelAbortInBodyReachesClient is seen by the client as without the agent.
func TestModelAbortInBodyReachesClient(t *testing.T) {
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for protocol, clientOf := range agenttest.Clients {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--events=response,response.failure"))
			response, err := clientOf(t).Get(r.URL + "/answer")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			content, err := io.ReadAll(response.Body)
			if string(content) != "half" || err == nil {
				t.Errorf("the client got %q, %v", content, err)
			}
			if got := string(r.Sink.Of("response.failure").Data()); got != "half" {
				t.Errorf("data: %q", got)
			}
		})
	}
}

func TestUnreachableModelGives502(t *testing.T) {
	r := newRig(t, agenttest.With("--target=http://127.0.0.1:1", "--events=request,response,request.failure,response.failure"))
	status, _ := r.Post("/", `{}`)
	if status != http.StatusBadGateway {
		t.Errorf("the client got %d", status)
	}
	if event := r.Sink.Of("response.failure"); event.Attribute("statuscode") != "502" {
		t.Errorf("unexpected event: %v", event)
	}
	if !strings.Contains(r.Logs.String(), `"cause":"unreachable"`) {
		t.Errorf("not logged: %s", r.Logs)
	}
}

// TestModelAbortBeforeResponseReachesClient breaks off towards the client, too.
func TestModelAbortBeforeResponseReachesClient(t *testing.T) {
	model := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for protocol, clientOf := range agenttest.Clients {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(model), agenttest.With("--events=response,response.failure"))
			response, err := clientOf(t).Post(r.URL+"/", "application/json", strings.NewReader("{}"))
			if err == nil {
				response.Body.Close()
				t.Errorf("the client got %s", response.Status)
			}
			if event := r.Sink.Of("response.failure"); event.Attribute("statuscode") != "" || len(event.Data()) != 0 {
				t.Errorf("unexpected event: %v", event)
			}
		})
	}
}

var errStopped = errors.New("the client stopped")

// TestAbortedRequestGivesFailureEvent gives a failure event with what there was.
func TestAbortedRequestGivesFailureEvent(t *testing.T) {
	r := newRig(t, agenttest.With("--events=request,request.failure"))
	reader, writer := io.Pipe()
	request, err := http.NewRequest(http.MethodPost, r.URL+"/", reader)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(writer, "half")
		writer.CloseWithError(errStopped)
	}()
	if response, err := agenttest.HTTP1Client(t).Do(request); err == nil {
		response.Body.Close()
		t.Fatal("the exchange succeeded")
	}
	if got := string(r.Sink.Of("request.failure").Data()); got != "half" {
		t.Errorf("data: %q", got)
	}
}

// TestStreamFlowsChunkByChunk: each chunk of the model is at the client
// before the model goes on.
func TestStreamFlowsChunkByChunk(t *testing.T) {
	goOn := make(chan struct{})
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
		}
	})
	for protocol, clientOf := range agenttest.Clients {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(model))
			response, err := clientOf(t).Get(r.URL + "/stream")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			lines := bufio.NewReader(response.Body)
			for i := range 3 {
				line, err := lines.ReadString('\n')
				if err != nil || line != fmt.Sprintf("data: %d\n", i) {
					t.Fatalf("line %d is %q, %v", i, line, err)
				}
				_, _ = lines.ReadString('\n')
				goOn <- struct{}{}
			}
			if _, err := lines.ReadByte(); err != io.EOF {
				t.Fatalf("the stream ends with %v", err)
			}
			event := r.Sink.Of("stream")
			if got := string(event.Data()); got != "data: 0\n\ndata: 1\n\ndata: 2\n\n" {
				t.Errorf("stream data: %q", got)
			}
		})
	}
}

// TestModelMayRespondWhileItReads would lose the response without full duplex.
func TestModelMayRespondWhileItReads(t *testing.T) {
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "got "+line)
			_ = http.NewResponseController(w).Flush()
		}
	})
	for protocol, clientOf := range agenttest.Clients {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(model))
			reader, writer := io.Pipe()
			request, err := http.NewRequest(http.MethodPost, r.URL+"/", reader)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(writer, "0\n") }()
			response, err := clientOf(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			lines := bufio.NewReader(response.Body)
			for i := range 3 {
				line, err := lines.ReadString('\n')
				if err != nil || line != fmt.Sprintf("got %d\n", i) {
					t.Fatalf("line %d is %q, %v", i, line, err)
				}
				if i < 2 {
					_, _ = fmt.Fprintf(writer, "%d\n", i+1)
				}
			}
			writer.Close()
			_, _ = io.Copy(io.Discard, lines)
			r.settled()
			if got := string(r.Sink.Of("request").Data()); got != "0\n1\n2\n" {
				t.Errorf("request data: %q", got)
			}
		})
	}
}

// TestStreamLeftAtDoneIsComplete, each time: the model's last chunk
// comes late, or never, because the agent tells it that the client has left.
func TestStreamLeftAtDoneIsComplete(t *testing.T) {
	const streams = 20
	for name, clientOf := range agenttest.Clients {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				for n := range 5 {
					fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\n", n)
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.WriteString(w, "data: [DONE]\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})), agenttest.With("--events=request,response,stream,response.failure"))
			client := clientOf(t)
			for range streams {
				ctx, leave := context.WithCancel(t.Context())
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+"/v1/chat/completions", strings.NewReader(`{"stream":true}`))
				if err != nil {
					t.Fatal(err)
				}
				response, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(response.Body)
				for lines.Scan() && lines.Text() != "data: [DONE]" {
				}
				leave()
				response.Body.Close()
			}
			// Each gives two events.
			for _, e := range r.Sink.Await(2 * streams) {
				if kind := e.Kind(); kind != "request" && kind != "stream" {
					t.Errorf("a %s: %s", kind, e.Data())
				} else if kind == "stream" && !strings.HasSuffix(string(e.Data()), "data: [DONE]\n\n") {
					t.Errorf("a stream that ends with %q", e.Data())
				}
			}
		})
	}
}
