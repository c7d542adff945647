/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
)

// instances is the request that the test model documents, predictions its response.
const (
	instances   = `{"instances": [[1, 1], [-1, -1]]}`
	predictions = `{"predictions":[0.8,0.2]}`
)

// predictPath is the path of exchanges that don't say another one.
const predictPath = "/v1/models/m:predict"

// ending says how an exchange ends.
type ending string

const (
	// complete: both sides send all.
	complete ending = ""
	// modelBreaksOff: the model ends the exchange after response.part.
	modelBreaksOff ending = "the model breaks off"
	// clientLeaves: the client goes when it has response.part, or if there is none,
	// when the model has read the request.
	clientLeaves ending = "the client leaves"
	// clientLeavesAtEnd: the client goes when it has all of the response, whose end the
	// model doesn't send.
	clientLeavesAtEnd ending = "the client leaves at the end"
	// clientBreaksOff: the client goes when the model has request.part.
	clientBreaksOff ending = "the client breaks its request off"
	// modelBreaksRequestOff: the model goes when it has request.part.
	modelBreaksRequestOff ending = "the model breaks the request off"
	// modelRespondsEarly: the model responds when it has request.part, and reads no more.
	modelRespondsEarly ending = "the model responds early"
	// bothPause: the client goes when it has response.part, which the model sends when
	// it has request.part.
	bothPause ending = "the client leaves in the middle"
)

// forever is longer than anything that ends a wait of the model.
const forever = "10m"

// exchange is what a client and the model send, and how it ends.
type exchange struct {
	// protocol is HTTP/1.1 unless it is set.
	protocol string
	// method is POST and path predictPath unless they are set.
	method, path      string
	header            http.Header
	request, response body
	status            int
	// trailer is NAME=VALUE, or empty.
	trailer string
	ends    ending
	// predicts has the model predict, and ignore response.
	predicts bool
	// badGateway expects the agent's own response in place of the model's.
	badGateway bool
	// replacement replaces play. It gets the request's header.
	replacement func(*Stage, exchange, http.Header)
}

// body is what one side sends.
type body struct {
	contentType, coding string
	// wire is what flows, plain is that without its coding or framing, and part what
	// flows before an end.
	wire, plain, part string
	// header is the side's own.
	header http.Header
	// attributes are those that the side's event has beside.
	attributes map[string]string
}

// head is the header of a side.
func (b body) head() http.Header {
	header := make(http.Header)
	for name, values := range b.header {
		header[name] = values
	}
	if b.contentType != "" {
		header.Set("Content-Type", b.contentType)
	}
	if b.coding != "" {
		header.Set("Content-Encoding", b.coding)
	}
	return header
}

// script is the header that has the model do its part.
func (x exchange) script() http.Header {
	header := make(http.Header)
	if x.predicts {
		return header
	}
	content := x.response.wire
	switch x.ends {
	case modelBreaksOff:
		content = x.response.part
		header.Set("X-Model-Abort", "body")
		if content == "" {
			header.Set("X-Model-Abort", "head")
		}
	case clientLeaves:
		content = x.response.part
		header.Set("X-Model-Stay", forever)
		if content == "" {
			header.Set("X-Model-Hint", "true")
			header.Set("X-Model-Delay", forever)
		}
	case clientLeavesAtEnd:
		header.Set("X-Model-Stay", forever)
	case clientBreaksOff:
		header.Set("X-Model-Hint", "true")
		header.Set("X-Model-Delay", forever)
	case modelBreaksRequestOff:
		header.Set("X-Model-Hint", "true")
		header.Set("X-Model-Abort", "head")
	case bothPause:
		content = x.response.part
		header.Set("X-Model-Stay", forever)
	}
	if x.request.part != "" {
		header.Set("X-Model-Request-Bytes", strconv.Itoa(len(x.request.part)))
	}
	header.Set("X-Model-Body", base64.StdEncoding.EncodeToString([]byte(content)))
	for name, values := range x.response.head() {
		for _, value := range values {
			header.Add("X-Model-Header", name+"="+value)
		}
	}
	if x.status != 0 {
		header.Set("X-Model-Status", strconv.Itoa(x.status))
	}
	if x.trailer != "" {
		header.Set("X-Model-Trailer", x.trailer)
	}
	return header
}

