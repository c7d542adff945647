/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// stored returns an event as it comes back from a disk.
func stored(t *testing.T, e *Event) (*Event, []byte) {
	t.Helper()
	attributes, data := e.Stored(nil)
	bytes := slices.Concat(attributes, data)
	back, err := ReadStored(bytes)
	if err != nil {
		t.Fatal("ReadStored:", err)
	}
	return back, bytes
}

// wire is what goes out of an event, byte for byte.
func wire(t *testing.T, e *Event) string {
	t.Helper()
	message := e.Message(7)
	body, err := io.ReadAll(message.Body())
	if err != nil {
		t.Fatal("reading a message:", err)
	}
	line, err := e.Line(7)
	if err != nil {
		t.Fatal("Line:", err)
	}
	return fmt.Sprintf("%v\n%d\n%s\n%s", message.Header, message.Length, body, line)
}

// TestAStoredEventGoesOutAsItWouldHave, and so does its dead letter.
func TestAStoredEventGoesOutAsItWouldHave(t *testing.T) {
	seen := make(map[agentconfig.Kind]bool)
	same := func(name string, e *Event) {
		t.Helper()
		seen[e.Kind] = true
		back, _ := stored(t, e)
		if got, want := wire(t, back), wire(t, e); got != want {
			t.Errorf("%s:\n%s\nwas\n%s", name, got, want)
		}
		if got, want := extensionsOf(back), extensionsOf(e); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the attributes are %v, and were %v", name, got, want)
		}
		if back.Kind != e.Kind || back.ID() != e.ID() {
			t.Errorf("%s: %s %s, was %s %s", name, back.Kind, back.ID(), e.Kind, e.ID())
		}
	}
	observations := map[string]*Observation{
		"a response":            observation(grpcStatus(0), inferenceHeader("5")),
		"a request":             observation(ofRequest),
		"a request's failure":   observation(ofRequest, brokenOff),
		"a response's failure":  observation(status(500), ofSize(5)),
		"a large request":       observation(ofRequest, ofSize(maxBytes+1)),
		"a large response":      observation(ofSize(1 << 40)),
		"an encoded request":    observation(ofRequest, contentEncoding("compress")),
		"an encoded response":   observation(contentEncoding("lzma")),
		"a stream":              observation(contentType("text/event-stream")),
		"a tunnel":              observation(ofTunnel),
		"a loop":                observation(ofLoop),
		"nothing but what must": observation(path(""), contentType(""), body("")),
		"data that is no JSON":  observation(body("\x00\xff\n")),
		"an event as a body":    observation(contentType("application/cloudevents+json")),
		"odd attributes":        observation(path("/%zz"+strings.Repeat("x", 2000)), contentType("not/a/type")),
		"another time":          observation(func(o *Observation) { o.At = time.Unix(-1, 5).In(time.FixedZone("", 3600)) }),
	}
	for name, o := range observations {
		for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeAuto, agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
			e := build(t, mode, o, metadata.Attribute{Name: "team", Value: "東京 \"50%\""}, metadata.Attribute{Name: "owner", Value: "x"})
			same(name+", "+string(mode), e)
			plain := build(t, mode, o)
			same(name+", plain, "+string(mode), plain)
			for _, failure := range []Failure{
				{Destination: "http://sink", Status: 503, Body: []byte("no\n")},
				{Destination: "http://sink/東京", Body: bytes.Repeat([]byte("x"), MaxErrorBytes+1)},
			} {
				letter, err := plain.DeadLetter(failure)
				if err != nil {
					t.Fatal(err)
				}
				same("the dead letter of "+name, letter)
				back, _ := stored(t, plain)
				again, err := back.DeadLetter(failure)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := wire(t, again), wire(t, letter); got != want {
					t.Errorf("the dead letter of %s after the disk:\n%s\nwas\n%s", name, got, want)
				}
			}
		}
	}
	told, err := (&Builder{Identity: Identity{Source: "s"}, ContentMode: agentconfig.ContentModeAuto}).Ledger(ledger.Statement{Sequence: 7, Final: true}, "id", time.Unix(1, 0).In(time.FixedZone("", 3600)))
	if err != nil {
		t.Fatal(err)
	}
	same("a ledger event", told)
	for _, kind := range agentconfig.Kinds() {
		if !seen[kind] {
			t.Errorf("no %s event was stored", kind)
		}
	}
}

