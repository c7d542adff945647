/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// outcome is how an exchange goes: what both sides send, and how it ends.
type outcome struct {
	path              string
	request, response sample
	status            int
	header            http.Header
	// model replaces a response of the model with the status.
	model http.HandlerFunc
	// client replaces a POST of the request.
	client func(t *testing.T, o *outcome, s *stage, client *http.Client)
	// keptOnly says that the end of the response shows only in what is kept of it:
	// where nobody wants that, it counts as a failure.
	keptOnly bool
	// scene says where it is played, where that isn't before the plain model.
	scene scene
}

func (o *outcome) of(side string) *sample {
	if side == "request" {
		return &o.request
	}
	return &o.response
}

func (o *outcome) respond(w http.ResponseWriter, r *http.Request) {
	if o.model != nil {
		o.model(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	o.head(w)
	_, _ = io.WriteString(w, o.response.wire)
}

// head writes the head of the response.
func (o *outcome) head(w http.ResponseWriter) {
	w.Header()["Content-Type"] = nil
	if o.response.contentType != "" {
		w.Header().Set("Content-Type", o.response.contentType)
	}
	if o.response.encoding != "" {
		w.Header().Set("Content-Encoding", o.response.encoding)
	}
	if length := o.response.attributes["inferenceheaderlen"]; length != "" {
		w.Header().Set("Inference-Header-Content-Length", length)
	}
	w.WriteHeader(max(o.status, http.StatusOK))
}

func (o *outcome) call(t *testing.T, s *stage, client *http.Client) {
	t.Helper()
	if o.client != nil {
		o.client(t, o, s, client)
		return
	}
	response, err := client.Do(o.newRequest(t, t.Context(), s, strings.NewReader(o.request.wire)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if content, err := io.ReadAll(response.Body); err != nil || string(content) != o.response.wire {
		t.Fatalf("the client got %s with %.100q, %v", response.Status, content, err)
	}
}

func (o *outcome) newRequest(t *testing.T, ctx context.Context, s *stage, body io.Reader) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.rig.URL+o.path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range o.header {
		request.Header[name] = values
	}
	if o.request.contentType != "" {
		request.Header.Set("Content-Type", o.request.contentType)
	}
	if o.request.encoding != "" {
		request.Header.Set("Content-Encoding", o.request.encoding)
	}
	if length := o.request.attributes["inferenceheaderlen"]; length != "" {
		request.Header.Set("Inference-Header-Content-Length", length)
	}
	return request
}

// The words of which outcomes are made.

func jsonOf(text string) sample {
	return sample{contentType: "application/json", wire: text, plain: text}
}

func coded(coding, plain, wire string) sample {
	return sample{
		contentType: "application/json", encoding: coding, wire: wire, plain: plain,
		attributes: map[string]string{"contentencoding": coding},
	}
}

func gzipOf(t *testing.T, text string) string {
	return string(compress(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, text))
}

func deflateOf(t *testing.T, text string) string {
	return string(compress(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, text))
}

func brotliOf(t *testing.T, text string) string {
	return string(compress(t, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }, text))
}

func zstdOf(t *testing.T, text string) string {
	return string(compress(t, func(w io.Writer) io.WriteCloser {
		writer, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		return writer
	}, text))
}

// coding returns a body with a Content-Encoding that means nothing.
func coding(name string, of sample) sample {
	of.encoding = name
	return of
}

// flushed returns a body in gzip as a server sends it that has not ended it yet,
// and the rest of it.
func flushed(t *testing.T, contentType, plain string) sample {
	t.Helper()
	var wire bytes.Buffer
	w := gzip.NewWriter(&wire)
	_, _ = io.WriteString(w, plain)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	begun := wire.Len()
	_ = w.Close()
	return sample{
		contentType: contentType, encoding: "gzip", wire: wire.String()[:begun], rest: wire.String()[begun:], plain: plain,
		attributes: map[string]string{"contentencoding": "gzip"},
	}
}

// oversized returns a body that goes out as its size.
func oversized() sample {
	body := jsonOf(strings.Repeat("x", contractCap+1))
	body.attributes = map[string]string{"bodysize": strconv.Itoa(contractCap + 1)}
	return body
}

// brokenOff is a body of which only the beginning flows.
func brokenOff(contentType, part string) sample {
	return sample{
		contentType: contentType, part: part,
		attributes: map[string]string{"statuscode": "200"},
	}
}

var noResponse = sample{attributes: map[string]string{"statuscode": ""}}

// abort is a model that reads a request and responds with what flows of the
// response before it breaks off.
func abort(o *outcome) {
	o.model = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if o.response.part != "" {
			o.head(w)
			_, _ = io.WriteString(w, o.response.part)
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}
	o.client = func(t *testing.T, o *outcome, s *stage, client *http.Client) {
		response, err := client.Do(o.newRequest(t, t.Context(), s, strings.NewReader(o.request.wire)))
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if err == nil {
			t.Error("the client saw no abort")
		}
	}
}

// leave is a client that goes away when it has seen what flows of the
// response, or the model what flows of the request.
func leave(o *outcome) {
	arrived := make(chan struct{}, 1)
	o.model = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if o.response.part != "" {
			o.head(w)
			_, _ = io.WriteString(w, o.response.part)
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	}
	o.client = func(t *testing.T, o *outcome, s *stage, client *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			response, err := client.Do(o.newRequest(t, ctx, s, strings.NewReader(o.request.wire)))
			if err != nil {
				return
			}
			defer response.Body.Close()
			if _, err := io.ReadFull(response.Body, make([]byte, len(o.response.part))); err != nil {
				t.Error(err)
			}
			cancel()
		}()
		<-arrived
		if o.response.part == "" {
			cancel()
		}
		<-ended
	}
}

// leaveAtTheEnd is a client that goes away when it has seen all of the response,
// of which the model sends the last chunk only afterwards.
func leaveAtTheEnd(o *outcome) {
	gone := make(chan struct{}, 1)
	o.model = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		o.head(w)
		_, _ = io.WriteString(w, o.response.wire)
		_ = http.NewResponseController(w).Flush()
		<-gone
		_, _ = io.WriteString(w, o.response.rest)
	}
	o.client = func(t *testing.T, o *outcome, s *stage, client *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		defer func() { gone <- struct{}{} }()
		response, err := client.Do(o.newRequest(t, ctx, s, strings.NewReader(o.request.wire)))
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		if _, err := io.ReadFull(response.Body, make([]byte, len(o.response.wire))); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// half sends what flows of a request, and calls end when the model has it.
func half(o *outcome, model func(http.ResponseWriter), end func(*io.PipeWriter)) {
	arrived := make(chan struct{}, 1)
	o.model = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, len(o.request.part)))
		arrived <- struct{}{}
		model(w)
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	o.client = func(t *testing.T, o *outcome, s *stage, client *http.Client) {
		reader, writer := io.Pipe()
		defer writer.Close()
		go func() {
			_, _ = io.WriteString(writer, o.request.part)
			<-arrived
			end(writer)
		}()
		response, err := client.Do(o.newRequest(t, t.Context(), s, reader))
		if err == nil {
			response.Body.Close()
			t.Errorf("the client got %s", response.Status)
		}
	}
}

