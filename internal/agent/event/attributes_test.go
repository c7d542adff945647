/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"mime"
	"regexp"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/types"
)

// What the attributes may be, as docs/event-contract.md and the specifications
// have it.
var (
	clientRequestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)
	codingPattern          = regexp.MustCompile(`^[a-z0-9._+,-]{1,64}$`)
	traceParentPattern     = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]+)?$`)
	decimalBytesPattern    = regexp.MustCompile(`^[0-9]{1,9}$`)
	namePattern            = regexp.MustCompile(`^[a-z0-9]+$`)
)

// FuzzValuesAreTakenByTheirPatterns compares the checks of values with regular
// expressions and parsers that say the same.
func FuzzValuesAreTakenByTheirPatterns(f *testing.F) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, value := range []string{
		"", "a", "Z", "A-1.b:c_d", "gzip", "gzip,br", "GZIP", "1", "999999999", "1000000000", "-1", "+1", "é", "a\n", "\n", "\x00", "~", "[", "/", ":", "@", "`", "{",
		strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("a", 128), strings.Repeat("a", 129),
		parent, parent + "-", parent + "-x", parent[:54], parent[:2] + "_" + parent[3:], parent[:35] + "_" + parent[36:], parent[:52] + "_" + parent[53:], "01" + parent[2:] + "-", "01" + parent[2:] + "-x y", "01" + parent[2:] + "-x", "01" + parent[2:] + "x",
		"ff" + parent[2:], strings.ToUpper(parent), strings.ReplaceAll(parent, "-", "_"), "00-" + strings.Repeat("0", 32) + parent[35:], parent[:36] + strings.Repeat("0", 16) + "-01",
		"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8", "a/b; charset=utf-8; charset=utf-8", "; charset=utf-8",
		"a/", "/b", "a/b/c", "a b/c", "A/B", "a/b ", " a/b", "a/b;", "!#$%&'*+-.^_`|~/a", "a/(", "text",
		"specversion", "team", "data",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var replaced replacements
		if taken, want := replaced.clientRequestID(value) == value && len(replaced) == 0, value == "" || clientRequestIDPattern.MatchString(value); taken != want {
			t.Errorf("the request id is taken: %v", taken)
		}
		replaced = nil
		if taken, want := replaced.coding(value) == value && len(replaced) == 0, value == "" || codingPattern.MatchString(value); taken != want {
			t.Errorf("the coding is taken: %v", taken)
		}
		replaced = nil
		if _, taken := replaced.inferenceHeaderLength(value, 1<<31-1); taken != decimalBytesPattern.MatchString(value) {
			t.Errorf("the length is taken: %v", taken)
		}
		if taken, want := validTraceParent(value), matchesTraceParent(value); taken != want {
			t.Errorf("the traceparent is taken: %v", taken)
		}
		if plainMediaType(value) {
			if _, _, err := mime.ParseMediaType(value); err != nil || !printable(value) {
				t.Errorf("the content type is taken, which doesn't parse: %v", err)
			}
		}
		if taken := validExtensionName(value); taken && !namePattern.MatchString(value) {
			t.Error("the name is taken")
		}
		normalized, err := NormalizeSource(value)
		switch reference := types.ParseURIRef(value); {
		case (err == nil) != (reference != nil):
			t.Errorf("the source is %q, %v, and of the SDK %v", normalized, err, reference)
		case err == nil && normalized != reference.String():
			t.Errorf("the source is %q, and not %q", normalized, reference)
		}
	})
}

func matchesTraceParent(value string) bool {
	if len(value) > maxTraceParentBytes || !traceParentPattern.MatchString(value) {
		return false
	}
	version, traceID, parentID := value[:2], value[3:35], value[36:52]
	if version == "ff" || (version == "00" && len(value) != 55) {
		return false
	}
	return strings.Trim(traceID, "0") != "" && strings.Trim(parentID, "0") != ""
}
