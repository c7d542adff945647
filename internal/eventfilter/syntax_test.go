/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventfilter

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	cesqlparser "github.com/cloudevents/sdk-go/sql/v2/parser"
)

// TestTheSyntaxIsTheParsers compares the check with the SDK's parser, on words in
// any order. They are few, because the parser takes long for many. The parser skips
// characters that it doesn't know, which the check refuses.
func TestTheSyntaxIsTheParsers(t *testing.T) {
	words := []string{
		"AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "team", "'a'", `"b"`, "1", "-1", "(", ")", ",", "=", "!=", "<", "<=", "<>",
		"+", "-", "*", "/", "%", "LEFT(", "NOT LIKE", "NOT IN (", "A_B(", "a1", "1a", "exists", "'it''s'", `'\'`, "a_b",
	}
	expressions := 0
	for seed := range uint64(60_000) {
		random := rand.New(rand.NewPCG(seed, 0))
		var text strings.Builder
		for range 1 + random.IntN(8) {
			text.WriteString(words[random.IntN(len(words))])
			if random.IntN(4) > 0 {
				text.WriteByte(' ')
			}
		}
		checked := checkSyntax(text.String())
		if checked != nil && (strings.Contains(checked.Error(), "invalid character") || strings.Contains(checked.Error(), "closing quote")) {
			continue
		}
		if _, parsed := parseUnchecked(text.String()); (checked == nil) != (parsed == nil) {
			t.Errorf("%q: the check says %v, the parser %v", text.String(), checked, parsed)
		}
		if checked == nil {
			expressions++
		}
	}
	if expressions < 1000 {
		t.Errorf("only %d of the texts are expressions", expressions)
	}
}

func parseUnchecked(text string) (_ any, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("a panic")
		}
	}()
	return cesqlparser.Parse(text)
}