// TestAnAttributeOfAnEarlierAgentIsRenamed: its name is longer than CloudEvents
// allows, and the event may still be in a spool.
func TestAnAttributeOfAnEarlierAgentIsRenamed(t *testing.T) {
	e := build(t, agentconfig.ContentModeAuto, observation(inferenceHeader("5")))
	_, whole := stored(t, e)
	at := bytes.Index(whole, []byte(inferenceHeaderAttribute))
	earlier := slices.Concat(whole[:at-4], appendString(nil, "inferenceheaderlength"), whole[at+len(inferenceHeaderAttribute):])
	back, err := ReadStored(earlier)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := wire(t, back), wire(t, e); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestAnEventThatAnEarlierAgentStoredGoesOutAsItWouldHave: testdata/stored has one
// that the first agent with a spool wrote, and the line that it wrote of it.
func TestAnEventThatAnEarlierAgentStoredGoesOutAsItWouldHave(t *testing.T) {
	earlier, err := os.ReadFile("testdata/stored/v1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/stored/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := ReadStored(earlier)
	if err != nil {
		t.Fatal("ReadStored:", err)
	}
	line, err := e.Line(7)
	if err != nil {
		t.Fatal("Line:", err)
	}
	if !bytes.Equal(line, want) {
		t.Errorf("it goes out as\n%s\nand not as\n%s", line, want)
	}
	if _, again := stored(t, e); !bytes.Equal(again, earlier) {
		t.Errorf("it is stored as\n%q\nand not as\n%q", again, earlier)
	}
}

// TestAStoredEventHasNoExtensionInThePlaceOfAnAttribute: the event would have such
// a name twice. A name with odd characters could end a line of a header.
func TestAStoredEventHasNoExtensionInThePlaceOfAnAttribute(t *testing.T) {
	read := func(name string) error {
		e := *build(t, agentconfig.ContentModeAuto, observation(), metadata.Attribute{Name: "team", Value: "x"})
		e.own = append(slices.Clip(e.own), extension{name: name, text: "y"})
		attributes, data := e.Stored(nil)
		_, err := ReadStored(slices.Concat(attributes, data))
		return err
	}
	if err := read("zone"); err != nil {
		t.Fatal("an extension is refused:", err)
	}
	for _, name := range []string{
		"specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema", "time", "data", sequenceAttribute,
		"team", "statuscode", "", "Zone", "a b", "a\r\nb", "a:b", `a"b`, "é",
	} {
		if read(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

// TestAStoredEventIsAsValidAsABuiltOne: an event that the SDK refuses can't be read.
func TestAStoredEventIsAsValidAsABuiltOne(t *testing.T) {
	for what, change := range map[string]func(*Event){
		"a blank id":             func(e *Event) { e.id = " " },
		"a blank subject":        func(e *Event) { e.subject = " " },
		"an empty source":        func(e *Event) { e.source = "" },
		"a source of a fragment": func(e *Event) { e.source = "#" },
		"a year of five digits":  func(e *Event) { e.at = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a negative year":        func(e *Event) { e.at = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		e := *build(t, agentconfig.ContentModeAuto, observation())
		change(&e)
		attributes, data := e.Stored(nil)
		if _, err := ReadStored(slices.Concat(attributes, data)); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func TestAStoredAttributeIsAbsentOrNotEmpty(t *testing.T) {
	_, whole := stored(t, build(t, agentconfig.ContentModeAuto, observation(path("/subject"))))
	there := appendOptionalString(nil, "/subject")
	if bytes.Count(whole, there) != 1 {
		t.Fatalf("%q has no subject", whole)
	}
	if _, err := ReadStored(bytes.Replace(whole, there, []byte{0}, 1)); err != nil {
		t.Error("an event without a subject is refused:", err)
	}
	if _, err := ReadStored(bytes.Replace(whole, there, []byte{1, 0, 0, 0, 0}, 1)); err == nil {
		t.Error("an empty subject is taken")
	}
}

// TestStoredExtensionsMayHaveAnyOrder: they go out sorted.
func TestStoredExtensionsMayHaveAnyOrder(t *testing.T) {
	sorted := build(t, agentconfig.ContentModeAuto, observation(grpcStatus(3)))
	turned := *sorted
	turned.own = slices.Clone(sorted.own)
	slices.Reverse(turned.own)
	attributes, data := turned.Stored(nil)
	back, err := ReadStored(slices.Concat(attributes, data))
	if err != nil {
		t.Fatal("ReadStored:", err)
	}
	if got, want := wire(t, back), wire(t, sorted); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestAnEmptyExtensionIsNoLineOfAHeader, and a member of the JSON.
func TestAnEmptyExtensionIsNoLineOfAHeader(t *testing.T) {
	e := build(t, agentconfig.ContentModeAuto, observation())
	e.own.set(extension{name: "empty"})
	e.measure()
	judge(t, e, meantByFields(e), 1)
}

// TestAStoredContentTypeIsPrintable, because it goes into a header as it is.
func TestAStoredContentTypeIsPrintable(t *testing.T) {
	for contentType, readable := range map[string]bool{
		"text/plain; a=b": true, "text/plain; a=\"\x01\"": false, "text/plain\r\nA: b": false, "text": true, "a/b/c": false, " ": false,
	} {
		e := *build(t, agentconfig.ContentModeAuto, observation())
		e.contentType = contentType
		attributes, data := e.Stored(nil)
		if _, err := ReadStored(slices.Concat(attributes, data)); (err == nil) != readable {
			t.Errorf("%q: %v", contentType, err)
		}
	}
}

// TestInvalidStoredEventIsRefused: every prefix of one, and every byte of one
// changed, is an error or another event, never a panic.
func TestInvalidStoredEventIsRefused(t *testing.T) {
	e := build(t, agentconfig.ContentModeAuto, observation(grpcStatus(3)))
	_, whole := stored(t, e)
	attributes := len(whole) - len(e.Data())
	for n := range attributes {
		if _, err := ReadStored(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are an event", n, len(whole))
		}
	}
	for at := range whole {
		for _, bit := range []byte{1, 0x80} {
			changed := slices.Clone(whole)
			changed[at] ^= bit
			if got, err := ReadStored(changed); err == nil {
				_ = got.Message(1)
			}
		}
	}
}

func FuzzReadStored(f *testing.F) {
	builder := Builder{Identity: Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: maxBytes}
	for _, o := range []*Observation{observation(grpcStatus(3)), observation(ofRequest), observation(ofTunnel), observation(ofSize(5), status(500))} {
		e, err := builder.Build(o, Classify(o, maxBytes), []metadata.Attribute{{Name: "team", Value: "東 京"}})
		if err != nil {
			f.Fatal(err)
		}
		for _, profile := range agentconfig.Profiles() {
			inProfile, err := e.As(profile)
			if err != nil {
				f.Fatal(err)
			}
			attributes, data := inProfile.Stored(nil)
			f.Add(slices.Concat(attributes, data))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		e, err := ReadStored(input)
		if err != nil {
			return
		}
		if len(e.Data()) > len(input) {
			t.Errorf("%d bytes gave data of %d", len(input), len(e.Data()))
		}
		_ = e.Message(1)
		back, _ := stored(t, e)
		if got, want := wire(t, back), wire(t, e); got != want {
			t.Errorf("stored again:\n%s\nwas\n%s", got, want)
		}
		meant := meantByFields(e)
		if err := meant.Validate(); err != nil {
			t.Errorf("an event was read that the SDK finds invalid: %v", err)
		}
		judge(t, e, meant, 1)
		failure := Failure{Destination: "d", Status: 1}
		letter, err := e.DeadLetter(failure)
		if err != nil {
			t.Fatal("DeadLetter:", err)
		}
		judge(t, letter, meantByLetter(meant, failure), 1)
	})
}

func FuzzStored(f *testing.F) {
	f.Add("application/json", "/p", "a=1", `{"a":1}`, true)
	f.Add("", "", "\xff", "", false)
	f.Fuzz(func(t *testing.T, contentType, path, requestID, data string, complete bool) {
		o := observation(func(o *Observation) {
			o.Coding.ContentType, o.Exchange.Path, o.Exchange.ClientRequestID = contentType, path, requestID
			o.Body, o.Complete = whole(data), complete
		})
		for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeAuto, agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
			e := build(t, mode, o)
			back, _ := stored(t, e)
			if got, want := wire(t, back), wire(t, e); got != want {
				t.Errorf("%s: %s\nwas\n%s", mode, got, want)
			}
		}
	})
}
