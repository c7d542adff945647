/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

func TestEveryKindIsDescribed(t *testing.T) {
	var described []agentconfig.Kind
	for _, description := range DescribeKinds() {
		described = append(described, description.Kind)
	}
	if !slices.Equal(described, agentconfig.Kinds()) {
		t.Errorf("described are %v, there are %v", described, agentconfig.Kinds())
	}
}

// TestEveryAttributeIsDescribed builds events with every attribute: each is
// described, and each that is described is set.
func TestEveryAttributeIsDescribed(t *testing.T) {
	const ownersAttribute = "team"
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	builder := &Builder{
		Identity:    Identity{Source: "s", InferenceService: "i", Namespace: "n", Component: "c", Revision: "r", AgentInstance: "a"},
		ContentMode: agentconfig.ContentModeStructured, MaxPayloadBytes: maxBytes,
	}
	build := func(kind agentconfig.Kind, options ...option) *Event {
		e, err := builder.Build(observation(options...), kind, []metadata.Attribute{{Name: ownersAttribute, Value: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	response := build(agentconfig.KindResponseFailure, brokenOff, grpcStatus(3), contentType("not a type"), contentEncoding("gzip"), inferenceHeader("2"), func(o *Observation) {
		o.Exchange.ClientRequestID, o.Exchange.SampledRate = "x", 100
		o.Exchange.TraceParent, o.Exchange.TraceState = []string{trace}, []string{"a=b"}
	})
	letter, err := response.DeadLetter(Failure{Destination: "http://sink", Status: 500, Body: []byte("no")})
	if err != nil {
		t.Fatal(err)
	}
	statement, err := builder.Ledger(ledger.Statement{}, "l", received)
	if err != nil {
		t.Fatal(err)
	}
	inProfile, err := build(agentconfig.KindResponse, func(o *Observation) { o.Exchange.Hops = 1 }).As(agentconfig.ProfileKServe)
	if err != nil {
		t.Fatal(err)
	}
	described := make(map[string]bool)
	for _, description := range DescribeAttributes() {
		described[description.Name] = true
		if !metadata.Reserved(description.Name) {
			t.Errorf("an owner's metadata may replace %s", description.Name)
		}
	}
	set := make(map[string]bool)
	stream := build(agentconfig.KindStream, path("/v1/chat/completions"), contentType("text/event-stream"), func(o *Observation) {
		o.FirstByte = o.At
		o.Body = whole(`data: {"model":"m","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":1}}}`)
	})
	request := build(agentconfig.KindRequest, ofRequest, path("/v1/chat/completions"), body(`{"model":"m"}`))
	for _, e := range []*Event{stream, request, response, letter, statement, inProfile, build(agentconfig.KindTunnel, ofTunnel), build(agentconfig.KindLoop, ofLoop)} {
		line, err := e.Line(1)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(line, &members); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for name := range members {
			set[name] = true
		}
	}
	for _, other := range []string{"specversion", "type", "data", "data_base64", ownersAttribute} {
		delete(set, other)
	}
	for name := range set {
		if !described[name] {
			t.Errorf("%s is set and not described", name)
		}
		delete(described, name)
	}
	if len(described) > 0 {
		t.Errorf("described and never set: %v", described)
	}
}
