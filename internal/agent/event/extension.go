/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"iter"
	"slices"
	"strings"
)

// extension is an extension attribute: a String, or an Integer of CloudEvents,
// which is a number in JSON.
type extension struct {
	name string
	text string
	// An Integer has a number, a String a text.
	number  int32
	integer bool
	// verbatim says that the text is the JSON of asciiJSON, which a header carries as
	// it is.
	verbatim bool
}

// extensions are extension attributes, sorted by name, each name once.
type extensions []extension

// set adds an extension, in the place of one that has its name.
func (e *extensions) set(added extension) {
	at, found := slices.BinarySearchFunc(*e, added.name, compareName)
	if found {
		(*e)[at] = added
	} else {
		*e = slices.Insert(*e, at, added)
	}
}

// setText adds a String. An empty one is no attribute.
func (e *extensions) setText(name, text string) {
	if text != "" {
		e.set(extension{name: name, text: text})
	}
}

func (e *extensions) setInteger(name string, number int32) {
	e.set(extension{name: name, number: number, integer: true})
}

// text returns the String of that name, empty if there is none.
func (e extensions) text(name string) string {
	if at, found := slices.BinarySearchFunc(e, name, compareName); found {
		return e[at].text
	}
	return ""
}

// lookup returns the value of that name as a header has it, and whether there is
// one.
func (e extensions) lookup(name string) (value string, found bool) {
	at, found := slices.BinarySearchFunc(e, name, compareName)
	if !found {
		return "", false
	}
	return e[at].value(), true
}

// extensions returns the event's extensions sorted by name. Of a shared one it gives
// the encoded member of a JSON object, too.
func (e *Event) extensions() iter.Seq2[*extension, string] {
	return func(yield func(*extension, string) bool) {
		own := e.own
		for i := range e.shared.extensions {
			next := &e.shared.extensions[i]
			for len(own) > 0 && own[0].name < next.name {
				if !yield(&own[0], "") {
					return
				}
				own = own[1:]
			}
			if !yield(next, e.shared.members[i]) {
				return
			}
		}
		for i := range own {
			if !yield(&own[i], "") {
				return
			}
		}
	}
}

func compareName(e extension, name string) int { return strings.Compare(e.name, name) }

// validExtensionName reports whether an extension can have a name. It must follow
// CloudEvents 1.0, Attribute Naming Convention, and must not be the name of another
// attribute or of a member of an event's JSON.
func validExtensionName(name string) bool {
	switch name {
	case "", "specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema", "time", "data", sequenceAttribute:
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
