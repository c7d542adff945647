/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPatternTakesWhatMatches(t *testing.T) {
	var (
		fixed    = "x"
		long     = strings.Repeat("x", MaxValueBytes)
		pattern  = Source{Annotation: "example.com/*"}
		many     = make(map[string]string)
		manyOut  []string
		manyTook []Attribute
	)
	for i := range MaxAttributes + 2 {
		name := fmt.Sprintf("a%02d", i)
		many["example.com/"+name] = "x"
		if i < MaxAttributes {
			manyTook = append(manyTook, Attribute{name, "x"})
		} else {
			manyOut = append(manyOut, fmt.Sprintf("example.com/%s: attribute %q is one too many: at most 32 can go into an event", name, name))
		}
	}
	for what, test := range map[string]struct {
		annotations map[string]string
		sources     []Source
		want        []Attribute
		leftOut     []string
	}{
		"every key with the prefix, and no other": {
			annotations: map[string]string{"example.com/team": "a", "example.com/Cost-Center": "7", "example.com": "b", "sub.example.com/x": "c", "team": "d"},
			sources:     []Source{pattern},
			want:        []Attribute{{"costcenter", "7"}, {"team", "a"}},
		},
		"the first of two keys in sorted order": {
			annotations: map[string]string{"example.com/te-am": "a", "example.com/team": "b"},
			sources:     []Source{pattern},
			want:        []Attribute{{"team", "a"}},
			leftOut:     []string{`example.com/team: the attribute "team" is of example.com/te-am`},
		},
		"the first of two patterns' keys in sorted order": {
			annotations: map[string]string{"example.com/team": "a", "a.example.com/team": "b"},
			sources:     []Source{pattern, {Annotation: "a.example.com/*"}},
			want:        []Attribute{{"team", "b"}},
			leftOut:     []string{`example.com/team: the attribute "team" is of a.example.com/team`},
		},
		"no attribute of another source, even if the object lacks that": {
			annotations: map[string]string{"example.com/team": "a", "example.com/tenant": "b", "example.com/region": "c", "example.com/app": "d"},
			sources: []Source{
				pattern, {Attribute: "team", Annotation: "team"}, {Attribute: "tenant", Header: "X-Tenant"},
				{Attribute: "region", Label: "region"}, {Attribute: "app", Value: &fixed},
			},
			leftOut: []string{
				`example.com/app: the attribute "app" is of attribute app`,
				`example.com/region: the attribute "region" is of label region`,
				`example.com/team: the attribute "team" is of team`,
				`example.com/tenant: the attribute "tenant" is of header X-Tenant`,
			},
		},
		"nothing that is listed by its key": {
			annotations: map[string]string{"example.com/team": "a", "example.com/the-team-that-owns-it": "b"},
			sources:     []Source{pattern, {Attribute: "team", Annotation: "example.com/team"}, {Attribute: "owner", Annotation: "example.com/the-team-that-owns-it"}},
		},
		"no key without a name, and no reserved one": {
			annotations: map[string]string{"example.com/1st": "a", "example.com/source": "b"},
			sources:     []Source{pattern},
			leftOut: []string{
				`example.com/1st: "1st" is not a valid attribute name: write 1 to 20 characters a-z and 0-9, beginning with a letter`,
				`example.com/source: "source" is a reserved attribute name: CloudEvents, Knative or the event itself uses it`,
			},
		},
		"no denied key": {
			annotations: map[string]string{"example.com/api-token": "a", "example.com/team": "b"},
			sources:     []Source{pattern},
			want:        []Attribute{{"team", "b"}},
			leftOut:     []string{`example.com/api-token: the cluster denies "*token*"`},
		},
		"nothing of a denied pattern": {
			annotations: map[string]string{"token.example.com/team": "a"},
			sources:     []Source{{Annotation: "token.example.com/*"}},
		},
		"no invalid value": {
			annotations: map[string]string{"example.com/a": "secret\n", "example.com/b": long + "x"},
			sources:     []Source{pattern},
			leftOut: []string{
				`example.com/a: attribute "a": the value contains the control character U+000A, which CloudEvents forbids: write it on one line of printable text`,
				`example.com/b: attribute "b": the value has 1025 bytes: at most 1024 can go into an attribute`,
			},
		},
		"what there is room for": {
			annotations: map[string]string{"example.com/a": long, "example.com/b": long, "example.com/c": long, "example.com/d": long, "example.com/e": "x"},
			sources:     []Source{pattern},
			want:        []Attribute{{"a", long}, {"b", long}, {"c", long}, {"e", "x"}},
			leftOut:     []string{`example.com/d: with attribute "d" the attributes have 4100 bytes in all: at most 4096 can go into an event`},
		},
		"as many as there may be": {annotations: many, sources: []Source{pattern}, want: manyTook, leftOut: manyOut},
		"a pattern that is none": {
			annotations: map[string]string{"example.com/a": "a", "/a": "b", "team": "c"},
			sources:     []Source{{Annotation: "*"}, {Annotation: "/*"}, {Annotation: "*/a"}, {Annotation: "example.com/a*"}},
		},
	} {
		var set Set
		leftOut := Matches(&set, test.annotations, test.sources, Denylist{"*token*"})
		if diff := cmp.Diff(test.want, set.Attributes()); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
		if diff := cmp.Diff(test.leftOut, leftOut); diff != "" {
			t.Errorf("%s: left out (-want, +got): %s", what, diff)
		}
	}
}

