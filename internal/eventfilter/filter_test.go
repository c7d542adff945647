/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventfilter

import (
	"errors"
	"strings"
	"testing"
)

// TestAnInvalidFilterIsRefused, with the place and the remedy.
func TestAnInvalidFilterIsRefused(t *testing.T) {
	nested := func(levels int) string {
		return strings.Repeat(`{"not":`, levels) + `{"exact":{"a":"b"}}` + strings.Repeat("}", levels)
	}
	cesql := func(expression string) string { return `{"cesql":"` + expression + `"}` }
	for text, want := range map[string]string{
		``:                                   "invalid filter: must be a JSON object with one of exact, prefix, suffix, all, any, not and cesql",
		`null`:                               "must be a JSON object",
		`[]`:                                 "must be a JSON object",
		`{"exakt":{"a":"b"}}`:                "must be a JSON object with one of exact",
		`{"exact":{"a":1}}`:                  "must be a JSON object",
		`{"exact":{"a":"b"}} {}`:             "has more than one JSON object: write one",
		`{}`:                                 "is empty: write one of exact, prefix, suffix, all, any, not and cesql",
		`{"exact":{}}`:                       "is empty: write one of",
		`{"all":[]}`:                         "is empty: write one of",
		`{"exact":{"a":"b"},"cesql":"TRUE"}`: "has several dialects: write one, or several under all",
		`{"exact":{"Team":"b"}}`:             `invalid filter: exact: invalid attribute name "Team": write a letter, then letters and digits, in lower case`,
		`{"prefix":{"team":""}}`:             "invalid filter: prefix.team: the value is empty, which no event passes: write a value",
		`{"all":[{"exact":{"a":"b"}},{}]}`:   "invalid filter: all[1]: is empty",
		`{"any":[{"not":{"suffix":{"a-b":"c"}}}]}`: `invalid filter: any[0].not.suffix: invalid attribute name "a-b"`,
		`{"not":{}}`:     "invalid filter: not: is empty",
		`{"any":[null]}`: "invalid filter: any[0]: is empty",
		nested(MaxDepth): "is more than 8 filters deep: write a cesql expression",
		`{"all":[` + nested(0) + strings.Repeat(","+nested(0), MaxFilters-1) + `]}`: "all[63]: has more than 64 filters",
		strings.Repeat(" ", MaxBytes+1):                                             "has 16385 bytes: write at most 16384",
		cesql("team ="):                                                             "invalid filter: cesql: syntax error: the expression ends where it needs an attribute, a text in quotes, a number, a function or a parenthesis",
		cesql("team = 'risk"):                                                       "a text has no closing quote: write one",
		cesql("type"):                                                               "the expression gives no Boolean: write a comparison, such as team = 'risk'",
		cesql("LENGTH('a')"):                                                        "the expression gives no Boolean",
		cesql("1 + 1"):                                                              "the expression gives no Boolean",
		cesql("TEMA('a') = 'x'"):                                                    `unknown function "TEMA": see the functions`,
		cesql("team § 'a'"):                                                         `invalid character "\u00a7": write texts in quotes, and attributes with letters and digits`,
		cesql("team ! 'a'"):                                                         `invalid character "!"`,
		cesql("my_team1_x = 'a'"):                                                   `syntax error at "1": write a parenthesis after the name of a function. The name of an attribute has letters and digits only`,
		cesql("TRUE" + strings.Repeat(" ", MaxExpressionBytes)):                     "the expression has 2052 bytes: write at most 2048",
		cesql(strings.Repeat("(", 17) + "TRUE" + strings.Repeat(")", 17)): "the expression has more than 16 parentheses in each other: write several filters under all or any",
		cesql(strings.Repeat("NOT ", 256) + "TRUE"):                       "the expression has more than 256 words and signs: write several filters under all or any",
		cesql("a = 99999999999"):                                          "syntax error",
	} {
		compiled, err := Compile(text)
		if err == nil {
			t.Errorf("%.80s is a filter: %v", text, compiled)
			continue
		}
		var refused *Error
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
	}
}

// TestTheLargestFilterIsCompiled: the bounds are for what is more.
func TestTheLargestFilterIsCompiled(t *testing.T) {
	for text, want := range map[string]bool{
		strings.Repeat(`{"not":`, MaxDepth-1) + `{"exact":{"team":"risk"}}` + strings.Repeat("}", MaxDepth-1):             MaxDepth%2 == 1,
		`{"any":[` + strings.Repeat(`{"exact":{"team":"x"}},`, MaxFilters-2) + `{"exact":{"team":"risk"}}]}`:              true,
		`{"cesql":"` + strings.Repeat("NOT ", maxTokens-1) + `TRUE"}`:                                                     maxTokens%2 == 1,
		`{"cesql":"` + strings.Repeat("(", maxParentheses) + "team = 'risk'" + strings.Repeat(")", maxParentheses) + `"}`: true,
		`{"cesql":"team = 'risk'` + strings.Repeat(" AND team = 'risk'", 60) + `"}`:                                       true,
		`{"cesql":"team IN ('x'` + strings.Repeat(",'a'", 120) + `,'risk')"}`:                                             true,
	} {
		compiled, err := Compile(text)
		if err != nil {
			t.Errorf("%.60s: %v", text, err)
		} else if got := compiled.Matches(prediction()); got != want {
			t.Errorf("%.60s matches: %v", text, got)
		}
	}
}

// TestAPanicDoesNotMatch: the SDK's SUBSTRING panics with a negative length.
func TestAPanicDoesNotMatch(t *testing.T) {
	compiled, err := Compile(`{"cesql":"SUBSTRING(team, 1, -9) = 'x'"}`)
	if err != nil {
		t.Fatal(err)
	}
	if compiled.Matches(prediction()) {
		t.Error("a panic matches")
	}
}

// TestASimpleDialectAllocatesLittle: no event of the SDK is built for it.
func TestASimpleDialectAllocatesLittle(t *testing.T) {
	compiled, err := Compile(`{"all":[{"exact":{"team":"risk"}},{"not":{"suffix":{"type":".failure"}}},{"any":[{"prefix":{"owner":"x"}},{"prefix":{"statuscode":"2"}}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	o := prediction()
	if allocations := testing.AllocsPerRun(100, func() {
		if !compiled.Matches(o) {
			t.Fatal("it doesn't match")
		}
	}); allocations > 2 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkCompile(b *testing.B) {
	for name, text := range map[string]string{
		"exact":       `{"exact":{"team":"risk"}}`,
		"cesql":       `{"cesql":"team = 'risk' AND EXISTS owner"}`,
		"long":        `{"cesql":"team = 'risk'` + strings.Repeat(" AND team = 'risk'", 60) + `"}`,
		"parentheses": `{"cesql":"` + strings.Repeat("(", maxParentheses) + "team = 'risk'" + strings.Repeat(")", maxParentheses) + `"}`,
		"not":         `{"cesql":"` + strings.Repeat("NOT ", maxTokens-1) + `TRUE"}`,
		"minus":       `{"cesql":"1 = ` + strings.Repeat("- ", maxTokens-3) + `1"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatches(b *testing.B) {
	for name, text := range map[string]string{
		"exact": `{"exact":{"team":"risk"}}`,
		"cesql": `{"cesql":"team = 'risk' AND EXISTS owner"}`,
	} {
		b.Run(name, func(b *testing.B) {
			compiled, err := Compile(text)
			if err != nil {
				b.Fatal(err)
			}
			o := prediction()
			b.ReportAllocs()
			for b.Loop() {
				compiled.Matches(o)
			}
		})
	}
}
