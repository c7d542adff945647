/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// Bounds of the patterns of denied values. A pattern is matched in a time that is
// linear in the value's length, because Go's regular expressions are RE2's.
const (
	MaxDeniedValues       = 64
	MaxDeniedPatternBytes = 512
)

// DeniedValues are regular expressions. A value that one of them matches anywhere
// must never reach an event.
type DeniedValues []*regexp.Regexp

var defaultDeniedValues = mustParseDeniedValues(
	// Private keys in PEM, also on one line or with escaped newlines.
	`-----BEGIN [A-Z0-9 ]*PRIVATE KEY`,
	// Credentials of an Authorization header.
	`(?i)\bbearer\s+[a-z0-9._~+/-]{16,}`,
	// JSON Web Tokens, signed or encrypted.
	`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8,}`,
	// AWS.
	`\b(AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}`,
	// Google Cloud: API keys and OAuth tokens.
	`AIza[A-Za-z0-9_-]{35}`,
	`ya29\.[A-Za-z0-9_-]{20,}`,
	// Azure Storage: account keys and shared access signatures.
	`AccountKey=[A-Za-z0-9+/]{40,}`,
	`[?&]sig=[A-Za-z0-9%+/_-]{40,}`,
	// GitHub and GitLab.
	`gh[pousr]_[A-Za-z0-9]{36,}`,
	`github_pat_[A-Za-z0-9_]{22,}`,
	`glpat-[A-Za-z0-9_-]{20,}`,
	// Slack.
	`\bxox[a-z]-[A-Za-z0-9-]{10,}`,
	// Providers of models: Hugging Face, OpenAI and Anthropic.
	`\bhf_[A-Za-z0-9]{30,}`,
	`\bsk-[A-Za-z0-9_-]{32,}`,
	// Stripe.
	`\b[rs]k_live_[A-Za-z0-9]{16,}`,
)

// DefaultDeniedValues returns the patterns that hold where nobody sets others:
// private keys, bearer tokens, JSON Web Tokens and keys of clouds.
func DefaultDeniedValues() DeniedValues { return slices.Clone(defaultDeniedValues) }

// ParseDeniedValues compiles patterns in the syntax of RE2. An error says which one
// is invalid, by its number from 1.
func ParseDeniedValues(patterns []string) (DeniedValues, error) {
	if len(patterns) > MaxDeniedValues {
		return nil, fmt.Errorf("%d patterns: write at most %d", len(patterns), MaxDeniedValues)
	}
	denied := make(DeniedValues, 0, len(patterns))
	for i, pattern := range patterns {
		compiled, err := ParseDeniedValue(pattern)
		if err != nil {
			return nil, fmt.Errorf("pattern %d: %w", i+1, err)
		}
		denied = append(denied, compiled)
	}
	return denied, nil
}

// ParseDeniedValue compiles one pattern. It refuses one that matches the empty
// value: such a pattern denies every value.
func ParseDeniedValue(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > MaxDeniedPatternBytes {
		return nil, fmt.Errorf("it has %d bytes: write at most %d", len(pattern), MaxDeniedPatternBytes)
	}
	if !utf8.ValidString(pattern) {
		return nil, errors.New("it is not valid UTF-8")
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		// The error itself quotes the pattern, which may not be printable.
		why := new(syntax.Error)
		errors.As(err, &why)
		return nil, fmt.Errorf("it is not a regular expression of RE2: %s", why.Code)
	}
	if compiled.MatchString("") {
		return nil, errors.New("it matches the empty value, and so denies every value: write what a denied value contains")
	}
	return compiled, nil
}

func mustParseDeniedValues(patterns ...string) DeniedValues {
	denied, err := ParseDeniedValues(patterns)
	if err != nil {
		panic(err)
	}
	return denied
}

// Match returns the first pattern that a value matches.
func (d DeniedValues) Match(value string) (pattern string, denied bool) {
	for _, compiled := range d {
		if compiled.MatchString(value) {
			return compiled.String(), true
		}
	}
	return "", false
}

// Permit returns the attributes whose values may be sent, and the names of the
// others, in the attributes' order.
func (d DeniedValues) Permit(attributes []Attribute) (permitted []Attribute, denied []string) {
	for _, attribute := range attributes {
		if _, matches := d.Match(attribute.Value); matches {
			denied = append(denied, attribute.Name)
			continue
		}
		permitted = append(permitted, attribute)
	}
	return permitted, denied
}

// Patterns returns the source texts of the patterns.
func (d DeniedValues) Patterns() []string {
	patterns := make([]string, 0, len(d))
	for _, compiled := range d {
		patterns = append(patterns, compiled.String())
	}
	return patterns
}

// Equal reports whether two lists have the same patterns in the same order.
func (d DeniedValues) Equal(other DeniedValues) bool {
	return slices.Equal(d.Patterns(), other.Patterns())
}

// DeniedValuesFileName is the file in a metadata directory that has the patterns of
// denied values.
const DeniedValuesFileName = "denied-values.json"

// MarshalFile returns the content of a DeniedValuesFileName: a JSON array of
// patterns.
func (d DeniedValues) MarshalFile() []byte {
	content, err := json.Marshal(d.Patterns())
	if err != nil {
		panic(fmt.Sprintf("a list of strings has no JSON form: %v", err))
	}
	return content
}

// ParseDeniedValuesFile reads the content of a DeniedValuesFileName. A file without
// any pattern is none: a list is never switched off by mistake.
func ParseDeniedValuesFile(content []byte) (DeniedValues, error) {
	var patterns []string
	if err := json.Unmarshal(content, &patterns); err != nil || len(patterns) == 0 {
		return nil, errors.New("not a JSON array of patterns, at least one")
	}
	return ParseDeniedValues(patterns)
}
