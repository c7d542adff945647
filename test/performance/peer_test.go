/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"slices"
	"testing"
)

func TestAPeerIsStartedByItsTemplate(t *testing.T) {
	p, err := newPeer("/bin/peer", "--port {listen-port} --target=http://{target} --log-url=http://{sink}/", "PROBE={target-port} A=b")
	if err != nil {
		t.Fatal(err)
	}
	got := p.command(place{listen: "127.0.0.1:1", admin: "127.0.0.1:2", target: "127.0.0.1:3", sink: "127.0.0.1:4", cell: &cell{environment: []string{"GOMAXPROCS=1"}}})
	if want := []string{"--port", "1", "--target=http://127.0.0.1:3", "--log-url=http://127.0.0.1:4/"}; !slices.Equal(got.Arguments, want) {
		t.Errorf("arguments %q, want %q", got.Arguments, want)
	}
	if want := []string{"PROBE=3", "A=b", "GOMAXPROCS=1"}; !slices.Equal(got.Environment, want) {
		t.Errorf("environment %q, want %q", got.Environment, want)
	}
}

func TestAPeerThatCannotWorkIsRefused(t *testing.T) {
	if _, err := newPeer("/bin/peer", "--port 1", ""); err == nil {
		t.Error("it is taken")
	}
	if p, err := newPeer("", "", ""); p != nil || err != nil {
		t.Errorf("without a path: %v, %v", p, err)
	}
}
