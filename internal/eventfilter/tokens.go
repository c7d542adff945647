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

// tokenKind is what the parser of the CloudEvents SQL expression language takes a
// token for.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	// tokenName is the name of an attribute or a function, tokenFunction of a function
	// only, and tokenAttribute of an attribute only.
	tokenName
	tokenFunction
	tokenAttribute
	tokenInteger
	tokenText
	tokenTruth
	// tokenSign is an operator between two operands, tokenMinus is one before an
	// operand, too.
	tokenSign
	tokenMinus
	tokenNot
	tokenExists
	tokenLike
	tokenIn
	tokenOpen
	tokenClose
	tokenComma
)

var keywords = map[string]tokenKind{
	"AND": tokenSign, "OR": tokenSign, "XOR": tokenSign, "NOT": tokenNot, "LIKE": tokenLike,
	"EXISTS": tokenExists, "IN": tokenIn, "TRUE": tokenTruth, "FALSE": tokenTruth,
}

// token is a token in an expression. Its text is empty at the end.
type token struct {
	kind tokenKind
	text string
}

// tokens takes tokens off the front of an expression, each the longest that there
// can be.
type tokens struct {
	rest  string
	count int
}

func (t *tokens) next() (token, error) {
	t.rest = strings.TrimLeft(t.rest, " \t\r\n")
	if t.rest == "" {
		return token{}, nil
	}
	if t.count++; t.count > maxTokens {
		return token{}, fmt.Errorf("the expression has more than %d words and signs: write several filters under all or any", maxTokens)
	}
	kind, length, err := first(t.rest)
	if err != nil {
		return token{}, err
	}
	taken := token{kind, t.rest[:length]}
	t.rest = t.rest[length:]
	return taken, nil
}

// first returns kind and length of the token at the beginning of text.
func first(text string) (kind tokenKind, length int, err error) {
	switch c := text[0]; {
	case letter(c):
		kind, length = word(text)
		return kind, length, nil
	case digit(c):
		length = prefix(text, func(c byte) bool { return letter(c) || digit(c) })
		if length == prefix(text, digit) {
			return tokenInteger, length, nil
		}
		return tokenAttribute, length, nil
	case c == '\'', c == '"':
		length, err = quoted(text)
		return tokenText, length, err
	case c == '(':
		return tokenOpen, 1, nil
	case c == ')':
		return tokenClose, 1, nil
	case c == ',':
		return tokenComma, 1, nil
	default:
		return sign(text)
	}
}

func word(text string) (kind tokenKind, length int) {
	attribute := prefix(text, func(c byte) bool { return letter(c) || digit(c) })
	function := prefix(text, func(c byte) bool { return letter(c) || c == '_' })
	switch {
	case attribute > function:
		return tokenAttribute, attribute
	case function > attribute:
		return tokenFunction, function
	}
	if kind, is := keywords[strings.ToUpper(text[:attribute])]; is {
		return kind, attribute
	}
	return tokenName, attribute
}

func sign(text string) (kind tokenKind, length int, err error) {
	switch c := text[0]; {
	case (c == '+' || c == '-') && len(text) > 1 && digit(text[1]):
		return tokenInteger, 1 + prefix(text[1:], digit), nil
	case c == '-':
		return tokenMinus, 1, nil
	case strings.HasPrefix(text, "!="), strings.HasPrefix(text, "<>"), strings.HasPrefix(text, "<="), strings.HasPrefix(text, ">="):
		return tokenSign, 2, nil
	case strings.IndexByte("*/%+=<>", c) >= 0:
		return tokenSign, 1, nil
	default:
		return 0, 0, fmt.Errorf("invalid character %s: write texts in quotes, and attributes with letters and digits", quote(string([]rune(text)[:1])))
	}
}

// quoted returns the length of the text in quotes at the beginning of text. A
// backslash and a doubled quote escape.
func quoted(text string) (int, error) {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] != text[0]:
		case i+1 < len(text) && text[i+1] == text[0]:
			i++
		default:
			return i + 1, nil
		}
	}
	return 0, errors.New("a text has no closing quote: write one")
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
