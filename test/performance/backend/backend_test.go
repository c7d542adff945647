/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package backend

import (
	"github.com/sidenote-dev/sidenote/test/performance/load"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func post(t *testing.T, address, contentType, body string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post("http://"+address, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestModelRespondsWithAsMuch(t *testing.T) {
	m, err := NewModel()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, length := range []int{0, 100, 100, 1 << 20} {
		status, body := post(t, m.Address(), "application/json", strings.Repeat("x", length))
		if status != http.StatusOK || len(body) != length {
			t.Errorf("status %d, %d bytes, want %d", status, len(body), length)
		}
	}
}

func TestASinkCountsEvents(t *testing.T) {
	for _, manner := range []Manner{Up, Slow} {
		s, err := NewSink(manner)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		post(t, s.Address(), "text/plain", "no event")
		if status, _ := post(t, s.Address(), "application/cloudevents+json", "{}"); status != http.StatusAccepted {
			t.Errorf("%s: status %d", manner, status)
		}
		if s.Events() != 1 || s.Bytes() != 2 {
			t.Errorf("%s: %d events, %d bytes", manner, s.Events(), s.Bytes())
		}
	}
}

func TestADeadSinkRefuses(t *testing.T) {
	s, err := NewSink(Dead)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if connection, err := net.Dial("tcp", s.Address()); err == nil {
		connection.Close()
		t.Error("it accepts")
	}
}

func TestHangingSinkReadsAndNeverResponds(t *testing.T) {
	s, err := NewSink(Hanging)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, "POST / HTTP/1.1\r\nCe-Type: t\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if response, _ := io.ReadAll(connection); len(response) > 0 || s.Events() > 0 {
		t.Errorf("responded with %q, %d events", response, s.Events())
	}
}

// TestEverySenderUnderstandsItsModel: generator and models are made for each
// other.
func TestEverySenderUnderstandsItsModel(t *testing.T) {
	model, err := NewModel()
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	streams, err := NewStreams()
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	calls, err := NewGRPC()
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	one := func(sender load.Sender, err error) func() ([]load.Sender, error) {
		return func() ([]load.Sender, error) { return []load.Sender{sender}, err }
	}
	for name, connect := range map[string]func() ([]load.Sender, error){
		"HTTP/1.1":           one(load.NewHTTP1(model.Address(), load.Body(100))),
		"HTTP/1.1, large":    one(load.NewHTTP1(model.Address(), load.Body(1<<20))),
		"HTTP/2":             func() ([]load.Sender, error) { return load.NewHTTP2(streams.Address(), load.Body(100), 9), nil },
		"gRPC":               func() ([]load.Sender, error) { return load.NewGRPC(calls.Address(), 100, 9) },
		"server-sent events": one(load.NewEventStream(streams.Address())),
		"WebSocket":          one(load.NewWebSocket(streams.Address(), 1000)),
	} {
		senders, err := connect()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, sender := range senders {
			for range 2 {
				if err := sender.Exchange(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		for _, sender := range senders {
			sender.Close()
		}
	}
}
