/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import "strconv"

// appendMember appends an extension as a member of a JSON object, with a comma in
// front.
func appendMember(b []byte, e *extension) []byte {
	if !e.integer {
		return appendTextMember(b, e.name, e.text)
	}
	b = appendMemberName(b, e.name)
	return strconv.AppendInt(b, int64(e.number), 10)
}

func appendTextMember(b []byte, name, text string) []byte {
	return appendQuoted(appendMemberName(b, name), text)
}

// appendMemberName takes names of attributes only: they need no escaping.
func appendMemberName(b []byte, name string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	return append(b, `":`...)
}

// appendQuoted appends text as a JSON string. It escapes only the characters that
// JSON doesn't allow in a string: none of HTML, and no byte that isn't UTF-8.
func appendQuoted(b []byte, text string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
	}
	b = append(b, text[start:]...)
	return append(b, '"')
}
