/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"errors"
	"fmt"
	"mime"
	"strings"
)

// validate refuses an event that the CloudEvents SDK finds invalid, and one with a
// content type that no line of a header can carry.
func (e *Event) validate() error {
	switch {
	case blank(e.id):
		return errors.New("the id is blank")
	case blank(e.source):
		return errors.New("the source is blank")
	case e.subject != "" && blank(e.subject):
		return errors.New("the subject is blank")
	case e.contentType != "":
		return validateContentType(e.contentType)
	default:
		return nil
	}
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }

func validateContentType(contentType string) error {
	if plainMediaType(contentType) {
		return nil
	}
	if !printable(contentType) {
		return errors.New("the content type isn't printable")
	}
	if _, _, err := mime.ParseMediaType(contentType); err != nil {
		return fmt.Errorf("the content type: %w", err)
	}
	return nil
}

// plainMediaType reports whether a content type has no parameter but the usual one,
// and is valid. The others are parsed, which allocates a map of their parameters.
func plainMediaType(contentType string) bool {
	mediaType := strings.TrimSuffix(contentType, "; charset=utf-8")
	kind, subtype, _ := strings.Cut(mediaType, "/")
	return isToken(kind) && isToken(subtype)
}

// isToken reports whether text is a token of RFC 9110, 5.6.2.
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
