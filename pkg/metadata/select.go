/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"strings"

	"github.com/sidenote-dev/sidenote/internal/wildcard"
)

// Source says which annotation gives the value of which attribute.
type Source struct {
	Attribute  string
	Annotation string
}

// DefaultName derives an attribute's name from an annotation's key: what
// follows the last slash, lower-cased, without characters other than a-z and
// 0-9. The result may still be invalid: ValidateName tells.
func DefaultName(annotation string) string {
	name := annotation[strings.LastIndex(annotation, "/")+1:]
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

// Select takes the attributes that the sources name from an object's
// annotations, sorted by name, and the annotations that the object lacks, in
// the sources' order. A lacking annotation is no error: its attribute is
// absent.
func Select(annotations map[string]string, sources []Source) (attributes []Attribute, missing []string) {
	for _, source := range sources {
		value, found := annotations[source.Annotation]
		if !found {
			missing = append(missing, source.Annotation)
			continue
		}
		attributes = append(attributes, Attribute{Name: source.Attribute, Value: value})
	}
	sortByName(attributes)
	return attributes, missing
}

// Denylist holds patterns of annotation keys that must never reach an event,
// in which "*" stands for any run of characters, slashes too. Case doesn't
// count.
type Denylist []string

// Match returns the first pattern that a key matches.
func (d Denylist) Match(key string) (pattern string, denied bool) {
	for _, pattern := range d {
		if wildcard.Parse(strings.ToLower(pattern)).Match(strings.ToLower(key)) {
			return pattern, true
		}
	}
	return "", false
}

// Permit returns the sources whose annotations may be sent, and the keys of the
// annotations that may not, in the sources' order.
func (d Denylist) Permit(sources []Source) (permitted []Source, denied []string) {
	for _, source := range sources {
		if _, matches := d.Match(source.Annotation); matches {
			denied = append(denied, source.Annotation)
			continue
		}
		permitted = append(permitted, source)
	}
	return permitted, denied
}
