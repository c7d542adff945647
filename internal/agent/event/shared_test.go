/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// TestAnEventHasTheMetadataThatItIsBuiltWith, also when several goroutines build
// events with different metadata at once.
func TestAnEventHasTheMetadataThatItIsBuiltWith(t *testing.T) {
	builder := &Builder{Identity: Identity{Source: "s"}, MaxPayloadBytes: maxBytes}
	versions := [][]metadata.Attribute{
		nil,
		{{Name: "team", Value: "a"}},
		{{Name: "team", Value: "b"}},
		{{Name: "team", Value: "b"}, {Name: "zone", Value: "c"}},
		{{Name: "zone", Value: "c"}},
		{{Name: "team", Value: ""}},
	}
	var building sync.WaitGroup
	for n := range 4 {
		building.Go(func() {
			for round := range 200 {
				attributes := slices.Clone(versions[(n+round)%len(versions)])
				built, err := builder.Build(observation(), agentconfig.KindResponse, attributes)
				if err != nil {
					t.Error("Build:", err)
					return
				}
				got := extensionsOf(built)
				for _, name := range []string{"team", "zone"} {
					want := ""
					for _, attribute := range attributes {
						if attribute.Name == name {
							want = attribute.Value
						}
					}
					if value, given := got[name]; given != (want != "") || given && value != want {
						t.Errorf("with %v, %s is %v", attributes, name, value)
					}
				}
			}
		})
	}
	building.Wait()
}

// TestMetadataInForceAreEncodedOnce, and again when the slice or the identity has
// changed.
func TestMetadataInForceAreEncodedOnce(t *testing.T) {
	builder := &Builder{Identity: Identity{Source: "s"}, MaxPayloadBytes: maxBytes}
	attributes := []metadata.Attribute{{Name: "team", Value: "a"}}
	build := func() *Event {
		built, err := builder.Build(observation(), agentconfig.KindResponse, attributes)
		if err != nil {
			t.Fatal(err)
		}
		return built
	}
	first, second := build(), build()
	if first.shared != second.shared {
		t.Error("the second event has its own copy")
	}
	attributes[0].Value = "b"
	third := build()
	if got := extensionsOf(first)["team"]; got != "a" {
		t.Errorf("the first event's team became %v", got)
	}
	if got := extensionsOf(third)["team"]; got != "b" {
		t.Errorf("the third event's team is %v", got)
	}
	builder.Identity.AgentInstance = "j"
	if got := extensionsOf(build())["agentinstance"]; got != "j" {
		t.Errorf("another identity gives the agentinstance %v", got)
	}
}

// TestMetadataNeverReplaceOurAttributes, not even those that an event lacks.
func TestMetadataNeverReplaceOurAttributes(t *testing.T) {
	const odd = "mine"
	for _, name := range []string{
		"specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema", "time", "data", sequenceAttribute,
		"agentinstance", "component", "correlationid", "durationms", "grpcstatus", "knativeerrorcode", "replaced", "statuscode", "traceparent",
	} {
		for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
			plain := build(t, mode, observation())
			if got := build(t, mode, observation(), metadata.Attribute{Name: name, Value: odd}); wire(t, got) != wire(t, plain) {
				t.Errorf("%s, %s:\n%s\nand not\n%s", name, mode, wire(t, got), wire(t, plain))
			}
		}
	}
}

func TestMetadataWithAnInvalidNameAreRefused(t *testing.T) {
	builder := &Builder{Identity: Identity{Source: "s"}, MaxPayloadBytes: maxBytes}
	for _, name := range []string{"", "Team", "a b", "a\r\nb", "a:b", `a"b`, "é"} {
		if _, err := builder.Build(observation(), agentconfig.KindResponse, []metadata.Attribute{{Name: name, Value: "x"}}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestAnEventWithoutASourceIsRefused(t *testing.T) {
	for _, source := range []string{"", "#", ":", "%zz"} {
		builder := &Builder{Identity: Identity{Source: source}, MaxPayloadBytes: maxBytes}
		if _, err := builder.Build(observation(), agentconfig.KindResponse, nil); err == nil {
			t.Errorf("%q is taken", source)
		}
	}
}

func TestTheSequenceIsPaddedToTwelveDigits(t *testing.T) {
	for _, sequence := range []uint64{0, 7, 1e11 - 1, 1e11, 1e12 - 1, 1e12, 1<<64 - 1} {
		if got, want := string(appendSequence(nil, sequence)), fmt.Sprintf("%012d", sequence); got != want {
			t.Errorf("%d is %s, and not %s", sequence, got, want)
		}
	}
}
