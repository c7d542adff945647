/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package genai

import (
	"bytes"
	"slices"
)

const (
	// maxIndex bounds the items of an array that is merged by index.
	maxIndex = 128
	// maxFields bounds the members of all objects of a merged body, which take
	// fieldBytes each beside their values.
	maxFields  = 1024
	fieldBytes = 384
	// maxObjectFields bounds those of one object, which are searched one by one.
	maxObjectFields = 64
)

var null = []byte("null")

// merging counts the members of the objects of a merged body, and the objects of
// frames that were merged into them.
type merging struct{ fields, visits int }

// object is an object of a merged body.
type object struct {
	shape  *shape
	fields []*field
}

// field is a member of an object of a merged body.
type field struct {
	rule rule
	// name is between the quotes.
	name []byte
	// visit is the last object of a frame that had it.
	visit int
	// value is the value of a rule that keeps whole values, null where there is none.
	value []byte
	// present says that there was a value other than null.
	present bool
	text    text
	object  *object
	items   []item
}

// item is an object of an array.
type item struct {
	index  int64
	object *object
}

// merge takes the members of a valid object. It reports false if they can't be
// merged.
func (o *object) merge(m *merging, value []byte) bool {
	if !isObject(value) {
		return false
	}
	m.visits++
	visit := m.visits
	for name, value := range members(value) {
		field := o.field(m, name)
		// One that comes twice means nothing.
		if field == nil || field.visit == visit {
			return false
		}
		field.visit = visit
		if !field.merge(m, value) {
			return false
		}
	}
	return true
}

// field returns the field of that name, and nil if there are too many, or the name
// may be another's with escapes.
func (o *object) field(m *merging, name []byte) *field {
	for _, field := range o.fields {
		if bytes.Equal(field.name, name) {
			return field
		}
	}
	if m.fields == maxFields || len(o.fields) == maxObjectFields || bytes.IndexByte(name, '\\') >= 0 {
		return nil
	}
	m.fields++
	added := &field{rule: o.shape.rule(name), name: name, value: null}
	o.fields = append(o.fields, added)
	return added
}

func (f *field) merge(m *merging, value []byte) bool {
	switch f.rule.how {
	case dropped:
		return true
	case refused:
		return isNull(value)
	case joined, listed, merged, indexed:
		if isNull(value) {
			return true
		}
		f.present = true
	}
	switch f.rule.how {
	case joined:
		return f.join(value)
	case listed:
		return f.list(value)
	case merged:
		if f.object == nil {
			f.object = &object{shape: f.rule.shape}
		}
		return f.object.merge(m, value)
	case indexed:
		return f.mergeItems(m, value)
	default:
		return f.replace(value)
	}
}

// replace takes a value that is whole.
func (f *field) replace(value []byte) bool {
	empty := isEmpty(f.value)
	switch {
	case isNull(value):
		return true
	case isNull(f.value):
		f.value = value
		return true
	case f.rule.how == first:
		if empty {
			f.value = value
		}
		return true
	case f.rule.how == last:
		f.value = value
		return true
	case empty:
		f.value = value
		return true
	default:
		return isEmpty(value) || f.rule.how == same && bytes.Equal(f.value, value)
	}
}

func (f *field) join(value []byte) bool {
	if !isString(value) {
		return false
	}
	f.text.add(inner(value))
	return true
}

func (f *field) list(value []byte) bool {
	if !isArray(value) {
		return false
	}
	for element := range elements(value) {
		f.add(element)
	}
	return true
}

// add appends an element to a list.
func (f *field) add(element []byte) {
	if f.text.length > 0 {
		f.text.add([]byte{','})
	}
	f.text.add(element)
	f.present = true
}

func (f *field) mergeItems(m *merging, value []byte) bool {
	if !isArray(value) {
		return false
	}
	for element := range elements(value) {
		index := int64(NoCount)
		for name, value := range members(element) {
			if string(name) == "index" {
				index = countOf(value)
			}
		}
		if index == NoCount || index >= maxIndex || !f.item(index).merge(m, element) {
			return false
		}
	}
	return true
}

// item returns the item of an index. Items are in the order of their indexes.
func (f *field) item(index int64) *object {
	at, found := slices.BinarySearchFunc(f.items, index, func(i item, index int64) int { return int(i.index - index) })
	if !found {
		f.items = slices.Insert(f.items, at, item{index: index, object: &object{shape: f.rule.shape}})
	}
	return f.items[at].object
}

func (o *object) appendTo(b []byte) []byte {
	b = append(b, '{')
	empty, missing := true, o.shape.always
	for _, field := range o.fields {
		if string(field.name) == missing {
			missing = ""
		}
		if field.rule.how == dropped || field.rule.how == refused {
			continue
		}
		if !empty {
			b = append(b, ',')
		}
		empty = false
		b = append(b, '"')
		if field.rule.as != "" {
			b = append(b, field.rule.as...)
		} else {
			b = append(b, field.name...)
		}
		b = append(b, `":`...)
		b = field.appendTo(b)
	}
	if missing != "" {
		if !empty {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), missing...), `":null`...)
	}
	return append(b, '}')
}

func (f *field) appendTo(b []byte) []byte {
	if !f.present {
		return append(b, f.value...)
	}
	switch f.rule.how {
	case joined:
		b = append(b, '"')
		return append(f.text.appendTo(b), '"')
	case listed:
		b = append(b, '[')
		return append(f.text.appendTo(b), ']')
	case merged:
		return f.object.appendTo(b)
	default:
		b = append(b, '[')
		for i, item := range f.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.object.appendTo(b)
		}
		return append(b, ']')
	}
}
