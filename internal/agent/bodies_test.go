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
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestLargeBodiesAreReportedAsOversize as shipped: an image in base64, and a long
// stream, are over the cap and still seen.
func TestLargeBodiesAreReportedAsOversize(t *testing.T) {
	image := `{"instances":[{"image_bytes":{"b64":"` + strings.Repeat("QUJD", 205_000) + `"}}]}`
	response := strings.Repeat(`data: {"choices":[{"delta":{"content":"token"}}]}`+"\n\n", 20_000)
	r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, response)
	})), agenttest.With("--metadata=team=ai-platform"))
	r.Post("/v1/models/my-model:predict", image)
	for kind, body := range map[string]string{"request.oversize": image, "response.oversize": response} {
		e := r.Sink.Of(kind)
		sum := sha256.Sum256([]byte(body))
		if e.Attribute("bodysize") != strconv.Itoa(len(body)) || e.Attribute("bodysha256") != hex.EncodeToString(sum[:]) ||
			e.Attribute("team") != "ai-platform" || len(e.Data()) != 0 {
			t.Errorf("%s: %v", kind, e)
		}
	}
}

func TestOversizeEventHasNoBody(t *testing.T) {
	body := strings.Repeat("x", 5000)
	sum := sha256.Sum256([]byte(body))
	r := newRig(t, agenttest.InFrontOf(agenttest.Echo("Content-Type")), agenttest.With("--max-payload-bytes=1000",
		"--events=request,response,request.oversize,response.oversize"))
	if _, got := r.Post("/", body); got != body {
		t.Errorf("the client got %d bytes", len(got))
	}
	for _, kind := range []string{"request.oversize", "response.oversize"} {
		event := r.Sink.Of(kind)
		if len(event.Data()) != 0 || event.Attribute("bodysize") != "5000" || event.Attribute("bodysha256") != hex.EncodeToString(sum[:]) {
			t.Errorf("unexpected event: %v", event)
		}
	}
	r.settled()
	if used := r.agent.budget.Used(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}

func TestCompressedBodiesAreDecoded(t *testing.T) {
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
			r := newRig(t, agenttest.With("--events=request,request.encoded", "--max-payload-bytes=700000"))
			header := http.Header{"Content-Encoding": {test.coding}, "Content-Type": {"application/json"}}
			r.Do(http.MethodPost, "/", header, bytes.NewReader(test.body))
			event := r.Sink.Of(test.kind)
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

func TestUndecodableBodyIsCounted(t *testing.T) {
	r := newRig(t, agenttest.With("--events=request", "--mode=request"))
	r.Do(http.MethodPost, "/", http.Header{"Content-Encoding": {"gzip"}}, strings.NewReader("not gzip"))
	if counts := r.settled(); counts.Dropped[ledger.ReasonEncoded] != 1 {
		t.Errorf("the ledger says %+v", counts)
	}
}
