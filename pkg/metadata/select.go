/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/wildcard"
)

// Select takes the attributes that the sources name from an object, sorted by
// name, and the annotations and labels that the object lacks, in the sources'
// order. One that lacks is no error: its attribute is absent. Headers are not of the
// object, and Matches takes what matches a pattern.
func Select(object Object, sources []Source) (attributes []Attribute, missing []Source) {
	for _, source := range sources {
		value, found := "", false
		switch source.Kind() {
		case KindAnnotation:
			if IsPattern(source.Annotation) {
				continue
			}
			value, found = object.Annotations[source.Annotation]
		case KindLabel:
			value, found = object.Labels[source.Label]
		case KindValue:
			value, found = *source.Value, true
		default:
			continue
		}
		if !found {
			missing = append(missing, source)
			continue
		}
		attributes = append(attributes, Attribute{Name: source.Attribute, Value: value})
	}
	sortByName(attributes)
	return attributes, missing
}

// Matches adds to the set the annotations that the sources' patterns match, in the
// order of their keys. Each is named by DefaultName. It returns those that it leaves
// out, in the form "key: why": one that is denied, has no valid name or value, the
// name of another source or no room. An annotation that is also listed by its key
// isn't a match.
func Matches(set *Set, annotations map[string]string, sources []Source, denylist Denylist) (leftOut []string) {
	var listed, patterns []Source
	owners := make(map[string]string, len(sources))
	for _, source := range sources {
		if IsPattern(source.Annotation) {
			if _, denied := denylist.Match(source.Annotation); !denied {
				patterns = append(patterns, source)
			}
			continue
		}
		listed = append(listed, source)
		owners[source.Attribute] = source.String()
	}
	if len(patterns) == 0 {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if !Reads(patterns, key) || Reads(listed, key) {
			continue
		}
		name := DefaultName(key)
		err := ValidateName(name)
		if denied, matches := denylist.Match(key); matches {
			err = fmt.Errorf("the cluster denies %q", denied)
		} else if owner, taken := owners[name]; taken && err == nil {
			err = fmt.Errorf("the attribute %q is of %s", name, owner)
		}
		if err == nil {
			err = set.Add(Attribute{Name: name, Value: annotations[key]})
		}
		if err != nil {
			leftOut = append(leftOut, key+": "+err.Error())
			continue
		}
		owners[name] = key
	}
	return leftOut
}

// Denylist holds patterns of keys of annotations and labels, and of names of
// headers, that must never reach an event. In it "*" stands for any run of
// characters, slashes too. Case doesn't count.
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

// Permit returns the sources whose values may be sent, and names those that may
// not, in the sources' order. A fixed value has no key.
func (d Denylist) Permit(sources []Source) (permitted []Source, denied []string) {
	for _, source := range sources {
		if _, matches := d.Match(source.Key()); matches && source.Value == nil {
			denied = append(denied, source.String())
			continue
		}
		permitted = append(permitted, source)
	}
	return permitted, denied
}
