/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/binding"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// headerLine is a text of any Unicode, and of what is special somewhere on the way.
func headerLine(random *rand.Rand) string {
	special := []string{
		"", " ", "  a ", "a=b", "$(HOME)", `"`, `\`, ",", "%0A", "%", "\t", "\x7f", "\u0085", "\u00a0", "\ufeff", "\ufffe", "\ufffd", "\U0001ffff",
		"\ufdd0", "\u202e", "e\u0301", "\xff", "\xed\xa0\x80", "東京", "🚀", strings.Repeat("x", 1024), strings.Repeat("é", 512),
	}
	var line strings.Builder
	for range random.Intn(4) {
		if random.Intn(2) == 0 {
			line.WriteString(special[random.Intn(len(special))])
			continue
		}
		for range random.Intn(8) {
			line.WriteRune(rune(random.Intn(0x110000)))
		}
	}
	return line.String()
}

// TestAnyValueOfAHeaderGivesAValidEvent: whatever lines a header has, the event is a
// valid CloudEvent. It has the value unchanged, or names the attribute in replaced.
func TestAnyValueOfAHeaderGivesAValidEvent(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	headers := NewHeaders([]agentconfig.HeaderSource{{Attribute: "tenant", Header: "x-tenant"}, {Attribute: "experiment", Header: "X-Experiment"}}, metadata.DefaultDeniedValues)
	carried, replaced := 0, 0
	for range 3000 {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		want := make(map[string]string)
		for name, attribute := range map[string]string{"X-Tenant": "tenant", "X-Experiment": "experiment"} {
			var trimmed []string
			for range random.Intn(3) {
				line := headerLine(random)
				r.Header.Add(name, line)
				trimmed = append(trimmed, textproto.TrimString(line))
			}
			want[attribute] = strings.Join(trimmed, ", ")
		}
		o := observation()
		o.Exchange.KeepHeaders(headers, r)
		for _, mode := range []agentconfig.ContentMode{agentconfig.ContentModeAuto, agentconfig.ContentModeBinary, agentconfig.ContentModeStructured} {
			event, encoding := receive(t, build(t, mode, o, metadata.Attribute{Name: "team", Value: "ai"}))
			named, _ := event.Extensions()["replaced"].(string)
			for attribute, value := range want {
				got, there := event.Extensions()[attribute]
				text, _ := got.(string)
				isNamed := slices.Contains(strings.Split(named, ","), attribute)
				fits := value != "" && len(value) <= metadata.MaxValueBytes && metadata.ValidateValue(value) == nil
				switch {
				case there != fits, isNamed != (value != "" && !fits):
					t.Fatalf("%s: %q arrives as %v, replaced is %q", mode, r.Header, event.Extensions(), named)
				case !utf8.ValidString(text), strings.ContainsFunc(text, unicode.IsControl):
					t.Fatalf("%s: %q is no String of CloudEvents", mode, text)
				// In binary mode nobody decodes what the binding has encoded.
				case fits && text != value && (mode != agentconfig.ContentModeBinary || encoding == binding.EncodingStructured):
					t.Fatalf("%s: %q arrives as %q", mode, value, text)
				case fits:
					carried++
				case isNamed:
					replaced++
				}
			}
		}
	}
	if carried < 1000 || replaced < 1000 {
		t.Errorf("%d values were carried and %d replaced: the test shows little", carried, replaced)
	}
}
