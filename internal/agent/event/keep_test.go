/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStoredEventIsTheSame as the whole head would, at every length
// around the bounds.
func TestStoredEventIsTheSame(t *testing.T) {
	builder := Builder{Identity: Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: maxBytes}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, make := range map[string]func(text string) (Exchange, Coding){
		"path":         func(text string) (Exchange, Coding) { return Exchange{Path: "/" + text}, Coding{} },
		"id":           func(text string) (Exchange, Coding) { return Exchange{ClientRequestID: text}, Coding{} },
		"content type": func(text string) (Exchange, Coding) { return Exchange{}, Coding{ContentType: "a/" + text} },
		"parameter": func(text string) (Exchange, Coding) {
			return Exchange{}, Coding{ContentType: "a/b; c=" + text}
		},
		"coding": func(text string) (Exchange, Coding) { return Exchange{}, Coding{ContentEncoding: text} },
		"gRPC coding": func(text string) (Exchange, Coding) {
			return Exchange{}, Coding{ContentType: "application/grpc", GRPCEncoding: text}
		},
		"length": func(text string) (Exchange, Coding) {
			return Exchange{}, Coding{InferenceHeaderLength: strings.Repeat("0", len(text))}
		},
		"trace parent": func(text string) (Exchange, Coding) {
			return Exchange{TraceParent: []string{"01" + parent[2:] + "-" + text}}, Coding{}
		},
		"trace parents": func(text string) (Exchange, Coding) {
			return Exchange{TraceParent: strings.Split(parent+strings.Repeat(","+parent, len(text)%4), ",")}, Coding{}
		},
		"trace state": func(text string) (Exchange, Coding) {
			return Exchange{TraceParent: []string{parent}, TraceState: []string{text}}, Coding{}
		},
		"trace states": func(text string) (Exchange, Coding) {
			return Exchange{TraceParent: []string{parent}, TraceState: []string{" a=b ,, c=d", text, "e=f"}}, Coding{}
		},
		"trace state members": func(text string) (Exchange, Coding) {
			return Exchange{TraceParent: []string{parent}, TraceState: []string{strings.Repeat("a=b, ", len(text)/4) + "c=" + text[len(text)/4*4:]}}, Coding{}
		},
	} {
		for length := range 1200 {
			exchange, coding := make(strings.Repeat("a", length))
			whole := observation(func(o *Observation) { o.Exchange, o.Coding = &exchange, coding })
			exchange.Received = whole.At
			kept := exchange
			bounded := *whole
			bounded.Exchange, bounded.Coding = kept.kept(), coding.kept()
			want, err := builder.Build(whole, agentconfig.KindResponse, nil)
			if err != nil {
				t.Fatal("Build:", err)
			}
			got, err := builder.Build(&bounded, agentconfig.KindResponse, nil)
			if err != nil {
				t.Fatal("Build:", err)
			}
			if got.Kind != want.Kind || wire(t, got) != wire(t, want) {
				t.Fatalf("%s of %d bytes: got %v, want %v", name, length, wire(t, got), wire(t, want))
			}
			if held := len(kept.Path) + len(strings.Join(kept.TraceParent, "")) + len(strings.Join(kept.TraceState, "")); held > 4000 {
				t.Fatalf("%s of %d bytes: %d are kept", name, length, held)
			}
		}
	}
}