// early is a model that responds when it has seen what flows of the request, and
// closes: it reads no more. The client goes on until it has the response.
func early(o *outcome) {
	o.model = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, len(o.request.part)))
		// Under HTTP/1 the server itself would read the rest of the request.
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Connection", "close")
		o.head(w)
		_, _ = io.WriteString(w, o.response.wire)
	}
	o.client = func(t *testing.T, o *outcome, s *stage, client *http.Client) {
		reader, writer := io.Pipe()
		defer writer.Close()
		go func() { _, _ = io.WriteString(writer, o.request.part) }()
		response, err := client.Do(o.newRequest(t, t.Context(), s, reader))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if content, err := io.ReadAll(response.Body); err != nil || string(content) != o.response.wire {
			t.Errorf("the client got %s with %.100q, %v", response.Status, content, err)
		}
	}
}

// breakConnection ends a model at once. Under HTTP/1 the server itself would
// read the rest of the request first.
func breakConnection(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		connection.Close()
	}
	panic(http.ErrAbortHandler)
}

func skipped(method, path string) *outcome {
	return &outcome{client: func(t *testing.T, _ *outcome, s *stage, client *http.Client) {
		request, err := http.NewRequestWithContext(t.Context(), method, s.rig.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}}
}

// outcomesOf returns every scenario by its row in the contract's table.
func outcomesOf(t *testing.T) map[string]*outcome {
	t.Helper()
	request, response := jsonOf(`{"instances":[[1,2]]}`), jsonOf(`{"predictions":[0.8,0.2]}`)
	response.attributes = map[string]string{"statuscode": "200", "grpcstatus": ""}
	with := func(change func(*outcome), o *outcome) *outcome {
		change(o)
		return o
	}
	zeros := strings.Repeat("0", 1<<20)
	tensors := func(length string) sample {
		body := `{"inputs":[]}` + "\x00\x01\xff"
		return sample{contentType: "application/octet-stream", wire: body, plain: body, attributes: map[string]string{"inferenceheaderlen": length}}
	}
	outcomes := map[string]*outcome{
		"HTTP: success":                    {request: request, response: response},
		"HTTP: success, both bodies empty": {request: jsonOf(""), response: jsonOf("")},
		"HTTP: success, no bodies":         {status: http.StatusNoContent},
		"HTTP: another status than 2xx":    {request: request, response: jsonOf(`{"error":"no"}`), status: http.StatusUnprocessableEntity},
		"HTTP: gzip": {
			request: coded("gzip", request.plain, gzipOf(t, request.plain)), response: coded("gzip", response.plain, gzipOf(t, response.plain)),
		},
		"HTTP: deflate": {
			request: coded("deflate", request.plain, deflateOf(t, request.plain)), response: coded("deflate", response.plain, deflateOf(t, response.plain)),
		},
		"HTTP: gzip, another status than 2xx": {
			request: coded("gzip", request.plain, gzipOf(t, request.plain)), response: coded("gzip", "no", gzipOf(t, "no")), status: http.StatusNotFound,
		},
		"HTTP: gzip that grows beyond its caps": {request: coded("gzip", "", gzipOf(t, zeros)), response: coded("gzip", "", gzipOf(t, zeros))},
		"HTTP: gzip that is none":               {request: coded("gzip", "", "plain"), response: coded("gzip", "", "plain")},
		"HTTP: another coding":                  {request: coded("compress", "", "\x1f\x9d"), response: coded("lzma", "", "\x0b\x02")},
		"HTTP: a coding that is none":           {request: coding("utf-8", request), response: coding("none", response)},
		"HTTP: br": {
			request: coded("br", request.plain, brotliOf(t, request.plain)), response: coded("br", response.plain, brotliOf(t, response.plain)),
		},
		"HTTP: zstd": {
			request: coded("zstd", request.plain, zstdOf(t, request.plain)), response: coded("zstd", response.plain, zstdOf(t, response.plain)),
		},
		"HTTP: zstd that is none":      {request: coded("zstd", "", "\x28\xb5 opaque"), response: coded("br", "", "opaque")},
		"HTTP: V2 with binary tensors": {request: tensors("13"), response: tensors("13")},
		"HTTP: over the cap":           {request: oversized(), response: oversized()},
		"HTTP: over the cap, another status than 2xx": {
			request: oversized(), response: oversized(), status: http.StatusInternalServerError,
		},
		"HTTP: server-sent events": {request: request, response: sample{
			contentType: "text/event-stream; charset=utf-8", wire: "data: 0\n\ndata: 1\n\n", plain: "data: 0\n\ndata: 1\n\n",
		}},
		"HTTP: server-sent events, aborted by the model": with(abort, &outcome{request: request, response: brokenOff("text/event-stream", "data: 0\n\n")}),
		"HTTP: server-sent events, the client leaves at their end": with(leaveAtTheEnd, &outcome{request: request, response: sample{
			contentType: "text/event-stream", wire: "data: {}\n\ndata: [DONE]\n\n", plain: "data: {}\n\ndata: [DONE]\n\n", attributes: response.attributes,
		}}),
		"HTTP: server-sent events in gzip, the client leaves at their end": with(leaveAtTheEnd, &outcome{
			request: request, response: flushed(t, "text/event-stream", "event: message_stop\ndata: {}\n\n"), keptOnly: true,
		}),
		"HTTP: server-sent events, the client leaves before their end": with(leave, &outcome{request: request, response: brokenOff("text/event-stream", "data: 0\n\ndata: [DO")}),
		"HTTP: JSON, the client leaves at its end":                     with(leaveAtTheEnd, &outcome{request: request, response: response, keptOnly: true}),
		"HTTP: the model aborts before its response":                   with(abort, &outcome{request: request, response: noResponse}),
		"HTTP: the model aborts its response":                          with(abort, &outcome{request: request, response: brokenOff("application/json", `{"pred`)}),
		"HTTP: the client aborts before the response":                  with(leave, &outcome{request: request, response: noResponse}),
		"HTTP: the client aborts the response":                         with(leave, &outcome{request: request, response: brokenOff("application/json", `{"pred`)}),
		"HTTP: the client aborts its request": with(func(o *outcome) {
			half(o, func(http.ResponseWriter) {}, func(w *io.PipeWriter) { w.CloseWithError(errStopped) })
		}, &outcome{request: sample{contentType: "application/json", part: `{"inst`}, response: noResponse}),
		"HTTP: the model aborts the request": with(func(o *outcome) {
			// Under HTTP/1 net/http tells of it only when the client goes on.
			half(o, breakConnection, func(w *io.PipeWriter) { w.CloseWithError(errStopped) })
		}, &outcome{request: sample{contentType: "application/json", part: `{"inst`}, response: noResponse}),
		"HTTP: the model responds before the end of the request": with(early, &outcome{
			request: sample{contentType: "application/json", part: `{"inst`}, response: jsonOf(`{"error":"too large"}`), status: http.StatusRequestEntityTooLarge,
		}),
		"HTTP: the model isn't there": {
			request: request, response: sample{attributes: map[string]string{"statuscode": "502"}},
			scene: noModel,
			client: func(t *testing.T, o *outcome, s *stage, client *http.Client) {
				reply, err := client.Do(o.newRequest(t, t.Context(), s, strings.NewReader(o.request.wire)))
				if err != nil {
					t.Fatal(err)
				}
				reply.Body.Close()
				if reply.StatusCode != http.StatusBadGateway {
					t.Errorf("the client got %s", reply.Status)
				}
			},
		},
		"HTTP: a health probe": skipped(http.MethodGet, "/v2/health/ready"),
		"HTTP: an event of these types": {
			header:  http.Header{"Ce-Type": {"io.kubeflow.serving.inference.request"}},
			request: sample{wire: request.wire, attributes: map[string]string{"loopreason": "header", "statuscode": "200", "bodysize": strconv.Itoa(len(request.wire))}}, response: response,
		},
		"HTTP: an event of the type loop": {request: request, response: response, header: http.Header{"Ce-Type": {"io.kubeflow.serving.inference.loop"}}},
		"HTTP/1.1: WebSocket": {
			model: agenttest.EchoTunnel, client: tunnel(http.StatusSwitchingProtocols),
			request: sample{attributes: map[string]string{"bytesfromclient": "6", "bytesfrommodel": "11", "statuscode": "101"}},
		},
		"HTTP/1.1: WebSocket, refused by the model": {
			status: http.StatusUpgradeRequired, response: jsonOf(`{"error":"no"}`), client: tunnel(http.StatusUpgradeRequired),
		},
	}
	addGRPC(t, outcomes)
	n := 0
	for _, o := range outcomes {
		if o.scene == "" {
			o.scene = plainModel
		}
		n++
		o.path = "/outcome/" + strconv.Itoa(n)
	}
	return outcomes
}

func tunnel(want int) func(*testing.T, *outcome, *stage, *http.Client) {
	return func(t *testing.T, o *outcome, s *stage, _ *http.Client) {
		connection := s.rig.Dial()
		defer connection.Close()
		fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", o.path)
		reader := bufio.NewReader(connection)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != want {
			t.Errorf("the client got %s", response.Status)
		}
		if want != http.StatusSwitchingProtocols {
			_, _ = io.Copy(io.Discard, response.Body)
			return
		}
		fmt.Fprint(connection, "hello\n")
		if line, err := reader.ReadString('\n'); line != "echo hello\n" || err != nil {
			t.Errorf("through the tunnel: %q, %v", line, err)
		}
	}
}
