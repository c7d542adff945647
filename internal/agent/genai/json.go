/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"bytes"
	"iter"
)

// The functions of this file find the parts of JSON without copying or decoding
// them. They don't validate: text that isn't JSON gives any of its parts, or none.
// All take time in proportion to the text, and none recurses.

// members gives the members of an object: the name as it is between its quotes, and
// the value.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		rest, isObject := opened(object, '{')
		for isObject && len(rest) > 0 && rest[0] == '"' {
			end := stringEnd(rest)
			name := rest[1:max(end-1, 1)]
			rest = trimSpace(rest[end:])
			if len(rest) == 0 || rest[0] != ':' {
				return
			}
			var value []byte
			value, rest = cutValue(trimSpace(rest[1:]))
			if len(value) == 0 || !yield(name, value) {
				return
			}
			rest = afterComma(rest)
		}
	}
}

// elements gives the elements of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		rest, isArray := opened(array, '[')
		for isArray {
			var value []byte
			value, rest = cutValue(rest)
			if len(value) == 0 || !yield(value) {
				return
			}
			rest = afterComma(rest)
		}
	}
}

// opened returns the text behind the bracket that begins an object or an array, and
// whether it is there.
func opened(text []byte, bracket byte) ([]byte, bool) {
	text = trimSpace(text)
	if len(text) == 0 || text[0] != bracket {
		return nil, false
	}
	return trimSpace(text[1:]), true
}

func afterComma(text []byte) []byte {
	text = trimSpace(text)
	if len(text) == 0 || text[0] != ',' {
		return nil
	}
	return trimSpace(text[1:])
}

// cutValue cuts the value off the front of text. It is empty where there is none.
func cutValue(text []byte) (value, rest []byte) {
	end := valueEnd(text)
	return text[:end:end], text[end:]
}

func valueEnd(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	switch text[0] {
	case '"':
		return stringEnd(text)
	case '{', '[':
		return compoundEnd(text)
	}
	for i, c := range text {
		if isSpace(c) || c == ',' || c == '}' || c == ']' {
			return i
		}
	}
	return len(text)
}

// stringEnd returns where the string ends that text begins with.
func stringEnd(text []byte) int {
	for from := 1; ; {
		quote := bytes.IndexByte(text[from:], '"')
		if quote < 0 {
			return len(text)
		}
		quote += from
		escapes := 0
		for quote-escapes > from && text[quote-escapes-1] == '\\' {
			escapes++
		}
		from = quote + 1
		if escapes%2 == 0 {
			return from
		}
	}
}

// compoundEnd returns where the object or array ends that text begins with.
func compoundEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

func trimSpace(text []byte) []byte {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	return text
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isNull(value []byte) bool { return string(value) == "null" }

// isEmpty reports whether a value says as little as null. Servers write some members
// so before they have a value.
func isEmpty(value []byte) bool {
	switch string(value) {
	case "null", `""`, "0":
		return true
	default:
		return false
	}
}

func isString(value []byte) bool {
	return len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"'
}

func isObject(value []byte) bool { return len(value) >= 2 && value[0] == '{' }

func isArray(value []byte) bool { return len(value) >= 2 && value[0] == '[' }

// inner returns what is between the quotes or brackets of a value.
func inner(value []byte) []byte { return value[1 : len(value)-1] }
