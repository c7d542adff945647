/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"slices"
	"strings"
	"testing"
)

// part keeps what looks like a credential from being one in the source.
func part(of string, more ...string) string { return of + strings.Join(more, "") }

func TestDefaultDeniedValuesKnowSecrets(t *testing.T) {
	denied := DefaultDeniedValues()
	thirtySix := strings.Repeat("aB3", 12)
	for name, value := range map[string]string{
		"a private key":            part("-----BEGIN ", "PRIVATE KEY-----"),
		"an RSA key on one line":   part(`x -----BEGIN `, `RSA PRIVATE KEY-----\nMIIE`),
		"an OpenSSH key":           part("-----BEGIN ", "OPENSSH PRIVATE KEY-----"),
		"a PGP key":                part("-----BEGIN ", "PGP PRIVATE KEY BLOCK-----"),
		"a bearer token":           part("Bearer ", "abcdefghij0123456789"),
		"a bearer token, shouted":  part("authorization: BEARER  ", "abcdefghij0123456789=="),
		"a JWT":                    part("eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxIn0.", "c2lnbmF0dXJlLXNpZw"),
		"a JWE":                    part("eyJhbGciOiJkaXIifQ", "..", "aXZpdml2aXZpdg.Y2lwaGVy.dGFn"),
		"a JWT in a text":          part("token=x_eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxIn0.", "c2lnbmF0dXJlLXNpZw;"),
		"an AWS key":               part("AKIA", "IOSFODNN7EXAMPLE"),
		"a temporary AWS key":      part("key ASIA", "IOSFODNN7EXAMPLE,"),
		"a Google API key":         part("AIza", strings.Repeat("Sy", 17)+"x"),
		"a Google OAuth token":     part("ya29.", thirtySix),
		"an Azure account key":     part("AccountKey=", thirtySix+thirtySix),
		"an Azure signature":       part("https://a.blob/x?se=1&sig=", thirtySix+"%2Baaaa"),
		"a GitHub token":           part("ghp_", thirtySix),
		"a GitHub app's token":     part("ghs_", thirtySix),
		"a fine-grained PAT":       part("github_pat_", thirtySix),
		"a GitLab token":           part("glpat-", thirtySix),
		"a Slack token":            part("xoxb-", "1234567890-abc"),
		"a Hugging Face token":     part("hf_", thirtySix),
		"an OpenAI key":            part("sk-proj-", thirtySix),
		"an Anthropic key":         part("sk-ant-api03-", thirtySix),
		"a Stripe key":             part("sk_live_", thirtySix),
		"a secret behind a letter": part("é", "ghp_", thirtySix),
	} {
		if _, found := denied.Match(value); !found {
			t.Errorf("%s passes", name)
		}
	}
}

func TestDefaultDeniedValuesLetOrdinaryValuesPass(t *testing.T) {
	denied := DefaultDeniedValues()
	for _, value := range []string{
		"", "ai-platform", "ml-ops", "4711", "v2.1.0", "Zoë, 'the' \"team\" = $(X)", "bearer of good news",
		"the bearer", "550e8400-e29b-41d4-a716-446655440000", strings.Repeat("0f", 32), "eyJ", "a.b.c", "task-classification-of-long-documents-v2-final",
		"AKIA", "arn:aws:iam::123456789012:role/reader", "https://example.com/a?b=c&sign=1", "-----BEGIN CERTIFICATE-----", "sk-SK",
		"registry.example.com/team/model@sha256:" + strings.Repeat("ab", 32), "機械学習", "user@example.com",
	} {
		if pattern, found := denied.Match(value); found {
			t.Errorf("%q is denied by %s", value, pattern)
		}
	}
}

func TestParseDeniedValuesRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		patterns []string
		want     string
	}{
		"no regular expression":   {[]string{"a", "("}, "pattern 2: it is not a regular expression of RE2"},
		"what RE2 doesn't have":   {[]string{`(?=a)b`}, "pattern 1: it is not a regular expression"},
		"what matches everything": {[]string{"a*"}, "denies every value"},
		"an empty pattern":        {[]string{""}, "denies every value"},
		"a long pattern":          {[]string{strings.Repeat("a", 513)}, "pattern 1: it has 513 bytes: write at most 512"},
		"too many":                {slices.Repeat([]string{"a"}, 65), "65 patterns: write at most 64"},
		"no UTF-8":                {[]string{"\xff"}, "not valid UTF-8"},
	} {
		if _, err := ParseDeniedValues(test.patterns); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestPermitLeavesOutDeniedValues(t *testing.T) {
	denied, err := ParseDeniedValues([]string{"secret", "^x$"})
	if err != nil {
		t.Fatal(err)
	}
	permitted, names := denied.Permit([]Attribute{{"a", "1"}, {"b", "my-secret-1"}, {"c", "x"}, {"d", "xx"}})
	if !slices.Equal(permitted, []Attribute{{"a", "1"}, {"d", "xx"}}) || !slices.Equal(names, []string{"b", "c"}) {
		t.Errorf("permitted %v, denied %v", permitted, names)
	}
}

func TestDeniedValuesSurviveTheirFile(t *testing.T) {
	for _, denied := range []DeniedValues{DefaultDeniedValues(), mustParseDeniedValues(`a"b\\<>&\x{2028}`)} {
		read, err := ParseDeniedValuesFile(denied.MarshalFile())
		if err != nil || !read.Equal(denied) {
			t.Errorf("%s is read as %v: %v", denied.MarshalFile(), read.Patterns(), err)
		}
	}
	for _, content := range []string{"", "null", "{}", "[]", `["("]`, `[1]`, `["a"] x`, `[""]`} {
		if read, err := ParseDeniedValuesFile([]byte(content)); err == nil {
			t.Errorf("%q is read as %v", content, read.Patterns())
		}
	}
}

func TestValidateHeader(t *testing.T) {
	for _, name := range []string{"X-Tenant", "x-tenant", "User-Agent", "Host", "x_y.z~1", "Authorization-Scheme"} {
		if err := ValidateHeader(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "a b", "a:b", "ä", "a\n", strings.Repeat("a", 257),
		"Authorization", "authorization", "PROXY-Authorization", "Cookie", "set-cookie",
	} {
		if ValidateHeader(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}
