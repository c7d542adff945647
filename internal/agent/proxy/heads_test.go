/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestLongHeadsHaveABound: so many are read at once, each further one waits
// until one of them is an exchange, or its connection ends.
func TestLongHeadsHaveABound(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	listener := ListenForHeads(inner)
	defer listener.Close()
	connect := func() *headConn {
		client, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal("dial:", err)
		}
		t.Cleanup(func() { client.Close() })
		if _, err := client.Write(bytes.Repeat([]byte("a"), freeHeadBytes+10)); err != nil {
			t.Fatal("write:", err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal("accept:", err)
		}
		t.Cleanup(func() { accepted.Close() })
		return accepted.(*headConn)
	}
	read := func(c *headConn, n int) {
		for n > 0 {
			got, err := c.Read(make([]byte, n))
			if err != nil {
				t.Error("read:", err)
				return
			}
			n -= got
		}
	}
	var long []*headConn
	for range maxLongHeads {
		c := connect()
		read(c, freeHeadBytes)
		read(c, 1)
		long = append(long, c)
	}
	for what, end := range map[string]func(c *headConn){
		"is read": func(c *headConn) { c.leave(true) },
		"waits":   func(c *headConn) { nextHead(c, http.StateIdle) },
		"ends":    func(c *headConn) { c.Close() },
	} {
		one := connect()
		read(one, freeHeadBytes)
		if !one.isLong() || len(one.long) != maxLongHeads {
			t.Fatal("there is no bound")
		}
		done := make(chan struct{})
		go func() {
			read(one, 1)
			close(done)
		}()
		end(long[0])
		<-done
		if long = append(long[1:], one); len(one.long) != maxLongHeads {
			t.Errorf("when one %s, %d places are taken", what, len(one.long))
		}
	}
	waiting := connect()
	read(waiting, freeHeadBytes)
	failed := make(chan error)
	go func() {
		_, err := waiting.Read(make([]byte, 1))
		failed <- err
	}()
	waiting.Close()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection that ended while it waited gives %v", err)
	}
	for _, c := range long {
		c.Close()
	}
	if taken := len(long[0].long); taken != 0 {
		t.Errorf("%d places stay taken", taken)
	}
}

// TestTheWindowsOfHTTP2: what the agent announces on both sides.
func TestTheWindowsOfHTTP2(t *testing.T) {
	models, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	defer models.Close()
	handler := New(&url.URL{Scheme: "http", Host: models.Addr().String()}, func(*http.Request) (Watcher, http.Header) { return nil, nil }, func(ErrorClass) {})
	defer handler.CloseIdleConnections()
	agents, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	server := NewServer(handler, nil)
	ended := make(chan struct{})
	go func() {
		_ = server.Serve(ListenForHeads(agents))
		close(ended)
	}()
	defer func() {
		server.Close()
		<-ended
	}()
	// announced reads the first frame of one end, which has its settings.
	announced := func(c net.Conn) {
		t.Helper()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		frame, err := http2.NewFramer(c, c).ReadFrame()
		if err != nil {
			t.Fatal("reading a frame:", err)
		}
		settings, ok := frame.(*http2.SettingsFrame)
		if !ok {
			t.Fatalf("the first frame is %v", frame)
		}
		if window, _ := settings.Value(http2.SettingInitialWindowSize); window != streamWindow {
			t.Errorf("a stream's window is %d", window)
		}
		// A client may fill a frame of the announced size at once, so it must fit
		// the window.
		if size, announced := settings.Value(http2.SettingMaxFrameSize); announced && size > streamWindow {
			t.Errorf("a frame may have %d bytes, a stream's window has %d", size, streamWindow)
		}
	}
	client, err := net.Dial("tcp", agents.Addr().String())
	if err != nil {
		t.Fatal("dial:", err)
	}
	defer client.Close()
	if _, err := client.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal("write:", err)
	}
	if err := http2.NewFramer(client, client).WriteSettings(); err != nil {
		t.Fatal("write:", err)
	}
	announced(client)

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	asking := &http.Transport{Protocols: protocols}
	defer asking.CloseIdleConnections()
	asked, err := http.NewRequest(http.MethodGet, "http://"+agents.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		if response, err := asking.RoundTrip(asked); err == nil {
			response.Body.Close()
		}
	}()
	model, err := models.Accept()
	if err != nil {
		t.Fatal("accept:", err)
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := model.Read(preface); err != nil || !strings.HasPrefix(string(preface), "PRI") {
		t.Fatalf("the model got %q, %v", preface, err)
	}
	announced(model)
	model.Close()
	<-failed
}
