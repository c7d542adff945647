/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"fmt"
	"slices"
)

// Set collects attributes that an event can carry together. Those that were added
// earlier take precedence. The zero value is empty.
type Set struct {
	attributes []Attribute
	// reserved are the names of attributes whose values each request brings.
	reserved []string
	bytes    int
}

// Add adds an attribute, or says why the event can't carry it beside the others.
func (s *Set) Add(attribute Attribute) error {
	if err := s.check(attribute.Name); err != nil {
		return err
	}
	if err := ValidateValue(attribute.Value); err != nil {
		return fmt.Errorf("attribute %q: %w", attribute.Name, err)
	}
	bytes := s.bytes + len(attribute.Name) + len(attribute.Value)
	if bytes > MaxTotalBytes {
		return fmt.Errorf("with attribute %q the attributes have %d bytes in all: at most %d can go into an event", attribute.Name, bytes, MaxTotalBytes)
	}
	s.attributes, s.bytes = append(s.attributes, attribute), bytes
	return nil
}

// Reserve keeps the place of an attribute whose value each request brings in a
// header. It counts as one attribute. Its bytes are counted with each request: they
// are those that the other attributes leave.
func (s *Set) Reserve(name string) error {
	if err := s.check(name); err != nil {
		return err
	}
	s.reserved = append(s.reserved, name)
	return nil
}

func (s *Set) check(name string) error {
	if err := ValidateName(name); err != nil {
		return err
	}
	if slices.Contains(s.reserved, name) || slices.ContainsFunc(s.attributes, func(a Attribute) bool { return a.Name == name }) {
		return fmt.Errorf("attribute %q is given twice", name)
	}
	if len(s.attributes)+len(s.reserved) == MaxAttributes {
		return fmt.Errorf("attribute %q is one too many: at most %d can go into an event", name, MaxAttributes)
	}
	return nil
}

// Accept returns the attributes that an event can carry together, and for each
// of the others the reason why not. Earlier ones take precedence.
func Accept(attributes []Attribute) (accepted []Attribute, refused []error) {
	var set Set
	for _, attribute := range attributes {
		if err := set.Add(attribute); err != nil {
			refused = append(refused, err)
		}
	}
	return set.attributes, refused
}

// Attributes returns the added attributes, sorted by name.
func (s *Set) Attributes() []Attribute {
	sorted := slices.Clone(s.attributes)
	sortByName(sorted)
	return sorted
}