func TestHeadersCountByNumber(t *testing.T) {
	var set Set
	for i := range MaxAttributes - 1 {
		if err := set.Reserve(fmt.Sprintf("a%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Reserve("a0"); err == nil {
		t.Error("a name is reserved twice")
	}
	if err := set.Add(Attribute{"a0", "x"}); err == nil {
		t.Error("a reserved name is added")
	}
	if err := set.Add(Attribute{"b", strings.Repeat("x", MaxValueBytes)}); err != nil {
		t.Errorf("the names of headers take bytes: %v", err)
	}
	if err := set.Add(Attribute{"c", "x"}); err == nil {
		t.Error("there are 33 attributes")
	}
	if err := set.Reserve("c"); err == nil {
		t.Error("there are 33 attributes")
	}
}

func TestASourceIsOne(t *testing.T) {
	empty := ""
	for what, test := range map[string]struct {
		source  Source
		named   string
		refusal string
	}{
		"an annotation":            {Source{Attribute: "team", Annotation: "example.com/team"}, "example.com/team", ""},
		"a label":                  {Source{Attribute: "team", Label: "team"}, "label team", ""},
		"a header":                 {Source{Attribute: "team", Header: "X-Team"}, "header X-Team", ""},
		"an empty value":           {Source{Attribute: "team", Value: &empty}, "attribute team", ""},
		"nothing":                  {Source{Attribute: "team"}, "attribute team", "write one of annotation, label, header and value"},
		"two":                      {Source{Attribute: "team", Annotation: "team", Value: &empty}, "attribute team", "write one of annotation, label, header and value"},
		"a pattern":                {Source{Annotation: "example.com/*"}, "example.com/*", "is a pattern"},
		"a header with a space":    {Source{Attribute: "team", Header: "X Team"}, "header X Team", "is not the name of a header"},
		"a header with a colon":    {Source{Attribute: "team", Header: ":path"}, "header :path", "is not the name of a header"},
		"credentials":              {Source{Attribute: "team", Header: "aUTHORIZATION"}, "header aUTHORIZATION", "has credentials"},
		"credentials of a proxy":   {Source{Attribute: "team", Header: "Proxy-Authorization"}, "header Proxy-Authorization", "has credentials"},
		"a cookie":                 {Source{Attribute: "team", Header: "cookie"}, "header cookie", "has credentials"},
		"a cookie of the response": {Source{Attribute: "team", Header: "set-cookie"}, "header set-cookie", "has credentials"},
		"a reserved name":          {Source{Attribute: "traceparent", Header: "traceparent"}, "header traceparent", "reserved"},
	} {
		if got := test.source.String(); got != test.named {
			t.Errorf("%s is named %q, want %q", what, got, test.named)
		}
		err := test.source.Validate()
		if (err == nil) != (test.refusal == "") || err != nil && !strings.Contains(err.Error(), test.refusal) {
			t.Errorf("%s: %v, want %q", what, err, test.refusal)
		}
	}
}

func TestTheDenylistCoversEveryKey(t *testing.T) {
	token := "token"
	sources := []Source{
		{Attribute: "a", Annotation: "example.com/api-token"}, {Attribute: "b", Label: "token"}, {Attribute: "c", Header: "X-Token"},
		{Attribute: "token", Value: &token}, {Attribute: "d", Label: "team"}, {Annotation: "tokens.example.com/*"},
	}
	permitted, denied := Denylist{"*TOKEN*"}.Permit(sources)
	if diff := cmp.Diff([]string{"example.com/api-token", "label token", "header X-Token", "tokens.example.com/*"}, denied); diff != "" {
		t.Error("denied (-want, +got):", diff)
	}
	if diff := cmp.Diff(sources[3:5], permitted); diff != "" {
		t.Error("permitted (-want, +got):", diff)
	}
}

// A fixed value is the owner's own text in the logger, so no list of keys denies it.
func TestADenylistOfEveryKeyPermitsFixedValues(t *testing.T) {
	fixed, empty := "berlin", ""
	sources := []Source{
		{Attribute: "site", Value: &fixed}, {Attribute: "team", Annotation: "team"}, {Attribute: "tier", Label: "tier"},
		{Attribute: "tenant", Header: "X-Tenant"}, {Annotation: "example.com/*"}, {Attribute: "none", Value: &empty},
	}
	permitted, denied := Denylist{"*"}.Permit(sources)
	if diff := cmp.Diff([]Source{sources[0], sources[5]}, permitted); diff != "" {
		t.Error("permitted (-want, +got):", diff)
	}
	if diff := cmp.Diff([]string{"team", "label tier", "header X-Tenant", "example.com/*"}, denied); diff != "" {
		t.Error("denied (-want, +got):", diff)
	}
}