// play makes the exchange happen, and compares what the client gets.
func (x exchange) play(s *Stage) {
	if replacement := x.replacement; replacement != nil {
		x.replacement = nil
		replacement(s, x, x.header)
		return
	}
	protocol, method, path := "HTTP/1.1", http.MethodPost, predictPath
	if x.protocol != "" {
		protocol = x.protocol
	}
	if x.method != "" {
		method = x.method
	}
	if x.path != "" {
		path = x.path
	}
	hinted := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(s.Ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				select {
				case hinted <- struct{}{}:
				default:
				}
			}
			return nil
		},
	}))
	defer cancel()

	var content io.Reader = strings.NewReader(x.request.wire)
	if x.request.wire == "" {
		content = http.NoBody
	}
	if x.request.part != "" {
		reader, writer := io.Pipe()
		defer writer.Close()
		go func() { _, _ = io.WriteString(writer, x.request.part) }()
		content = reader
		if x.ends == clientBreaksOff || x.ends == modelBreaksRequestOff {
			go func() {
				select {
				case <-hinted:
				case <-ctx.Done():
				}
				writer.CloseWithError(errors.New("the client's request ends here"))
			}()
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, s.URL()+path, content)
	if err != nil {
		s.Fatalf("%v", err)
	}
	for _, header := range []http.Header{x.header, x.request.head(), x.script()} {
		for name, values := range header {
			request.Header[name] = append(request.Header[name], values...)
		}
	}
	if request.Header.Get("Accept-Encoding") == "" {
		// Without it, the client of a hop in between asks for gzip, and removes it.
		request.Header.Set("Accept-Encoding", "identity")
	}
	if x.ends == clientLeaves && x.response.part == "" {
		go func() {
			select {
			case <-hinted:
				cancel()
			case <-ctx.Done():
			}
		}()
	}

	response, err := s.Client(protocol).Do(request)
	if err != nil {
		if x.ends == complete || x.ends == modelRespondsEarly || x.ends == clientLeavesAtEnd {
			s.Fatalf("the client got %v", err)
		}
		return
	}
	defer response.Body.Close()
	switch x.ends {
	case clientLeaves, bothPause, clientLeavesAtEnd:
		want := x.response.part
		if x.ends == clientLeavesAtEnd {
			want = x.response.wire
		}
		if _, err := io.ReadFull(response.Body, make([]byte, len(want))); err != nil {
			s.Errorf("the client got %s and %v", response.Status, err)
		}
		cancel()
	case modelBreaksOff:
		if got, err := io.ReadAll(response.Body); err == nil {
			s.Errorf("the client got %s with %.100q, and no end", response.Status, got)
		}
	case clientBreaksOff, modelBreaksRequestOff:
		s.Errorf("the client got %s", response.Status)
	default:
		x.checkResponse(s, response)
	}
}

// checkResponse compares a whole response with what the model sent.
func (x exchange) checkResponse(s *Stage, response *http.Response) {
	got, err := io.ReadAll(response.Body)
	if err != nil {
		s.Errorf("the client got %s with %.100q, then %v", response.Status, got, err)
	}
	want, status := x.response.wire, http.StatusOK
	if x.status != 0 {
		status = x.status
	}
	if x.predicts && !x.badGateway {
		got, want = []byte(strings.TrimSpace(string(got))), predictions
	}
	if x.badGateway {
		want = string(got)
	}
	if response.StatusCode != status || string(got) != want {
		s.Errorf("the client got %s with %.100q, want %d with %.100q", response.Status, got, status, want)
	}
}
