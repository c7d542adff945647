/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"errors"
	"fmt"
	"strings"
)

// Source says where the value of an attribute comes from: from exactly one of an
// annotation, a label, a header of the request and a fixed value.
type Source struct {
	Attribute string
	// Annotation is a key, or a pattern of keys: ValidatePattern. A pattern has no
	// Attribute.
	Annotation string
	Label      string
	Header     string
	// Value is a fixed value, which may be empty, or nil.
	Value *string
}

// Kind says in one word what a source is.
type Kind string

// The kinds of sources.
const (
	KindAnnotation Kind = "annotation"
	KindLabel      Kind = "label"
	KindHeader     Kind = "header"
	KindValue      Kind = "value"
)

// Object has the annotations and labels that attributes come from.
type Object struct {
	Annotations, Labels map[string]string
}

// Kind returns the kind of the source, and "" if it is none, or several.
func (s Source) Kind() (kind Kind) {
	given := 0
	for _, each := range []struct {
		is   bool
		kind Kind
	}{
		{s.Annotation != "", KindAnnotation}, {s.Label != "", KindLabel}, {s.Header != "", KindHeader}, {s.Value != nil, KindValue},
	} {
		if each.is {
			given, kind = given+1, each.kind
		}
	}
	if given != 1 {
		return ""
	}
	return kind
}

// Key returns the key of the annotation or label, or the name of the header. A
// fixed value has none.
func (s Source) Key() string { return s.Annotation + s.Label + s.Header }

// String names the source in a condition: the key of an annotation alone, as
// annotations are the usual source, and any other with its kind. It never has a
// fixed value.
func (s Source) String() string {
	switch kind := s.Kind(); kind {
	case KindAnnotation:
		return s.Annotation
	case KindLabel, KindHeader:
		return string(kind) + " " + s.Key()
	default:
		return "attribute " + s.Attribute
	}
}

// Validate says why the source can't give an attribute, apart from its value.
func (s Source) Validate() error {
	switch {
	case s.Kind() == "":
		return fmt.Errorf("attribute %q has no source, or several: write one of annotation, label, header and value", s.Attribute)
	case IsPattern(s.Annotation):
		return fmt.Errorf("%q is a pattern and can't be the source of one attribute", s.Annotation)
	case s.Header != "":
		if err := ValidateHeader(s.Header); err != nil {
			return err
		}
	}
	return ValidateName(s.Attribute)
}

// reads reports whether the source takes an annotation.
func (s Source) reads(annotation string) bool {
	if IsPattern(s.Annotation) {
		return ValidatePattern(s.Annotation) == nil && strings.HasPrefix(annotation, strings.TrimSuffix(s.Annotation, "*"))
	}
	return s.Annotation == annotation
}

// Reads reports whether one of the sources takes an annotation, alone or by a
// pattern.
func Reads(sources []Source, annotation string) bool {
	for _, source := range sources {
		if source.reads(annotation) {
			return true
		}
	}
	return false
}

// DefaultName derives an attribute's name from the key of an annotation or the
// name of a header: what follows the last slash, lower-cased, without characters
// other than a-z and 0-9. The result may still be invalid: ValidateName tells.
func DefaultName(key string) string {
	name := key[strings.LastIndex(key, "/")+1:]
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, name)
}

// anyName ends a pattern of keys.
const anyName = "/*"

// IsPattern reports whether an annotation's key is a pattern of keys. No key of an
// object has a "*".
func IsPattern(key string) bool { return strings.Contains(key, "*") }

// ValidatePattern says why a pattern isn't one of the form prefix/*, which stands
// for every key with that prefix.
func ValidatePattern(pattern string) error {
	prefix, found := strings.CutSuffix(pattern, anyName)
	if !found || prefix == "" || strings.ContainsAny(prefix, "*/") {
		return errors.New("it is not of the form prefix/*, such as example.com/*")
	}
	return nil
}
