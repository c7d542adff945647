/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package backend

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func post(t *testing.T, address, contentType, body string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered, err := client.Post("http://"+address, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answered.Body.Close()
	content, err := io.ReadAll(answered.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered.StatusCode, string(content)
}

func TestTheModelAnswersWithAsMuch(t *testing.T) {
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

func TestAHangingSinkReadsAndNeverAnswers(t *testing.T) {
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
	if answer, _ := io.ReadAll(connection); len(answer) > 0 || s.Events() > 0 {
		t.Errorf("answered %q, %d events", answer, s.Events())
	}
}
