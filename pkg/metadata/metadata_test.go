/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultName(t *testing.T) {
	for key, want := range map[string]string{
		"team":                    "team",
		"example.com/team":        "team",
		"example.com/Cost-Center": "costcenter",
		"data_class.v2":           "dataclassv2",
		"example.com/日本":          "",
		"":                        "",
	} {
		if got := DefaultName(key); got != want {
			t.Errorf("DefaultName(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestValidateName(t *testing.T) {
	for _, test := range []struct {
		name  string
		valid bool
	}{
		{"team", true},
		{"t", true},
		{"v2", true},
		{strings.Repeat("a", MaxNameLength), true},
		{strings.Repeat("a", MaxNameLength+1), false},
		{"", false},
		{"2v", false},
		{"Team", false},
		{"cost-center", false},
		{"id", false},
		{"traceparent", false},
		{"correlationid", false},
		{"knativearrivaltime", false},
		{"requestid", false},
	} {
		if err := ValidateName(test.name); (err == nil) != test.valid {
			t.Errorf("ValidateName(%q) = %v, want valid: %t", test.name, err, test.valid)
		}
	}
}

func TestValidateValue(t *testing.T) {
	for what, test := range map[string]struct {
		value string
		valid bool
	}{
		"plain text":          {"ai-platform", true},
		"nothing":             {"", true},
		"punctuation":         {`a"b, c=d;$(X) 50%`, true},
		"any script":          {"東京 🚀", true},
		"the longest":         {strings.Repeat("x", MaxValueBytes), true},
		"too long":            {strings.Repeat("x", MaxValueBytes+1), false},
		"a newline":           {"a\nb", false},
		"a tab":               {"a\tb", false},
		"a delete character":  {"a\x7fb", false},
		"a C1 control":        {"a\u0085b", false},
		"a noncharacter":      {"a\ufffeb", false},
		"a noncharacter pair": {"a\U0001ffffb", false},
		"broken UTF-8":        {"a\xffb", false},
	} {
		err := ValidateValue(test.value)
		if (err == nil) != test.valid {
			t.Errorf("%s: ValidateValue = %v, want valid: %t", what, err, test.valid)
		}
		if err != nil && len(test.value) < 100 && strings.Contains(err.Error(), test.value) {
			t.Errorf("%s: the message quotes the value: %v", what, err)
		}
	}
}

func TestValidateBoundsAllTogether(t *testing.T) {
	long := strings.Repeat("x", MaxValueBytes)
	many := make([]Attribute, MaxAttributes+1)
	for i := range many {
		many[i] = Attribute{Name: "a" + strings.Repeat("b", i%19)}
	}
	for what, attributes := range map[string][]Attribute{
		"too many":         many,
		"too large in all": {{"a", long}, {"b", long}, {"c", long}, {"d", long}},
		"a name twice":     {{"a", "1"}, {"a", "2"}},
		"a bad name":       {{"A", "1"}},
		"a bad value":      {{"a", "\n"}},
	} {
		if err := Validate(attributes); err == nil {
			t.Errorf("%s: Validate gave no error", what)
		}
	}
	if err := Validate([]Attribute{{"a", long}, {"b", long}, {"c", long}}); err != nil {
		t.Errorf("Validate refused what fits: %v", err)
	}
}

func TestAcceptOmitsInvalidAttributes(t *testing.T) {
	long := strings.Repeat("x", MaxValueBytes)
	for what, test := range map[string]struct {
		given, want []Attribute
		refused     int
	}{
		"nothing":               {nil, nil, 0},
		"what can":              {[]Attribute{{"a", "1"}, {"b", "2"}}, []Attribute{{"a", "1"}, {"b", "2"}}, 0},
		"a line break":          {[]Attribute{{"a", "1\n2"}, {"b", "2"}}, []Attribute{{"b", "2"}}, 1},
		"a name twice":          {[]Attribute{{"a", "1"}, {"a", "2"}, {"b", "3"}}, []Attribute{{"a", "1"}, {"b", "3"}}, 1},
		"a reserved name":       {[]Attribute{{"id", "1"}, {"b", "2"}}, []Attribute{{"b", "2"}}, 1},
		"no name":               {[]Attribute{{"", "1"}, {"b", "2"}}, []Attribute{{"b", "2"}}, 1},
		"too much in all":       {[]Attribute{{"a", long}, {"b", long}, {"c", long}, {"d", long}, {"e", "1"}}, []Attribute{{"a", long}, {"b", long}, {"c", long}, {"e", "1"}}, 1},
		"nothing that is valid": {[]Attribute{{"id", "1"}}, nil, 1},
	} {
		got, refused := Accept(test.given)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
		if len(refused) != test.refused {
			t.Errorf("%s: refused %v, want %d", what, refused, test.refused)
		}
	}
}

func TestSelectTakesWhatIsListedAndSaysWhatIsMissing(t *testing.T) {
	annotations := map[string]string{"team": "ai-platform", "example.com/owner": "ml-ops", "version": "v2.1.0"}
	attributes, missing := Select(Object{Annotations: annotations}, []Source{
		{Attribute: "team", Annotation: "team"},
		{Attribute: "region", Annotation: "region"},
		{Attribute: "owner", Annotation: "example.com/owner"},
	})
	if diff := cmp.Diff([]Attribute{{"owner", "ml-ops"}, {"team", "ai-platform"}}, attributes); diff != "" {
		t.Error("attributes (-want, +got):", diff)
	}
	if diff := cmp.Diff([]Source{{Attribute: "region", Annotation: "region"}}, missing); diff != "" {
		t.Error("missing (-want, +got):", diff)
	}
}

func TestDenylist(t *testing.T) {
	list := Denylist{"kubectl.kubernetes.io/*", "*secret*", "exact", "a*b*c"}
	for key, denied := range map[string]bool{
		"kubectl.kubernetes.io/last-applied-configuration": true,
		"example.com/my-SECRET-key":                        true,
		"exact":                                            true,
		"exactly":                                          false,
		"axxbxxc":                                          true,
		"abc":                                              true,
		"acb":                                              false,
		"ab":                                               false,
		"team":                                             false,
		"kubernetes.io/kubectl":                            false,
	} {
		if _, got := list.Match(key); got != denied {
			t.Errorf("Match(%q) = %t, want %t", key, got, denied)
		}
	}
}

func FuzzArgumentRoundTrips(f *testing.F) {
	f.Add("team", "ai-platform")
	f.Add("team", `a=b,"c" $(D) 東京`)
	f.Add("a=", "0")
	f.Fuzz(func(t *testing.T, name, value string) {
		given := Attribute{Name: name, Value: value}
		valid := Validate([]Attribute{given}) == nil
		attribute, err := ParseArgument(given.Argument())
		switch {
		case err != nil && valid:
			t.Fatalf("%q=%q is valid and was refused: %v", name, value, err)
		case err != nil:
			// The argument has no name.
		case valid && attribute != given:
			t.Fatalf("%q=%q came back as %q=%q", name, value, attribute.Name, attribute.Value)
		}
	})
}

func FuzzFileRoundTrips(f *testing.F) {
	f.Add("ai-platform", `a=b,"c" $(D) 東京`)
	f.Fuzz(func(t *testing.T, first, second string) {
		want := []Attribute{{"first", first}, {"second", second}}
		got, err := ParseFile(MarshalFile(want))
		if err != nil {
			if Validate(want) == nil {
				t.Fatalf("valid attributes were refused: %v", err)
			}
			return
		}
		if !utf8.ValidString(first) || !utf8.ValidString(second) {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal("attributes (-want, +got):", diff)
		}
	})
}

func TestHashIgnoresOrderAndSeesValues(t *testing.T) {
	one := Hash([]Attribute{{"a", "1"}, {"b", "2"}})
	if other := Hash([]Attribute{{"b", "2"}, {"a", "1"}}); other != one {
		t.Errorf("another order hashes to %s, want %s", other, one)
	}
	if other := Hash([]Attribute{{"a", "1"}, {"b", "3"}}); other == one {
		t.Error("another value has the same hash")
	}
}
