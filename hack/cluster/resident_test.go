/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// A client that closes its side still gets all of the response: what HTTP/1.0,
// kubectl exec and others rely on.
func TestForwardCarriesBytesAndEnds(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		connection, err := target.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		request, _ := io.ReadAll(connection)
		_, _ = connection.Write([]byte("response to " + string(request)))
	}()
	entrance, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer entrance.Close()
	go func() {
		connection, err := entrance.Accept()
		if err == nil {
			carry(connection.(*net.TCPConn), target.Addr().String())
		}
	}()
	client, err := net.Dial("tcp", entrance.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// Not a limit on speed: an end that isn't passed on would hang forever.
	if err := client.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("PRI * HTTP/2.0")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := io.ReadAll(client)
	if err != nil || string(response) != "response to PRI * HTTP/2.0" {
		t.Errorf("%q, %v", response, err)
	}
}

func TestListenHandsOnWorkingListeners(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.Addr().(*net.TCPAddr).Port
	if _, err := listen([]int{port}); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("a taken port: %v", err)
	}
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	opened, err := listen([]int{port})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(opened)
	client, err := net.Dial("tcp", probe.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
}

func TestBoundLog(t *testing.T) {
	path := t.TempDir() + "/kubelet.log"
	writer, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	write := func(text string) {
		t.Helper()
		if _, err := writer.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	contents := func(path string) string {
		data, _ := os.ReadFile(path)
		return string(data)
	}
	write("0123456789")
	if err := boundLog(path, 10); err != nil || contents(path) != "0123456789" {
		t.Fatalf("at the limit: %v, %q", err, contents(path))
	}
	write("abc")
	if err := boundLog(path, 10); err != nil {
		t.Fatal(err)
	}
	write("new")
	if contents(path) != "new" || contents(path+".1") != "3456789abc" {
		t.Errorf("%q, kept %q", contents(path), contents(path+".1"))
	}
}
