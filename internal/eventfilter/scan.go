/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventfilter

import (
	"errors"
	"fmt"
	"strings"
)

// The bounds of an expression. The parser's time grows faster than the length,
// and it calls itself for each level.
const (
	// MaxExpressionBytes bounds a cesql expression.
	MaxExpressionBytes = 2 << 10
	maxParentheses     = 16
	maxTokens          = 256
)

// scan refuses an expression that takes the parser too long, or has characters
// that the parser would skip with a line on the standard error.
func scan(text string) error {
	if len(text) > MaxExpressionBytes {
		return fmt.Errorf("the expression has %d bytes: write at most %d", len(text), MaxExpressionBytes)
	}
	tokens, open := 0, 0
	for rest := text; rest != ""; {
		token, err := nextToken(rest)
		if err != nil {
			return err
		}
		rest = rest[len(token):]
		switch token {
		case " ", "\t", "\r", "\n":
			continue
		case "(":
			open++
		case ")":
			open--
		}
		if tokens++; tokens > maxTokens {
			return fmt.Errorf("the expression has more than %d words and signs: write several filters under all or any", maxTokens)
		}
		if open > maxParentheses {
			return fmt.Errorf("the expression has more than %d parentheses in each other: write several filters under all or any", maxParentheses)
		}
	}
	return nil
}

// nextToken returns the token at the beginning of text. A word is one token, though
// the parser may read several.
func nextToken(text string) (string, error) {
	switch c := text[0]; {
	case c == '\'', c == '"':
		return literal(text)
	case letter(c):
		// The name of a function may have an underscore.
		return text[:prefix(text, func(c byte) bool { return letter(c) || digit(c) || c == '_' })], underscore(text)
	case digit(c):
		return text[:prefix(text, func(c byte) bool { return letter(c) || digit(c) })], nil
	case c == '!':
		if !strings.HasPrefix(text, "!=") {
			return "", errors.New("invalid sign !: write NOT, or !=")
		}
		return "!=", nil
	case strings.IndexByte(" \t\r\n(),*/%+-=<>", c) >= 0:
		return text[:1], nil
	default:
		return "", fmt.Errorf("invalid character %s outside of a text: write texts in quotes", quote(string([]rune(text)[:1])))
	}
}

// underscore refuses a word with an underscore behind a digit, which the parser
// would skip.
func underscore(text string) error {
	function := prefix(text, func(c byte) bool { return letter(c) || c == '_' })
	rest := text[function:]
	more := prefix(rest, func(c byte) bool { return letter(c) || digit(c) })
	if more < len(rest) && rest[more] == '_' {
		return errors.New("invalid name: an attribute has letters and digits only")
	}
	return nil
}

// literal returns the text in quotes at the beginning of text. A backslash and a
// doubled quote escape.
func literal(text string) (string, error) {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == quote && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return text[:i+1], nil
		}
	}
	return "", fmt.Errorf("missing closing %c", quote)
}

// prefix is how many bytes at the beginning of text are of a class.
func prefix(text string, is func(byte) bool) int {
	for i := range len(text) {
		if !is(text[i]) {
			return i
		}
	}
	return len(text)
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func digit(c byte) bool { return '0' <= c && c <= '9' }
