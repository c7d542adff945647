/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what one logger may attach to its events. CloudEvents
// 1.0 recommends names of at most 20 characters, and intermediaries commonly
// take about 8 KiB of HTTP headers in all.
const (
	MaxNameLength = 20
	MaxAttributes = 32
	MaxValueBytes = 1 << 10
	MaxTotalBytes = 4 << 10
)

var validName = regexp.MustCompile(fmt.Sprintf(`^[a-z][a-z0-9]{0,%d}$`, MaxNameLength-1))

// Attribute is one CloudEvents extension attribute with a String value.
type Attribute struct {
	Name  string
	Value string
}

// ValidateName says why a name can't be that of a metadata attribute: it must
// match ^[a-z][a-z0-9]{0,19}$ (Knative's Trigger filters accept no other names)
// and must not be reserved by CloudEvents, by Knative or by us.
func ValidateName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%q is not a valid attribute name: write 1 to %d characters a-z and 0-9, beginning with a letter", name, MaxNameLength)
	}
	if Reserved(name) {
		return fmt.Errorf("%q is a reserved attribute name: CloudEvents, Knative or the event itself uses it", name)
	}
	return nil
}

// ValidateValue says why a value can't be a CloudEvents String (section 1.2,
// Type System): control characters, so newlines too, and code points that
// Unicode calls noncharacters are excluded. The message never quotes the
// value.
func ValidateValue(value string) error {
	if len(value) > MaxValueBytes {
		return fmt.Errorf("the value has %d bytes: at most %d can go into an attribute", len(value), MaxValueBytes)
	}
	if !utf8.ValidString(value) {
		return errors.New("the value is not valid UTF-8")
	}
	for _, r := range value {
		if r <= 0x1f || (r >= 0x7f && r <= 0x9f) {
			return fmt.Errorf("the value contains the control character %U, which CloudEvents forbids: write it on one line of printable text", r)
		}
		if (r >= 0xfdd0 && r <= 0xfdef) || r&0xfffe == 0xfffe {
			return fmt.Errorf("the value contains the noncharacter %U, which CloudEvents forbids", r)
		}
	}
	return nil
}

// Validate says why attributes can't go out together: too many or too large
// in all, a name twice, or an invalid name or value.
func Validate(attributes []Attribute) error {
	if len(attributes) > MaxAttributes {
		return fmt.Errorf("%d attributes: at most %d can go into an event", len(attributes), MaxAttributes)
	}
	total := 0
	seen := make(map[string]bool, len(attributes))
	for _, attribute := range attributes {
		if err := ValidateName(attribute.Name); err != nil {
			return err
		}
		if seen[attribute.Name] {
			return fmt.Errorf("attribute %q is given twice", attribute.Name)
		}
		seen[attribute.Name] = true
		if err := ValidateValue(attribute.Value); err != nil {
			return fmt.Errorf("attribute %q: %w", attribute.Name, err)
		}
		total += len(attribute.Name) + len(attribute.Value)
	}
	if total > MaxTotalBytes {
		return fmt.Errorf("the attributes have %d bytes in all: at most %d can go into an event", total, MaxTotalBytes)
	}
	return nil
}

// Argument is the form of an attribute in the agent's arguments.
func (a Attribute) Argument() string { return a.Name + "=" + a.Value }

// ParseArgument reads attribute=value, where everything after the first "="
// is the value. Validate checks both.
func ParseArgument(argument string) (Attribute, error) {
	name, value, found := strings.Cut(argument, "=")
	if !found {
		return Attribute{}, errors.New("missing \"=\": write attribute=value")
	}
	return Attribute{Name: name, Value: value}, nil
}

// FileName is the file in a metadata directory that holds the attributes. One
// file for all, so that a reader can tell no attributes from no file, and
// never sees half a change.
const FileName = "attributes.json"

// MarshalFile returns the content of a FileName: a flat JSON object, sorted by
// name.
func MarshalFile(attributes []Attribute) []byte {
	object := make(map[string]string, len(attributes))
	for _, attribute := range attributes {
		object[attribute.Name] = attribute.Value
	}
	content, err := json.Marshal(object)
	if err != nil {
		panic(fmt.Sprintf("a map of strings has no JSON form: %v", err))
	}
	return content
}

// ParseFile reads the content of a FileName and checks it as a whole.
func ParseFile(content []byte) ([]Attribute, error) {
	var object map[string]string
	if err := json.Unmarshal(content, &object); err != nil {
		// The decoder's own message may quote the content.
		return nil, errors.New("not a flat JSON object of attribute to string value")
	}
	attributes := make([]Attribute, 0, len(object))
	for name, value := range object {
		attributes = append(attributes, Attribute{Name: name, Value: value})
	}
	sortByName(attributes)
	return attributes, Validate(attributes)
}

// Hash names a set of attributes, whatever their order, in 16 hexadecimal
// digits: the control plane reports it as observedMetadata, and the agent as
// what is in use.
func Hash(attributes []Attribute) string {
	sum := sha256.Sum256(MarshalFile(attributes))
	return hex.EncodeToString(sum[:8])
}

func sortByName(attributes []Attribute) {
	slices.SortFunc(attributes, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
}
