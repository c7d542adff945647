/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventfilter

import (
	"errors"
	"fmt"
)

// The bounds of an expression. The SDK's parser calls itself for each level.
const (
	// MaxExpressionBytes bounds a cesql expression.
	MaxExpressionBytes = 2 << 10
	maxParentheses     = 16
	maxTokens          = 256
)

// checkSyntax refuses what isn't an expression, before the SDK's parser sees it:
// that takes seconds for a hundred words in no order. It also skips characters that
// it doesn't know, with a line on the standard error.
func checkSyntax(text string) error {
	if len(text) > MaxExpressionBytes {
		return fmt.Errorf("the expression has %d bytes: write at most %d", len(text), MaxExpressionBytes)
	}
	s := syntax{tokens: tokens{rest: text}}
	if err := s.advance(); err != nil {
		return err
	}
	for !s.complete() {
		step := s.operand
		if s.hasOperand {
			step = s.operator
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// syntax reads an expression from left to right, without recursion. It knows the
// language and no precedence.
type syntax struct {
	tokens tokens
	// token is the one to read.
	token token
	// open has for each open parenthesis whether it takes several expressions.
	open []bool
	// hasOperand says that an operand ends before the token.
	hasOperand bool
}

func (s *syntax) complete() bool {
	return s.token.kind == tokenEnd && s.hasOperand && len(s.open) == 0
}

func (s *syntax) advance() (err error) {
	s.token, err = s.tokens.next()
	return err
}

// expect reads a token that must be of a kind.
func (s *syntax) expect(kind tokenKind, what string) error {
	if s.token.kind != kind {
		return s.unexpected(what)
	}
	return s.advance()
}

func (s *syntax) unexpected(wanted string) error {
	if s.token.kind == tokenEnd {
		return fmt.Errorf("syntax error: the expression ends where it needs %s", wanted)
	}
	return fmt.Errorf("syntax error at %s: write %s", quote(s.token.text), wanted)
}

func (s *syntax) push(several bool) error {
	if s.open = append(s.open, several); len(s.open) > maxParentheses {
		return fmt.Errorf("the expression has more than %d parentheses in each other: write several filters under all or any", maxParentheses)
	}
	s.hasOperand = false
	return nil
}

func (s *syntax) pop() error {
	if len(s.open) == 0 {
		return errors.New("syntax error: a closing parenthesis has no opening one: remove it")
	}
	s.open, s.hasOperand = s.open[:len(s.open)-1], true
	return s.advance()
}

// operand reads a part of an operand.
func (s *syntax) operand() error {
	const wanted = "an attribute, a text in quotes, a number, a function or a parenthesis"
	kind := s.token.kind
	switch kind {
	case tokenNot, tokenMinus:
		return s.advance()
	case tokenOpen:
		if err := s.advance(); err != nil {
			return err
		}
		return s.push(false)
	case tokenExists:
		if err := s.advance(); err != nil {
			return err
		}
		s.hasOperand = true
		if s.token.kind == tokenName {
			return s.advance()
		}
		return s.expect(tokenAttribute, "an attribute after EXISTS")
	case tokenName, tokenFunction, tokenAttribute, tokenInteger, tokenText, tokenTruth:
	default:
		return s.unexpected(wanted)
	}
	if err := s.advance(); err != nil {
		return err
	}
	s.hasOperand = true
	switch {
	case kind == tokenFunction && s.token.kind != tokenOpen:
		return s.unexpected("a parenthesis after the name of a function. The name of an attribute has letters and digits only")
	case kind != tokenName && kind != tokenFunction, s.token.kind != tokenOpen:
		return nil
	}
	if err := s.advance(); err != nil {
		return err
	}
	if err := s.push(true); err != nil {
		return err
	}
	if s.token.kind == tokenClose {
		return s.pop()
	}
	return nil
}

// operator reads what follows an operand.
func (s *syntax) operator() error {
	switch s.token.kind {
	case tokenSign, tokenMinus:
		s.hasOperand = false
		return s.advance()
	case tokenNot:
		if err := s.advance(); err != nil {
			return err
		}
		if s.token.kind != tokenLike && s.token.kind != tokenIn {
			return s.unexpected("LIKE or IN after NOT, or AND before it")
		}
		return nil
	case tokenLike:
		if err := s.advance(); err != nil {
			return err
		}
		return s.expect(tokenText, "a text in quotes after LIKE")
	case tokenIn:
		if err := s.advance(); err != nil {
			return err
		}
		if err := s.expect(tokenOpen, "a parenthesis after IN"); err != nil {
			return err
		}
		return s.push(true)
	case tokenComma:
		if len(s.open) == 0 || !s.open[len(s.open)-1] {
			return errors.New("syntax error: a comma is neither in a list of IN nor in a function: remove it")
		}
		s.hasOperand = false
		return s.advance()
	case tokenClose:
		return s.pop()
	default:
		return s.unexpected("an operator, such as AND or =. A number with a sign is no operator: write a space behind the sign")
	}
}
