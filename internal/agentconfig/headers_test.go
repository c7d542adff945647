/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"fmt"
	"strings"
	"testing"
)

func TestHeadersThatGiveNoAttributesAreRefused(t *testing.T) {
	many := []string{"--metadata=team=a"}
	for i := range 32 {
		many = append(many, fmt.Sprintf("--metadata-header=a%d=X-A%d", i, i))
	}
	for want, line := range map[string][]string{
		`argument --metadata-header: missing "="`:                                    {"--metadata-header=tenant"},
		`argument --metadata-header: "Tenant" is not a valid attribute name`:         {"--metadata-header=Tenant=X-Tenant"},
		`argument --metadata-header: "id" is a reserved attribute name`:              {"--metadata-header=id=X-Id"},
		`argument --metadata-header: attribute "a": "X A" is not the name`:           {"--metadata-header=a=X A"},
		`argument --metadata-header: attribute "a": "" is not the name`:              {"--metadata-header=a="},
		`the header "authorization" has credentials`:                                 {"--metadata-header=a=authorization"},
		`the header "PROXY-AUTHORIZATION" has credentials`:                           {"--metadata-header=a=PROXY-AUTHORIZATION"},
		`the header "Cookie" has credentials`:                                        {"--metadata-header=a=Cookie"},
		`the header "Set-Cookie" has credentials`:                                    {"--metadata-header=a=Set-Cookie"},
		`argument --metadata-header: attribute "team" is given twice`:                {"--metadata=team=a", "--metadata-header=team=X-Team"},
		`argument --metadata-header: attribute "a" is given twice`:                   {"--metadata-header=a=X-A", "--metadata-header=a=X-B"},
		`argument --metadata-header: 33 attributes, with those of --metadata`:        many,
		`argument --denied-value: it is not a regular expression of RE2: missing `:   {"--denied-value=("},
		`argument --denied-value: it matches the empty value`:                        {"--denied-value="},
		`argument --denied-value: it has 600 bytes`:                                  {"--denied-value=" + strings.Repeat("a", 600)},
		`argument --denied-value: 65 patterns: write at most 64`:                     strings.Split(strings.Repeat("--denied-value=a ", 64)+"--denied-value=a", " "),
		`argument --denied-value: it is not a regular expression of RE2: invalid es`: {"--denied-value=\\q"},
	} {
		if _, err := Parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

func TestHeadersRoundTrip(t *testing.T) {
	given := Config{MetadataHeaders: []HeaderSource{{"tenant", "X-Tenant"}, {"b", "x-b"}}, DeniedValues: []string{"a=b", "--c", "(?i)d"}}
	want := given
	want.setDefaults()
	want.ReadinessProbe = DialProbe(8080)
	expectRoundTrip(t, &want, given)
}
