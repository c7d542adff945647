/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
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
				e := r.sink.of(kind)
				if e.Subject() != test.subject || e.DataContentType() != test.contentType || e.attribute("replaced") != test.replaced || string(e.Data()) != body {
					t.Errorf("%s: subject %q, content type %q, replaced %q, data %s", kind, e.Subject(), e.DataContentType(), e.attribute("replaced"), e.Data())
				}
			}
		})
	}
}
